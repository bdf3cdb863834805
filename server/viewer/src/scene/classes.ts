import type { LayerId } from "../state.ts";

/** Which classes of the ground cover a switch stands for; they share one tileset. */
export const COVERS: Readonly<Record<string, readonly string[]>> = {
  cover_road: ["road"],
  cover_railway: ["railway"],
  cover_water: ["water", "river"],
  cover_green: ["green"],
  cover_landuse: ["landuse"],
};

/** Tilesets of what is no building, each with its switches. */
export const CLASS_SETS: Readonly<Record<string, readonly LayerId[]>> = {
  trees: ["trees"],
  furniture: ["furniture"],
  surfaces: ["cover_road", "cover_railway", "cover_water", "cover_green", "cover_landuse"],
  pipes: ["pipes"],
  points: ["points"],
};

/** The collection in which the item of a picked thing is found; "" where the tile tells all there is. */
export function collectionOf(set: string, properties: Readonly<Record<string, unknown>>): string {
  if (set !== "surfaces") return set === "points" ? "" : set;
  const kind = String(properties["class"] ?? "");
  return { road: "roads", railway: "railways", water: "water", river: "rivers", green: "green", landuse: "landuse" }[kind] ?? "";
}

/** Whether the tileset of a switch is there. */
export function hasLayer(id: LayerId, sets: readonly string[]): boolean {
  const set = Object.entries(CLASS_SETS).find(([, switches]) => switches.includes(id))?.[0];
  return set === undefined || sets.includes(set);
}

/** What is on at first: trees and furniture; surfaces where no picture shows the ground; pipes and points when asked for. */
export function atFirst(pictures: boolean): Record<string, boolean> {
  const covers = Object.keys(COVERS).map((id): [string, boolean] => [id, !pictures]);
  return { trees: true, furniture: true, ...Object.fromEntries(covers), pipes: false, points: false };
}
