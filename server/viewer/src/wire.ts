import type { Incident, Stream, Thing } from "./types.ts";

type Raw = Record<string, unknown>;
const str = (value: unknown): string => (value === null || value === undefined ? "" : String(value));
const num = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);

/** An instant in ms from RFC 3339 text or from seconds since 1970. */
export function instant(value: unknown): number {
  if (typeof value === "number") return value > 1e11 ? value : value * 1000;
  return Date.parse(str(value));
}

function listOf(value: unknown, key: string): Raw[] {
  if (Array.isArray(value)) return value as Raw[];
  const inner = (value as Raw | null)?.[key];
  return Array.isArray(inner) ? (inner as Raw[]) : [];
}

export function thingsFrom(body: unknown): Thing[] {
  return listOf(body, "things").map((raw) => {
    const oid = str(raw["oid"]);
    return {
      oid, name: str(raw["name"]), nameEn: str(raw["name_en"]), kind: str(raw["kind"]), lon: num(raw["lon"]), lat: num(raw["lat"]),
      target: str(raw["target_oid"] ?? raw["target"]), streams: listOf(raw, "datastreams").map((stream) => streamFrom(stream, oid)),
    };
  });
}

function streamFrom(raw: Raw, thing: string): Stream {
  const [time, value] = pairFrom(raw["last"] ?? raw["latest"] ?? raw["value"]);
  return {
    oid: str(raw["oid"]), thing, name: str(raw["name"] || raw["observed_property"]), nameEn: str(raw["name_en"] || raw["observed_property"]),
    property: str(raw["observed_property"]), unit: unitText(str(raw["unit"])), minimum: num(raw["minimum"]), maximum: num(raw["maximum"]),
    warn: num(raw["warn"]), alarm: num(raw["alarm"]),
    times: Number.isFinite(value) ? [time] : [], values: Number.isFinite(value) ? [value] : [],
  };
}

/** Units as they are printed, from the plain letters of a table. */
export function unitText(unit: string): string {
  return unit.replace(/\bug\b/, "µg").replace(/\bdegC\b/, "°C").replace(/m3\b/, "m³").replace(/m2\b/, "m²");
}

/** A last value as [time, value], {time, value} or a bare number. */
export function pairFrom(value: unknown): [number, number] {
  if (Array.isArray(value)) return [instant(value[0]), num(value[1])];
  if (value && typeof value === "object") return [instant((value as Raw)["time"]), num((value as Raw)["value"])];
  return [Number.NaN, num(value)];
}

export function incidentFrom(raw: Raw): Incident {
  const severity = Math.round(num(raw["severity"]));
  return {
    oid: str(raw["oid"]), kind: str(raw["kind"]), title: str(raw["title"]), titleEn: str(raw["title_en"]), lon: num(raw["lon"]),
    lat: num(raw["lat"]), time: str(instant(raw["time"])), status: str(raw["status"] || "open"),
    severity: severity >= 1 && severity <= 4 ? severity : 4, target: str(raw["target_oid"]), description: str(raw["description"]),
    descriptionEn: str(raw["description_en"]),
  };
}

/** Incidents from a plain list, {"incidents": [...]} or GeoJSON features. */
export function incidentsFrom(body: unknown): Incident[] {
  const features = listOf(body, "features");
  if (features.length > 0) {
    return features.map((feature) => {
      const point = (feature["geometry"] as { coordinates?: number[] } | null)?.coordinates;
      const raw = { oid: feature["id"], ...(feature["properties"] as Raw), ...(point ? { lon: point[0], lat: point[1] } : {}) };
      return incidentFrom(raw);
    });
  }
  return listOf(body, "incidents").map(incidentFrom);
}

/** Levels by oid from {oid: level} with numbers, nulls or {level}; null is "insufficient data" (0). */
export function levelsFrom(body: unknown): Map<string, number> {
  const levels = new Map<string, number>();
  for (const [oid, value] of Object.entries((body ?? {}) as Raw)) {
    const level = value && typeof value === "object" ? num((value as Raw)["level"]) : num(value);
    levels.set(oid, Number.isFinite(level) ? Math.round(level) : 0);
  }
  return levels;
}
