import { figure } from "../format.ts";
import { text, word } from "../i18n.ts";
import { zh } from "../i18n/zh.ts";
import type { Lang } from "../types.ts";
import { h } from "./dom.ts";
import { line } from "./card.ts";

const UNITS: Readonly<Record<string, [string, number]>> = {
  height: ["m", 1], crown: ["m", 1], heading: ["°", 0], diameter: ["mm", 0], area: ["m²", 0],
};
/** Groups of words for columns whose values are words of ours. */
const GROUPS: Readonly<Record<string, string>> = {
  class: "cover", leaf: "leaf", medium: "medium", evidence: "known", heading_evidence: "known", kind: "furniture",
};
const QUIET = new Set(["oid", "name"]);

/** What a thing is called in the card: its own name, else its kind. */
export function thingTitle(lang: Lang, set: string, p: Readonly<Record<string, unknown>>): string {
  const kind = p["species"] || (p["kind"] && word(lang, "furniture", String(p["kind"]))) || (p["class"] && word(lang, "cover", String(p["class"])));
  return String(p["name"] || kind || word(lang, "set", set));
}

/** The card of a tree, a lamp, a surface or a pipe: everything that its tile tells, in the reader's words. */
export function thingCard(lang: Lang, p: Readonly<Record<string, unknown>>): Node[] {
  const rows = Object.entries(p).filter(([id, value]) => !QUIET.has(id) && value !== undefined && value !== null && value !== "" && value !== "unknown");
  return [h("dl", { class: "lines" }, ...rows.map(([id, value]) => line(`prop.${id}` in zh ? word(lang, "prop", id) : id, valueOf(lang, id, value))))];
}

function valueOf(lang: Lang, id: string, value: unknown): string {
  if (typeof value === "boolean") return text(lang, value ? "value.yes" : "value.no");
  const [unit, digits] = UNITS[id] ?? ["", 2];
  if (typeof value === "number") return `${figure(value, digits)} ${unit}`.trim();
  const group = GROUPS[id];
  return group ? word(lang, group, String(value)) : String(value);
}
