import type { App } from "../app.ts";
import { clock, figure, sparkLevel, sparkline, valueLevel, valueText } from "../format.ts";
import { named, text, word } from "../i18n.ts";
import type { Incident, Lang, Stream, Thing } from "../types.ts";
import { line } from "./card.ts";
import { fill, h, s } from "./dom.ts";

const WIDTH = 264;
const HEIGHT = 44;

/** Every stream of a sensor: value, level, limits, and the line of its recent values. */
export function sensorCard(app: App, thing: Thing): Node[] {
  const lang = app.view.value.lang;
  return [...thing.streams.map((stream) => streamBlock(app, lang, stream)), targetBlock(app, thing.target)].filter((node): node is HTMLElement => node !== null);
}

function streamBlock(app: App, lang: Lang, stream: Stream): HTMLElement {
  const value = stream.values.at(-1);
  const level = valueLevel(value, stream.warn, stream.alarm);
  const time = stream.times.at(-1);
  const head = h(
    "div", { class: "stream-head" }, h("span", { class: "stream-name" }, named(lang, stream.name, stream.nameEn)),
    h("span", { class: "stream-value", dataset: { level } }, valueText(value, stream.minimum, stream.maximum), h("small", {}, ` ${stream.unit}`)),
  );
  const box = h("section", { class: "stream" }, head);
  if (stream.values.length > 1) fill(box, spark(lang, stream));
  const foot = h("div", { class: "stream-foot" });
  if (time) fill(foot, `${clock(time, app.offset)} ${text(lang, "time.local")} · ${text(lang, `value.${level}`)}`);
  if (Number.isFinite(stream.warn) || Number.isFinite(stream.alarm)) {
    fill(foot, h("span", {}, text(lang, "card.limits", { warn: figure(stream.warn, 1), alarm: figure(stream.alarm, 1) })));
  }
  fill(box, foot);
  return box;
}

function spark(lang: Lang, stream: Stream): SVGElement {
  const limits = [stream.warn, stream.alarm];
  const near = limits.filter((limit) => Number.isFinite(limit) && stream.values.some((v) => Math.abs(v - limit) < 0.6 * Math.abs(limit)));
  const picture = s("svg", { viewBox: `0 -3 ${WIDTH} ${HEIGHT + 6}`, class: "spark", role: "img", "aria-label": text(lang, "card.recent"), preserveAspectRatio: "none" });
  limits.forEach((limit, i) => {
    const y = sparkLevel(stream.values, HEIGHT, limit, near);
    if (y !== null) picture.append(s("line", { x1: 0, x2: WIDTH, y1: y, y2: y, class: i === 0 ? "limit-warn" : "limit-alarm" }));
  });
  picture.append(s("path", { d: sparkline(stream.values, WIDTH, HEIGHT, near), class: "spark-line" }));
  return picture;
}

function targetBlock(app: App, target: string): HTMLElement | null {
  if (!target) return null;
  const open = (): void => app.view.set({ selected: { kind: "building", oid: target } });
  return h("p", { class: "target" }, text(app.view.value.lang, "card.target"), " ", h("button", { type: "button", class: "link", onclick: open }, target));
}

export function incidentCard(app: App, incident: Incident): Node[] {
  const lang = app.view.value.lang;
  const severity = h(
    "div", { class: "zone-head" }, h("span", { class: "severity big", dataset: { severity: incident.severity } }, incident.severity),
    h("strong", {}, text(lang, `severity.${incident.severity as 1}`)), h("span", { class: "chip" }, word(lang, "status", incident.status)),
  );
  const list = h("dl", { class: "lines" }, line(text(lang, "live.col.time"), `${clock(Number(incident.time), app.offset, true)} ${text(lang, "time.local")}`));
  const about = named(lang, incident.description, incident.descriptionEn);
  const body = about ? h("p", { class: "about" }, about) : null;
  return [severity, body, list, targetBlock(app, incident.target)].filter((node): node is HTMLElement => node !== null);
}
