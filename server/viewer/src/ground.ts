import type { Api } from "./api.ts";
import { centre, lines } from "./geo.ts";
import { named } from "./i18n.ts";
import { Drape, type Stroke } from "./scene/drape.ts";
import type { Mark, Overlay } from "./scene/overlay.ts";
import type { Stage } from "./scene/stage.ts";
import type { LayerId, LayerState, View } from "./state.ts";
import type { City, Feature, Lang } from "./types.ts";
import { h } from "./ui/dom.ts";

interface Kind { metres: number; least: number; day: string; night: string; order: number }
const CLASSES: Record<string, Kind> = {
  motorway: { metres: 26, least: 2.2, day: "#f3d9a8", night: "#ffb55c", order: 5 },
  trunk: { metres: 24, least: 2, day: "#f6e3bf", night: "#f7a64e", order: 5 },
  primary: { metres: 20, least: 1.8, day: "#fbf1dc", night: "#eb9a48", order: 4 },
  secondary: { metres: 14, least: 1.3, day: "#fffaf0", night: "#c98443", order: 3 },
  tertiary: { metres: 10, least: 1, day: "#ffffff", night: "#93683d", order: 2 },
  residential: { metres: 7, least: 0.7, day: "#ffffff", night: "#6c543a", order: 1 },
  rail: { metres: 4, least: 1.2, day: "#6d665c", night: "#77808c", order: 6 },
};
const LANE: Kind = { metres: 4, least: 0.5, day: "#fffdf8", night: "#4d4236", order: 0 };

interface Place { oid: string; zh: string; en: string; lon: number; lat: number; lift: number; rank: number; reach: number; kind: string }

/** Lines, waters and names: fetched when first shown, drawn onto the ground or over the scene. */
export class Ground {
  readonly #api: Api;
  readonly #city: City;
  readonly #stage: Stage;
  readonly #overlay: Overlay;
  readonly #view: View;
  readonly #drapes = new Map<string, Drape>();
  readonly #busy = new Set<string>();
  #places: Place[] | null = null;
  #pick: (oid: string) => void = () => undefined;

  constructor(api: Api, city: City, stage: Stage, overlay: Overlay, view: View) {
    this.#api = api;
    this.#city = city;
    this.#stage = stage;
    this.#overlay = overlay;
    this.#view = view;
  }

  onPick(call: (oid: string) => void): void {
    this.#pick = call;
  }

  async show(id: LayerId, on: boolean): Promise<void> {
    if (id === "labels") return this.#showLabels(on);
    if (!on) {
      this.#drapes.get(id)?.clear();
      this.#stage.widget.scene.requestRender();
      return;
    }
    if (!this.#drapes.has(id) && !this.#busy.has(id)) await this.#fetch(id);
    if (this.#view.value.layers[id]) this.#draw(id);
  }

  redraw(): void {
    for (const [id, drape] of this.#drapes) if (drape.visible) this.#draw(id);
  }

  relabel(): void {
    if (this.#places && this.#view.value.layers["labels"]) this.#setLabels(this.#places);
  }

  #draw(id: string): void {
    const night = this.#view.value.night;
    if (id === "roads") {
      this.#drapes.get(id)?.draw(({ oid }) => (CLASSES[oid] ?? LANE)[night ? "night" : "day"]);
    } else {
      this.#drapes.get(id)?.draw(() => (night ? "#1d3a55" : "#5f93a8"));
    }
    this.#stage.widget.scene.requestRender();
  }

  async #fetch(id: LayerId): Promise<void> {
    this.#busy.add(id);
    this.#tell(id, "loading");
    try {
      const strokes = id === "roads" ? await this.#roads() : await this.#waters();
      this.#drapes.set(id, new Drape(this.#stage.widget.scene, strokes, id === "roads" ? 0.85 : 0.75));
      this.#tell(id, strokes.length > 0 ? "ready" : "empty");
    } catch {
      this.#tell(id, "failed");
    } finally {
      this.#busy.delete(id);
    }
  }

  #tell(id: string, state: LayerState): void {
    this.#view.set({ layerStates: { ...this.#view.value.layerStates, [id]: state } });
  }

  /** Address of a layer's features; null where this city has no such layer, so that nothing is asked in vain. */
  #path(id: string): string | null {
    const url = this.#city.layers.find((layer) => layer.id === id)?.url;
    if (!url) return null;
    return url.includes("limit=") ? url : `${url}${url.includes("?") ? "&" : "?"}limit=10000`;
  }

  /** The class of the road travels in the stroke's oid: roads are not picked here, only coloured by class. */
  async #roads(): Promise<Stroke[]> {
    const path = this.#path("roads");
    const features = path ? await this.#api.features(path) : [];
    return features.flatMap((feature) => {
      const name = String(feature.properties["road_class"] ?? "");
      const kind = CLASSES[name] ?? LANE;
      const metres = Number(feature.properties["width"]) || kind.metres;
      return lines(feature.geometry).map((path) => ({ path, oid: name, metres, least: kind.least, order: kind.order }));
    });
  }

  async #waters(): Promise<Stroke[]> {
    const [rivers, water] = await Promise.all([this.#ask(this.#path("rivers")), this.#ask(this.#path("water"))]);
    const strokes: Stroke[] = [];
    for (const feature of rivers) {
      const metres = Number(feature.properties["width"]) || 20;
      for (const path of lines(feature.geometry)) strokes.push({ path, oid: "", metres, least: 1.2 });
    }
    for (const feature of water) {
      for (const path of lines(feature.geometry)) strokes.push({ path, oid: "", metres: 0, least: 0, fill: true });
    }
    return strokes;
  }

  async #ask(path: string | null): Promise<Feature[]> {
    return path ? this.#api.features(path).catch(() => []) : [];
  }

  async #showLabels(on: boolean): Promise<void> {
    if (!on) {
      this.#overlay.set("labels", []);
      return;
    }
    if (!this.#places) {
      this.#tell("labels", "loading");
      try {
        this.#places = await this.#readPlaces();
        this.#tell("labels", this.#places.length > 0 ? "ready" : "empty");
      } catch {
        this.#tell("labels", "failed");
        return;
      }
    }
    if (this.#view.value.layers["labels"]) this.#setLabels(this.#places);
  }

  #setLabels(places: Place[]): void {
    const lang: Lang = this.#view.value.lang;
    this.#overlay.set("labels", places.map((place) => this.#label(place, named(lang, place.zh, place.en))));
  }

  #label(place: Place, name: string): Mark {
    const element =
      place.kind === "building"
        ? h("button", { type: "button", class: "label label-building", tabindex: -1, onclick: () => this.#pick(place.oid) }, name)
        : h("span", { class: `label label-${place.kind}` }, name);
    return {
      id: `label:${place.oid}`, lon: place.lon, lat: place.lat, lift: place.lift, rank: place.rank, reach: place.reach, element,
      shrinks: false, group: "labels",
    };
  }

  async #readPlaces(): Promise<Place[]> {
    const [heritage, religious, divisions, rivers] = await Promise.all([
      this.#ask("/collections/buildings/items?function=heritage&limit=1000"),
      this.#ask("/collections/buildings/items?function=religious&limit=1000"),
      this.#ask(this.#path("divisions")),
      this.#ask(this.#path("rivers")),
    ]);
    const best = new Map<string, Place>();
    for (const feature of [...heritage, ...religious]) {
      const place = buildingPlace(feature);
      // A compound of many halls carries one name once: its tallest hall speaks for it.
      if (place && (best.get(place.zh)?.rank ?? -1) < place.rank) best.set(place.zh, place);
    }
    const places = [...best.values()];
    for (const feature of divisions) {
      const level = String(feature.properties["division_level"] ?? "");
      const reach = level === "district" ? 26000 : level === "street" ? 9000 : 0;
      pushPlace(places, feature, "division", level === "district" ? 30 : 14, reach, 30);
    }
    const named = new Set<string>();
    for (const feature of rivers) {
      if (named.has(String(feature.properties["name"]))) continue;
      named.add(String(feature.properties["name"]));
      pushPlace(places, feature, "river", 22, 16000, 4);
    }
    return places;
  }
}

function buildingPlace(feature: Feature): Place | null {
  const p = feature.properties;
  const at = centre(feature.geometry);
  if (!at || !p["name"]) return null;
  const height = Number(p["height_m"]) || Number(p["height"]) || 8;
  return {
    oid: String(p["oid"] ?? feature.id), zh: String(p["name"]), en: String(p["name_en"] ?? ""), lon: at[0], lat: at[1], lift: height + 4,
    rank: 40 + Math.min(height, 40) / 2 + (p["heritage"] ? 12 : 0), reach: 1500 + 160 * Math.min(height, 30), kind: "building",
  };
}

function pushPlace(places: Place[], feature: Feature, kind: string, rank: number, reach: number, lift: number): void {
  const at = centre(feature.geometry);
  const name = String(feature.properties["name"] ?? "");
  if (!at || !name || reach === 0) return;
  const oid = String(feature.properties["oid"] ?? feature.id ?? name);
  places.push({ oid, zh: name, en: String(feature.properties["name_en"] ?? ""), lon: at[0], lat: at[1], lift, rank, reach, kind });
}
