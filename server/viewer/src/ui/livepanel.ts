import type { App } from "../app.ts";
import { clock, valueText } from "../format.ts";
import { named, text } from "../i18n.ts";
import type { Incident, Thing } from "../types.ts";
import { flash } from "../marks.ts";
import { fill, h, t } from "./dom.ts";

/** Sensors and incidents as tables: the same things as on the map, for keyboards and screen readers too. */
export function livePanel(app: App): HTMLElement {
  const { view, live } = app;
  const panel = h("div", { class: "panel-body" });
  if (!live) {
    panel.append(h("p", { class: "empty" }, t(view, "live.empty")));
    return panel;
  }
  const incidents = h("div", { class: "table-holder" });
  const sensors = h("div", { class: "table-holder" });
  const legend = h("ul", { class: "severity-legend" });
  panel.append(h("h3", {}, t(view, "live.incidents")), legend, incidents, h("h3", {}, t(view, "live.sensors")), sensors);
  const cells = new Map<string, HTMLElement>();
  const drawIncidents = (): void => {
    const rows = [...live.incidents.values()].sort((a, b) => a.severity - b.severity || b.time.localeCompare(a.time));
    incidents.replaceChildren(rows.length > 0 ? incidentTable(app, rows) : h("p", { class: "empty" }, text(view.value.lang, "live.noincidents")));
  };
  const drawSensors = (): void => {
    cells.clear();
    const rows = [...live.things.values()];
    sensors.replaceChildren(rows.length > 0 ? sensorTable(app, rows, cells) : h("p", { class: "empty" }, text(view.value.lang, "live.empty")));
  };
  view.watch(["lang"], ({ lang }) => {
    legend.setAttribute("aria-label", text(lang, "severity.legend"));
    legend.replaceChildren(
      ...[1, 2, 3, 4].map((n) => h("li", {}, h("span", { class: "severity", dataset: { severity: n }, "aria-hidden": "true" }, n), text(lang, `severity.${n as 1}`))),
    );
    drawIncidents();
    drawSensors();
  });
  live.state.watch(["known"], () => {
    drawIncidents();
    drawSensors();
  });
  live.onIncident(drawIncidents);
  live.onObservation((thing) => updateCell(app, thing, cells.get(thing.oid)));
  return panel;
}

function incidentTable(app: App, rows: Incident[]): HTMLElement {
  const { view, offset } = app;
  const lang = view.value.lang;
  const body = h("tbody");
  for (const incident of rows) {
    const press = (): void => view.set({ selected: { kind: "incident", oid: incident.oid } });
    const name = h("button", { type: "button", class: "link", onclick: press }, named(lang, incident.title, incident.titleEn));
    fill(
      body,
      h("tr", {}, h("td", {}, h("span", { class: "severity", dataset: { severity: incident.severity }, title: text(lang, `severity.${incident.severity as 1}`) }, incident.severity)),
        h("td", {}, name), h("td", { class: "number" }, clock(Number(incident.time), offset))),
    );
  }
  return table([text(lang, "live.col.severity"), text(lang, "live.col.name"), text(lang, "live.col.time")], body, text(lang, "live.incidents"));
}

function sensorTable(app: App, rows: Thing[], cells: Map<string, HTMLElement>): HTMLElement {
  const { view } = app;
  const lang = view.value.lang;
  const body = h("tbody");
  for (const thing of rows) {
    const press = (): void => view.set({ selected: { kind: "sensor", oid: thing.oid } });
    const cell = h("td", { class: "number value-cell" });
    cells.set(thing.oid, cell);
    updateCell(app, thing, cell, false);
    fill(body, h("tr", {}, h("td", {}, h("button", { type: "button", class: "link", onclick: press }, named(lang, thing.name, thing.nameEn))), cell));
  }
  return table([text(lang, "live.col.name"), text(lang, "live.col.value")], body, text(lang, "live.sensors"));
}

function updateCell(app: App, thing: Thing, cell: HTMLElement | undefined, fade = true): void {
  if (!cell || !app.live) return;
  const stream = app.live.mainStream(thing);
  const level = app.live.levelOf(thing);
  const shown = stream ? `${valueText(stream.values.at(-1), stream.minimum, stream.maximum)} ${stream.unit}` : "–";
  cell.dataset["level"] = level;
  cell.title = text(app.view.value.lang, `value.${level}`);
  if (cell.textContent === shown) return;
  cell.textContent = shown;
  if (fade) flash(cell);
}

function table(heads: string[], body: HTMLElement, caption: string): HTMLTableElement {
  return h("table", {}, h("caption", { class: "visually-hidden" }, caption), h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), body);
}
