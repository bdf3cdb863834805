import type { App } from "../app.ts";
import { areaOf } from "../geo.ts";
import { evidence, figure, heightText } from "../format.ts";
import { named, text, word } from "../i18n.ts";
import { riskColour } from "../palette.ts";
import type { Driver, Feature, Lang, Zone } from "../types.ts";
import { fill, h } from "./dom.ts";

type P = Record<string, unknown>;
const has = (value: unknown): boolean => value !== null && value !== undefined && value !== "" && !(typeof value === "number" && Number.isNaN(value));

/** One line of a card: what, value, note. */
export function line(label: string, value: Node | string, note = ""): HTMLElement {
  return h("div", { class: "line" }, h("dt", {}, label), h("dd", {}, value, note ? h("small", {}, note) : null));
}

/** The card of a building from its item: what it is, how high and why, where it stands, what threatens it. */
export function buildingCard(app: App, feature: Feature, part: P | undefined): Node[] {
  const lang = app.view.value.lang;
  const p = feature.properties;
  const say = (key: Parameters<typeof text>[1], values = {}): string => text(lang, key, values);
  const list = h("dl", { class: "lines" });
  const members = Number(part?.["members"] ?? 1);
  if (members > 1) fill(list, line(say("card.members"), say("card.members.n", { n: members }), say("card.members.why")));
  fill(list, line(say("card.address"), addressOf(p) || say("card.noaddress")));
  if (has(p["storeys"])) fill(list, line(say("card.storeys"), say("card.storeys.unit", { n: figure(p["storeys"], 0) })));
  if (has(p["base_z"])) fill(list, line(say("card.base"), `${figure(p["base_z"], 1)} m`, word(lang, "datum", app.city.frame?.vertical ?? "")));
  if (has(p["year_built"])) fill(list, line(say("card.year"), figure(p["year_built"], 0)));
  if (has(p["structure"]) && p["structure"] !== "unknown") fill(list, line(say("card.structure"), word(lang, "structure", String(p["structure"]))));
  fill(list, line(say("card.area"), `${figure(areaOf(feature.geometry), 0)} m²`));
  if (has(p["provenance"])) fill(list, line(say("card.from"), giversOf(p["provenance"] as P)));
  return [heightBlock(lang, p), list, heritageBlock(lang, p, part), zoneBlock(app, String(p["oid"] ?? feature.id), zoneOf(p))].filter(
    (node): node is HTMLElement => node !== null,
  );
}

/** Names of a building: the reader's language large, the other one small. */
export function titleOf(lang: Lang, p: P): [string, string] {
  const first = named(lang, p["name"] as string, p["name_en"] as string);
  const second = named(lang === "zh" ? "en" : "zh", p["name"] as string, p["name_en"] as string);
  return [first || text(lang, "card.noname"), second === first ? "" : second];
}

/** Which source gave which values of a merged building. */
function giversOf(provenance: P): string {
  const cards = Object.entries(provenance).filter(([name]) => name !== "instead_of");
  return cards.map(([name, card]) => `${name}: ${(((card as P)["gave"] as string[] | undefined) ?? []).join(", ")}`).join(" · ");
}

function addressOf(p: P): string {
  const address = p["address"];
  if (address && typeof address === "object") return String((address as P)["text"] ?? "");
  return has(address) ? String(address) : "";
}

function heightBlock(lang: Lang, p: P): HTMLElement {
  const why = evidence(lang, (p["height_evidence"] ?? p["evidence"]) as string | undefined);
  const reason = has(p["reason"]) ? String(p["reason"]) : "";
  const details = h("details", { class: "why" }, h("summary", {}, h("span", { class: `chip ${why.sure}` }, why.chip), text(lang, "evidence.title")), h("p", {}, why.why, reason ? ` · ${reason}` : ""));
  return h("div", { class: "height" }, h("div", { class: "height-line" }, h("span", { class: "height-label" }, text(lang, "card.height")), h("span", { class: "height-value" }, heightText(p["height_m"] ?? p["height"], p["height_sigma"]))), details);
}

function heritageBlock(lang: Lang, p: P, part: P | undefined): HTMLElement | null {
  const given = p["heritage"];
  const facts: P = given && typeof given === "object" ? (given as P) : {};
  const rows: HTMLElement[] = [];
  const add = (key: Parameters<typeof text>[1], value: unknown, group = ""): void => {
    const shown = typeof value === "string" && group ? word(lang, group, value) : wordsOf(value, lang);
    if (shown) rows.push(line(text(lang, key), shown));
  };
  add("card.roof", facts["roof_type"] ?? p["roof_type"], "roof");
  add("card.era", facts["era"], "era");
  add("card.level", facts["evidence"] ?? part?.["evidence"], facts["evidence"] || part?.["part"] ? "known" : "evidence");
  add("card.parts", partsOf(lang, facts["evidence_parts"]));
  add("card.part", part?.["part"] && `${String(part["part"])} · ${word(lang, "known", String(part["evidence"] ?? ""))}`);
  add("card.rules", facts["rules"]);
  add("card.sources", facts["sources"]);
  return rows.length > 0 ? h("dl", { class: "lines heritage" }, ...rows) : null;
}

function wordsOf(value: unknown, lang: Lang): string {
  if (!has(value)) return "";
  if (Array.isArray(value)) return value.map((one) => wordsOf(one, lang)).filter(Boolean).join(lang === "zh" ? ";" : "; ");
  if (typeof value === "object") {
    const { zh, en, title, name } = value as Record<string, string | undefined>;
    return named(lang, zh, en) || title || name || "";
  }
  return String(value);
}

/** How many parts are known how well, best first: `有文献尺寸 3 · 按营造规则 12`. */
function partsOf(lang: Lang, counts: unknown): string {
  if (!counts || typeof counts !== "object") return "";
  return Object.entries(counts as Record<string, number>)
    .sort((a, b) => b[1] - a[1])
    .map(([known, number]) => `${word(lang, "known", known)} ${number}`)
    .join(" · ");
}

function zoneOf(p: P): Zone | null {
  const zone = p["zone"];
  return zone && typeof zone === "object" ? (zone as Zone) : null;
}

/** Level with number and word, how sure, the three reasons with their sign, and what it rests on. */
export function zoneBlock(app: App, oid: string, zone: Zone | null, streetLevel?: number): HTMLElement | null {
  const { theme, view } = app;
  const lang = view.value.lang;
  if (!zone && streetLevel === undefined) return null;
  const trial = theme?.on === true && view.value.rain !== null;
  const published = zone && Number.isFinite(zone.level) ? Math.round(zone.level) : 0;
  const level = streetLevel ?? (trial ? (theme.level(oid) ?? 0) : published);
  const chip = h("span", { class: `level-chip big ${level === 0 ? "hatched" : ""}`, dataset: { level } }, level || "?");
  const head = h("div", { class: "zone-head" }, chip, h("strong", {}, level === 0 ? text(lang, "card.zone.none") : text(lang, `level.${level as 1}`)));
  const box = h("section", { class: "zone", style: { "--level": riskColour(level) } }, h("h3", {}, text(lang, "card.zone")), head);
  if (trial) fill(box, h("p", { class: "trial" }, text(lang, "card.scenario")));
  if (!zone) return box;
  const list = h("dl", { class: "lines" });
  if (has(zone.score)) fill(list, line(text(lang, "card.zone.score"), figure(zone.score, 3)));
  const p = Array.isArray(zone.p) ? zone.p[published - 1] : undefined;
  if (p !== undefined && !trial) fill(list, line(text(lang, "card.zone.p"), `${Math.round(p * 100)} %`));
  if (has(zone.depth_m)) fill(list, line(text(lang, "card.zone.depth"), `${figure(zone.depth_m, 2)} m`));
  if (has(zone.people)) fill(list, line(text(lang, "card.zone.people"), `${figure(zone.people, 1)} ${text(lang, "unit.people")}`));
  if (has(zone.quality)) fill(list, line(text(lang, "card.zone.quality"), String(zone.quality)));
  if (has(zone.method)) fill(list, line(text(lang, "card.zone.basis"), String(zone.method), zone.date ? String(zone.date) : ""));
  const drivers = driversOf(zone.drivers);
  if (drivers.length > 0) fill(box, h("h4", {}, text(lang, "card.zone.drivers")), driverList(lang, drivers));
  fill(box, list);
  return box;
}

function driversOf(value: unknown): Driver[] {
  if (typeof value === "string") {
    try {
      return JSON.parse(value) as Driver[];
    } catch {
      return [];
    }
  }
  return Array.isArray(value) ? (value as Driver[]) : [];
}

function driverList(lang: Lang, drivers: Driver[]): HTMLElement {
  const three = [...drivers].sort((a, b) => Math.abs(b.phi) - Math.abs(a.phi)).slice(0, 3);
  const most = Math.max(...three.map((driver) => Math.abs(driver.phi)), 1e-9);
  const rows = three.map((driver) => {
    const up = driver.phi >= 0;
    const bar = h("span", { class: "driver-bar", "aria-hidden": "true" }, h("i", { class: up ? "up" : "down", style: { width: `${((50 * Math.abs(driver.phi)) / most).toFixed(1)}%` } }));
    return h("li", {}, h("span", {}, named(lang, driver.zh, driver.en) || driver.key), bar, h("span", { class: "number" }, driver.phi === 0 ? "" : `${up ? "+" : "−"}${Math.abs(driver.phi).toFixed(2)}`));
  });
  return h("ol", { class: "drivers" }, ...rows);
}
