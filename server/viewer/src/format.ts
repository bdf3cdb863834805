import { word } from "./i18n.ts";
import type { Lang } from "./types.ts";

/** A number with at most this many digits after the point; a dash where there is none. */
export function figure(value: unknown, digits = 1): string {
  const number = typeof value === "number" ? value : Number.NaN;
  return Number.isFinite(number) ? number.toFixed(digits) : "–";
}

/** A height that says how sure it is: `23.4 m ±0.6`. */
export function heightText(height: unknown, sigma: unknown): string {
  if (typeof height !== "number" || !Number.isFinite(height)) return "–";
  const sure = typeof sigma === "number" && Number.isFinite(sigma) && sigma > 0 ? ` ±${sigma.toFixed(1)}` : "";
  return `${height.toFixed(1)} m${sure}`;
}

/** Integer with thousands marks. */
export function count(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

export interface EvidenceText { chip: string; why: string; sure: "measured" | "derived" | "assumed" }

/** Chip and reason of a height's evidence. */
export function evidence(lang: Lang, code: string | undefined): EvidenceText {
  const key = code || "default";
  const sure = ["surveyed", "pointcloud", "dsm"].includes(key)
    ? "measured"
    : ["storeys", "rule"].includes(key)
      ? "derived"
      : "assumed";
  return { chip: word(lang, "evidence", key), why: word(lang, "evidence", `${key}.why`), sure };
}

export type ValueLevel = "none" | "normal" | "warn" | "alarm";

/** Level of a value against its limits; limits below the usual range (say a falling water level) work downwards. */
export function valueLevel(value: number | undefined, warn: number, alarm: number): ValueLevel {
  if (value === undefined || !Number.isFinite(value)) return "none";
  const down = Number.isFinite(warn) && Number.isFinite(alarm) && alarm < warn;
  const beyond = (limit: number): boolean => Number.isFinite(limit) && (down ? value <= limit : value >= limit);
  return beyond(alarm) ? "alarm" : beyond(warn) ? "warn" : "normal";
}

/** A value with as many digits as its range deserves. */
export function valueText(value: number | undefined, minimum: number, maximum: number): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  const span = maximum - minimum;
  const digits = !Number.isFinite(span) || span <= 0 ? 1 : span >= 200 ? 0 : span >= 20 ? 1 : 2;
  return value.toFixed(digits);
}

/** Local clock text `18:30` or `2026-06-21 18:30` for an instant in ms. */
export function clock(utc: number, offsetHours: number, withDay = false): string {
  const local = new Date(utc + offsetHours * 3600000).toISOString();
  return withDay ? `${local.slice(0, 10)} ${local.slice(11, 16)}` : local.slice(11, 16);
}

/** SVG path of recent values in a w x h box with limits kept visible. */
export function sparkline(values: readonly number[], w: number, h: number, extra: readonly number[] = []): string {
  const known = values.filter(Number.isFinite);
  if (known.length === 0) return "";
  const all = [...known, ...extra.filter(Number.isFinite)];
  const low = Math.min(...all);
  const span = Math.max(...all) - low || 1;
  const step = values.length > 1 ? w / (values.length - 1) : 0;
  return values
    .map((value, i) => `${i === 0 ? "M" : "L"}${(i * step).toFixed(1)} ${(h - ((value - low) / span) * h).toFixed(1)}`)
    .join("");
}

/** Where a limit lies in the same box, or null when it is outside or unknown. */
export function sparkLevel(values: readonly number[], h: number, limit: number, extra: readonly number[] = []): number | null {
  const all = [...values, ...extra].filter(Number.isFinite);
  if (!Number.isFinite(limit) || all.length === 0) return null;
  const low = Math.min(...all);
  const span = Math.max(...all) - low || 1;
  const y = h - ((limit - low) / span) * h;
  return y >= 0 && y <= h ? y : null;
}
