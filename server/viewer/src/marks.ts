import type { App } from "./app.ts";
import { valueText } from "./format.ts";
import { named, text, word } from "./i18n.ts";
import type { Mark } from "./scene/overlay.ts";
import type { Incident, Lang, Thing } from "./types.ts";
import { h } from "./ui/dom.ts";

/** One sign per kind of sensor, Chinese and English. */
const GLYPHS: [RegExp, string, string][] = [
  [/water|level|river|flood/i, "水", "W"], [/rain|precip|weather|meteo/i, "雨", "R"], [/air|pm|aqi|dust/i, "气", "A"], [/traffic|vehicle|flow/i, "车", "T"],
  [/fire|smoke/i, "烟", "S"], [/tilt|crack|structure|vibrat|deform/i, "构", "C"], [/noise|sound/i, "声", "N"], [/power|electric|energy|light/i, "电", "E"],
  [/pipe|gas|sewer|drain|pressure/i, "管", "P"], [/crowd|people|visitor/i, "人", "V"], [/temp|humid/i, "温", "°"], [/mine|subsid|gnss|land/i, "地", "G"],
];

const DONE = new Set(["resolved", "closed", "done"]);

function glyph(thing: Thing, lang: Lang): string {
  const about = `${thing.kind} ${thing.streams[0]?.property ?? ""}`;
  const found = GLYPHS.find(([pattern]) => pattern.test(about));
  return (lang === "zh" ? found?.[1] : found?.[2]) ?? (lang === "zh" ? "测" : "M");
}

/** Pins of sensors and incidents: buttons over the scene that speak their value, their level and their name. */
export class Marks {
  readonly #app: App;
  readonly #pins = new Map<string, HTMLButtonElement>();

  constructor(app: App) {
    this.#app = app;
    const { live, view } = app;
    if (!live) return;
    live.onObservation((thing) => this.#update(thing, true));
    live.onIncident((_, fresh) => this.#incidents(fresh));
    view.watch(["lang"], () => this.refresh());
  }

  refresh(): void {
    this.#sensors();
    this.#incidents(false);
  }

  #sensors(): void {
    const { live, overlay, view } = this.#app;
    if (!live) return;
    this.#pins.clear();
    const on = view.value.layers["sensors"];
    overlay.set("sensors", on ? [...live.things.values()].map((thing) => this.#pin(thing)) : []);
  }

  #pin(thing: Thing): Mark {
    const { view } = this.#app;
    const element = h(
      "button", { type: "button", class: "pin", tabindex: -1, onclick: () => view.set({ selected: { kind: "sensor", oid: thing.oid } }) },
      h("span", { class: "pin-glyph", "aria-hidden": "true" }, glyph(thing, view.value.lang)), h("span", { class: "pin-value" }),
    );
    this.#pins.set(thing.oid, element);
    this.#update(thing, false);
    const alarmed = ["warn", "alarm"].includes(this.#app.live?.levelOf(thing) ?? "");
    return {
      id: `sensor:${thing.oid}`, lon: thing.lon, lat: thing.lat, lift: 9, rank: alarmed ? 70 : 34, reach: alarmed ? 30000 : 4200, element,
      shrinks: true, group: "sensors",
    };
  }

  #update(thing: Thing, fade: boolean): void {
    const { live, view } = this.#app;
    const pin = this.#pins.get(thing.oid);
    if (!pin || !live) return;
    const lang = view.value.lang;
    const stream = live.mainStream(thing);
    const value = stream?.values.at(-1);
    const level = live.levelOf(thing);
    const shown = stream ? `${valueText(value, stream.minimum, stream.maximum)} ${stream.unit}` : "–";
    const cell = pin.querySelector(".pin-value");
    if (cell && cell.textContent !== shown) {
      const longer = shown.length !== (cell.textContent ?? "").length;
      cell.textContent = shown;
      if (fade) flash(pin);
      if (longer) this.#app.overlay.touch();
    }
    if (pin.dataset["level"] !== level) {
      const rose = fade && level === "alarm";
      pin.dataset["level"] = level;
      if (rose) pulse(pin);
      this.#app.overlay.raise(`sensor:${thing.oid}`, level === "alarm" ? 72 : level === "warn" ? 66 : 34);
    }
    const name = named(lang, thing.name, thing.nameEn);
    const label = `${word(lang, "kind", "sensor")} ${name}: ${shown}, ${text(lang, `value.${level}`)}`;
    pin.setAttribute("aria-label", label);
    pin.title = `${name} · ${stream ? named(lang, stream.name, stream.nameEn) : ""} ${shown}`;
  }

  #incidents(fresh: boolean): void {
    const { live, overlay, view } = this.#app;
    if (!live) return;
    const all = view.value.layers["incidents"] ? [...live.incidents.values()].sort((a, b) => a.time.localeCompare(b.time)) : [];
    overlay.set("incidents", all.map((incident, i) => this.#flag(incident, fresh && i === all.length - 1)));
  }

  #flag(incident: Incident, fresh: boolean): Mark {
    const { view } = this.#app;
    const lang = view.value.lang;
    const title = named(lang, incident.title, incident.titleEn);
    const element = h(
      "button",
      {
        type: "button", class: incident.severity <= 2 && !DONE.has(incident.status) ? "flag" : "flag calm", tabindex: -1, dataset: { severity: incident.severity, status: incident.status },
        title, "aria-label": `${word(lang, "kind", "incident")} ${text(lang, `severity.${incident.severity as 1}`)}: ${title}`,
        onclick: () => view.set({ selected: { kind: "incident", oid: incident.oid } }),
      },
      h("span", { class: "flag-mark", "aria-hidden": "true" }, incident.severity), h("span", { class: "flag-title" }, title),
    );
    if (fresh) pulse(element);
    return {
      id: `incident:${incident.oid}`, lon: incident.lon, lat: incident.lat, lift: 16, rank: 90 - incident.severity, reach: 30000, element,
      shrinks: true, group: "incidents",
    };
  }
}

/** One pulse, then a steady mark. */
export function pulse(element: HTMLElement): void {
  element.classList.remove("pulse");
  void element.offsetWidth;
  element.classList.add("pulse");
}

/** A short fade on a value that changed. */
export function flash(element: HTMLElement): void {
  element.classList.remove("fresh");
  void element.offsetWidth;
  element.classList.add("fresh");
}

