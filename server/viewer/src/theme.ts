import type { Api } from "./api.ts";
import { distanceTo, lines } from "./geo.ts";
import { GOLD, riskColour } from "./palette.ts";
import { Drape, type Stroke } from "./scene/drape.ts";
import type { Models } from "./scene/models.ts";
import type { Stage } from "./scene/stage.ts";
import { Store } from "./store.ts";
import type { CityTheme, Feature, LonLat } from "./types.ts";
import { levelsFrom } from "./wire.ts";

export interface ThemeState {
  status: "idle" | "loading" | "ready" | "running" | "failed" | "none";
  why: string;
  /** Counts of buildings by level 0..5 (0: insufficient data). */
  buildings: number[];
  streets: number[];
  rain: number | null;
  method: string;
  reason: string;
}
interface Executed { levels?: unknown; streets?: unknown; buildings?: unknown; summary?: unknown; figures?: Record<string, unknown>; reason?: unknown }

/** Streets of the lowest level stay in the background, as the buildings of that level do. */
const FAINT = "rgb(72 144 216 / 0.38)";
const EMPTY: ThemeState = { status: "idle", why: "", buildings: [], streets: [], rain: null, method: "", reason: "" };

/** A risk theme: the published levels, the trial levels of a dragged rain, and their colours on tiles and streets. */
export class Theme {
  readonly info: CityTheme;
  readonly state = new Store<ThemeState>(EMPTY);
  readonly #api: Api;
  readonly #models: Models;
  readonly #stage: Stage;
  #published: { buildings: Map<string, number>; streets: Map<string, number> } | null = null;
  #buildings = new Map<string, number>();
  #streets = new Map<string, number>();
  #features = new Map<string, Feature>();
  #paths = new Map<string, LonLat[]>();
  #drape: Drape | null = null;
  #on = false;
  #picked = "";
  #loading: Promise<void> | null = null;
  #abort: AbortController | null = null;
  #timer: number | undefined;

  constructor(api: Api, info: CityTheme, models: Models, stage: Stage) {
    this.#api = api;
    this.info = info;
    this.#models = models;
    this.#stage = stage;
  }

  get on(): boolean {
    return this.#on;
  }

  async turn(on: boolean): Promise<void> {
    this.#on = on;
    if (!on) {
      this.#models.paint(null);
      this.#drape?.clear();
      return;
    }
    await (this.#loading ??= this.#load());
    this.#paint();
  }

  level(oid: string): number | undefined {
    return this.#buildings.get(oid);
  }

  street(oid: string): { feature: Feature; level: number } | null {
    const feature = this.#features.get(oid);
    return feature ? { feature, level: this.#streets.get(oid) ?? 0 } : null;
  }

  /** The street section within `reach` metres of a place, nearest first. */
  streetAt(place: LonLat, reach: number): string | null {
    let best: string | null = null;
    let least = reach;
    for (const [oid, path] of this.#paths) {
      const first = path[0];
      if (!first || Math.abs(first[0] - place[0]) > 0.006 || Math.abs(first[1] - place[1]) > 0.005) continue;
      const distance = distanceTo(place, path);
      if (distance < least) [best, least] = [oid, distance];
    }
    return best;
  }

  pickStreet(oid: string): void {
    if (oid === this.#picked) return;
    this.#picked = oid;
    if (this.#on) this.#drawStreets();
  }

  /** Runs the zoning for another rain a moment after the last call; null goes back to the published levels. */
  rain(mm: number | null, delay = 350): void {
    window.clearTimeout(this.#timer);
    this.#abort?.abort();
    if (mm === null) {
      if (!this.#published) return;
      this.#buildings = this.#published.buildings;
      this.#streets = this.#published.streets;
      this.state.set({ rain: null, status: "ready", reason: "" });
      this.#paint();
      return;
    }
    this.state.set({ rain: mm });
    this.#timer = window.setTimeout(() => void this.#execute(mm), delay);
  }

  async #execute(mm: number): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    // The published levels come first: arriving later they would paint over the trial.
    await (this.#loading ??= this.#load());
    if (abort.signal.aborted) return;
    this.state.set({ status: "running" });
    try {
      const path = `${this.info.process}/execution`;
      const result = await this.#api.post<Executed>(path, { inputs: { rain_mm: mm } }, abort.signal);
      if (abort.signal.aborted) return;
      this.#buildings = levelsFrom(result.levels ?? result.buildings);
      if (result.streets) this.#streets = levelsFrom(result.streets);
      this.state.set({ status: "ready", reason: wordsOf(result.summary ?? result.reason) });
      this.#paint();
    } catch (error) {
      if ((error as Error).name === "AbortError") return;
      this.state.set({ status: "failed", why: (error as Error).message });
    }
  }

  async #load(): Promise<void> {
    this.state.set({ status: "loading" });
    try {
      const [state, streets] = await Promise.all([
        this.#api.get<{ levels?: unknown; method?: string }>(this.info.buildings),
        this.#api.features(this.info.streets).catch(() => []),
      ]);
      this.#buildings = levelsFrom(state.levels);
      this.#takeStreets(streets);
      this.#published = { buildings: this.#buildings, streets: this.#streets };
      this.state.set({ status: this.#buildings.size > 0 ? "ready" : "none", method: state.method ?? "" });
    } catch (error) {
      this.#loading = null;
      this.state.set({ status: "failed", why: (error as Error).message });
    }
  }

  #takeStreets(features: Feature[]): void {
    this.#streets = new Map();
    const strokes: Stroke[] = [];
    for (const feature of features) {
      const oid = String(feature.properties["oid"] ?? feature.id ?? "");
      const level = Number(feature.properties["level"] ?? 0) || 0;
      const path = lines(feature.geometry)[0];
      if (!oid || !path) continue;
      this.#streets.set(oid, level);
      this.#features.set(oid, feature);
      this.#paths.set(oid, path);
      strokes.push({ path, oid, metres: Number(feature.properties["width"]) || 9, least: 1.6, order: level });
    }
    this.#drape?.clear();
    this.#drape = new Drape(this.#stage.widget.scene, strokes, 0.95);
  }

  #drawStreets(): void {
    this.#drape?.draw(({ oid }) => {
      if (oid === this.#picked) return GOLD;
      const level = this.#streets.get(oid) ?? 0;
      return level > 1 ? riskColour(level) : level === 1 ? FAINT : null;
    });
    this.#stage.widget.scene.requestRender();
  }

  #paint(): void {
    this.state.set({ buildings: tally(this.#buildings), streets: tally(this.#streets) });
    if (!this.#on || this.#buildings.size === 0) return;
    this.#models.paint(this.#buildings);
    this.#drawStreets();
  }
}

function tally(levels: ReadonlyMap<string, number>): number[] {
  const counts = [0, 0, 0, 0, 0, 0];
  for (const level of levels.values()) counts[level] = (counts[level] ?? 0) + 1;
  return counts;
}

/** A summary that may be a sentence, a list of sentences or {zh, en}; kept as one string, languages split by a line break. */
function wordsOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(wordsOf).join(" ");
  if (value && typeof value === "object") {
    const { zh, en } = value as { zh?: unknown; en?: unknown };
    if (typeof zh === "string" || typeof en === "string") return `${String(zh ?? en)}\n${String(en ?? zh)}`;
  }
  return "";
}
