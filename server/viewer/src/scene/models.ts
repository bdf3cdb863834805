import {
  Cesium3DTileColorBlendMode, Cesium3DTileFeature, Cesium3DTileset, Cesium3DTileStyle, Color, PointCloudShading, ShadowMode, type Scene,
} from "cesium";
import type { Api } from "../api.ts";
import { GOLD, PLAIN, riskColour } from "../palette.ts";
import { OPENING, type Quality } from "../quality.ts";
import type { City } from "../types.ts";
import type { Look } from "./look.ts";

/** The shader's word for "conjectural": lighter, dotted. Any other colour is used as it is. */
const CONJECTURE = "#FEFDFC";
/** The shader's word for "stands in for an old house": grey tile above, brick below. */
const STAND_IN = "#FDFEFC";
/** The shader's words for a block that stands for many houses, and for many old ones. */
const CROWD = "#FCFEFD";
const OLD_CROWD = "#FDFCFE";
/** The shader's word for "nobody lives here": no windows by night. */
const STONE = "#FEFCFD";
const WORDS = new Set([CONJECTURE, STAND_IN, CROWD, OLD_CROWD, STONE]);
const STONES = new Set(["curtain", "bastion", "corner", "merlons", "ramp", "platform", "control_platform", "panel", "posts"]);
const CONJECTURAL = new Set(["conjectural", "unknown"]);

interface DetailContent { url: string; featuresLength: number; getFeature: (index: number) => Cesium3DTileFeature }

/** Detailed models are heavy and have blocks to stand in for them, so they may come a little later; points must lie closer. */
const patience = (id: string): number => ({ l3: 1.4, points: 0.3 })[id] ?? 1;
const BUILDINGS = ["l2", "l3"];
/** Edges of buildings, where their tiles bring some: a pencil, not ink. */
const EDGES = Color.fromBytes(52, 46, 38, 110);
const SHADOWS: Record<string, ShadowMode> = { surfaces: ShadowMode.RECEIVE_ONLY, pipes: ShadowMode.DISABLED, points: ShadowMode.DISABLED };

/** Grey tile where an old house is meant, the pattern of many roofs where a block stands for neighbours too. */
function blockColour(feature: Cesium3DTileFeature): string {
  const old = Number(feature.getProperty("has_l3") ?? 0) > 0;
  if (Number(feature.getProperty("members") ?? 1) > 1) return old ? OLD_CROWD : CROWD;
  return old ? STAND_IN : PLAIN;
}

/** The tilesets of the city and the colour of every building in them, told apart by oid. */
export class Models {
  readonly sets = new Map<string, Cesium3DTileset>();
  readonly failures: { id: string; why: string }[] = [];
  readonly #scene: Scene;
  readonly #shown = new Map<string, boolean>();
  readonly #applied = new Map<string, string>();
  readonly #oids = new WeakMap<object, string[]>();
  readonly #inView = new Set<DetailContent>();
  #detailed = new Set<string>();
  #seen = "";
  #due: number | undefined;
  #hidden = false;
  #opening = true;
  #levels: ReadonlyMap<string, number> | null = null;
  #selected: string | null = null;
  readonly #waiting = new Map<string, () => Promise<void>>();
  readonly #covers = new Set<string>();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async open(api: Api, city: City, quality: Quality, look: Look, tell: (id: string, done: boolean) => void): Promise<void> {
    // A slow machine fetches the tiles of the first view without drawing them in every hidden frame.
    this.#hidden = quality.name === "still";
    const openOne = async (id: string, url: string): Promise<void> => {
      try {
        const set = await Cesium3DTileset.fromUrl(api.url(url), {
          maximumScreenSpaceError: this.#opening ? OPENING.tiles * (id === "l3" ? 0.8 : 1) : quality.tileError * patience(id),
          // Blocks shade the ground; their own sides get their shade from the light itself, free of the stripes of a shadow map.
          shadows: SHADOWS[id] ?? ShadowMode.CAST_ONLY,
          dynamicScreenSpaceError: false,
          preloadFlightDestinations: true,
          cullRequestsWhileMovingMultiplier: 20,
          enableCollision: false,
          outlineColor: EDGES,
        });
        this.#dress(id, set, look);
        this.sets.set(id, set);
        this.#scene.primitives.add(set);
        tell(id, true);
      } catch (error) {
        this.failures.push({ id, why: (error as Error).message || String(error) });
        tell(id, false);
      }
    };
    for (const { id, url } of city.tilesets) if (!BUILDINGS.includes(id)) this.#waiting.set(id, () => openOne(id, url));
    await Promise.all(city.tilesets.filter(({ id }) => BUILDINGS.includes(id)).map(({ id, url }) => openOne(id, url)));
    this.#restyle();
  }

  /** Trees, surfaces and pipes come after the first view, and only those that are asked for. */
  async #openWaiting(): Promise<void> {
    if (this.#opening) return;
    const asked = [...this.#waiting].filter(([id]) => this.#shown.get(id) ?? false);
    for (const [id] of asked) this.#waiting.delete(id);
    await Promise.all(asked.map(([, open]) => open()));
    this.#restyle();
  }

  show(id: string, on: boolean): void {
    this.#shown.set(id, on);
    const set = this.sets.get(id);
    if (set) set.show = on && !this.#hidden;
    if (id === "l3" && !on) this.#standIn(new Set());
    void this.#openWaiting();
    this.#scene.requestRender();
  }

  /** Shows or hides classes of the ground cover; its tileset is there as long as any is on. */
  showCover(kinds: readonly string[], on: boolean): void {
    for (const kind of kinds) {
      if (on) this.#covers.add(kind);
      else this.#covers.delete(kind);
    }
    this.show("surfaces", this.#covers.size > 0);
    this.sets.get("surfaces")?.makeStyleDirty();
  }

  /** The tileset that a feature belongs to. */
  setOf(feature: Cesium3DTileFeature): string {
    return [...this.sets].find(([, set]) => set === feature.tileset)?.[0] ?? "";
  }

  /** Draws what was fetched unseen. */
  reveal(): void {
    this.#hidden = this.#opening = false;
    void this.#openWaiting();
    for (const [id, set] of this.sets) {
      set.show = this.#shown.get(id) ?? true;
      set.preloadWhenHidden = false;
    }
    this.#scene.requestRender();
  }

  /** Permitted screen error in pixels; smaller shows more and loads more. */
  setError(pixels: number): void {
    for (const [id, set] of this.sets) set.maximumScreenSpaceError = pixels * patience(id);
    this.#scene.requestRender();
  }

  /** Levels by oid paint the theme on the very same tiles; null gives the city its own colours back. */
  paint(levels: ReadonlyMap<string, number> | null): void {
    this.#levels = levels;
    this.#restyle();
  }

  select(oid: string | null): void {
    if (this.#selected === oid) return;
    this.#selected = oid;
    this.#restyle();
  }

  /** CSS colour last given to a building on screen; null where none of its tiles is loaded. */
  colourOf(oid: string): string | null {
    const colour = this.#applied.get(oid) ?? null;
    return colour !== null && WORDS.has(colour) ? PLAIN : colour;
  }

  /** True while the detailed model of a building is on the screen instead of its block. */
  isDetailed(oid: string): boolean {
    return this.#detailed.has(oid);
  }

  get loaded(): boolean {
    return [...this.sets].every(([id, set]) => this.#shown.get(id) === false || set.tilesLoaded);
  }

  oidOf(feature: Cesium3DTileFeature): string {
    const content = (feature as unknown as { content: object }).content;
    const known = this.#oids.get(content) ?? [];
    if (!this.#oids.has(content)) this.#oids.set(content, known);
    const id = feature.featureId;
    return (known[id] ??= String(feature.getProperty("oid") ?? ""));
  }

  #dress(id: string, set: Cesium3DTileset, look: Look): void {
    set.customShader = id === "surfaces" ? look.groundShader : look.shader;
    // Almost no blending by the engine itself: the shader reads the style colour and lights it.
    set.colorBlendMode = Cesium3DTileColorBlendMode.MIX;
    set.colorBlendAmount = 0.0001;
    set.environmentMapManager.enabled = false;
    set.show = !this.#hidden && (this.#shown.get(id) ?? true);
    set.preloadWhenHidden = this.#hidden;
    if (id === "l3") {
      set.tileVisible.addEventListener((tile: { content: DetailContent }) => void this.#inView.add(tile.content));
      this.#scene.postRender.addEventListener(() => this.#watchDetail());
    }
    set.tileFailed.addEventListener((event: { url: string; message: string }) => {
      if (!this.failures.some((failure) => failure.id === id)) this.failures.push({ id, why: event.message });
    });
    if (id === "points") {
      // Points have colours of their own and no features to ask; from afar they are as large as the gaps between them.
      set.customShader = undefined;
      set.pointCloudShading = new PointCloudShading({ attenuation: true, maximumAttenuation: 6 });
      return;
    }
    const scratch = new Color();
    const style = new Cesium3DTileStyle();
    const paint = {
      evaluate: (feature: Cesium3DTileFeature) => this.#colour(id, feature),
      evaluateColor: (feature: Cesium3DTileFeature, result?: Color) =>
        Color.fromCssColorString(this.#colour(id, feature), result ?? scratch),
    };
    const visible = { evaluate: (feature: Cesium3DTileFeature) => this.#visible(id, feature) };
    Object.assign(style, { color: paint, show: visible });
    set.style = style;
  }

  #colour(id: string, feature: Cesium3DTileFeature): string {
    const oid = this.oidOf(feature);
    let colour = PLAIN;
    if (oid !== "" && oid === this.#selected) colour = GOLD;
    else if (!BUILDINGS.includes(id)) return STONE;
    else if (this.#levels) colour = this.#levels.has(oid) ? riskColour(this.#levels.get(oid)) : PLAIN;
    else if (id === "l3" && CONJECTURAL.has(String(feature.getProperty("evidence") ?? ""))) colour = CONJECTURE;
    else if (id === "l3" && STONES.has(String(feature.getProperty("part") ?? ""))) colour = STONE;
    else if (id === "l2") colour = blockColour(feature);
    if (oid !== "") this.#applied.set(oid, colour);
    return colour;
  }

  #visible(id: string, feature: Cesium3DTileFeature): boolean {
    if (id === "surfaces") return this.#covers.has(String(feature.getProperty("class") ?? ""));
    // From afar a block bears the oid of its largest building and stands for its neighbours too: it stays for them.
    return id !== "l2" || !this.#detailed.has(this.oidOf(feature)) || Number(feature.getProperty("members") ?? 1) > 1;
  }

  /** A block stands for its detailed model until that one is really on the screen, and again when it leaves. */
  #watchDetail(): void {
    const key = [...this.#inView].map((content) => content.url).sort().join(" ");
    const contents = [...this.#inView];
    this.#inView.clear();
    if (key === this.#seen) return;
    this.#seen = key;
    window.clearTimeout(this.#due);
    this.#due = window.setTimeout(() => {
      const oids = new Set<string>();
      for (const content of contents) {
        for (let i = 0; i < content.featuresLength; i += 1) oids.add(this.oidOf(content.getFeature(i)));
      }
      this.#standIn(oids);
    }, 120);
  }

  #standIn(detailed: Set<string>): void {
    this.#detailed = this.#shown.get("l3") === false ? new Set() : detailed;
    this.sets.get("l2")?.makeStyleDirty();
    this.#scene.requestRender();
  }

  #restyle(): void {
    for (const set of this.sets.values()) set.makeStyleDirty();
    this.#scene.requestRender();
  }
}
