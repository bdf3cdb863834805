import { atFirst } from "./scene/classes.ts";
import { Store } from "./store.ts";
import type { Lang, Selection } from "./types.ts";

export type Panel = "layers" | "risk" | "live" | null;
export type LayerState = "idle" | "loading" | "ready" | "failed" | "empty";

/** What the person has chosen; everything on the page follows from it. */
export interface ViewState {
  lang: Lang;
  night: boolean;
  theme: string | null;
  panel: Panel;
  layers: Record<string, boolean>;
  layerStates: Record<string, LayerState>;
  selected: Selection | null;
  /** Local hour of the light; null follows the city's default moment. */
  hour: number | null;
  follow: boolean;
  /** Rain of the trial scenario in mm; null shows the published one. */
  rain: number | null;
}

export type View = Store<ViewState>;

export const LAYERS = [
  "terrain", "ortho", "cover_road", "cover_railway", "cover_water", "cover_green", "cover_landuse", "l2", "l3", "trees", "furniture",
  "pipes", "points", "roads", "water", "labels", "sensors", "incidents",
] as const;
export type LayerId = (typeof LAYERS)[number];

/** The class layers (trees, surfaces, ...) begin as `openCity` decides: it knows what the city has. */
export function makeView(lang: Lang, night: boolean): View {
  const layers: Record<string, boolean> = Object.fromEntries(LAYERS.map((id) => [id, true]));
  layers["roads"] = false;
  layers["water"] = false;
  Object.assign(layers, atFirst(true));
  return new Store<ViewState>({
    lang, night, theme: null, panel: null, layers, layerStates: {}, selected: null, hour: null, follow: false, rain: null,
  });
}
