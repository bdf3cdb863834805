import { Credit, Event, ImageryLayer, Rectangle, WebMercatorTilingScheme, type ImageryProvider, type Scene } from "cesium";
import { boxOf, mercator } from "../geo.ts";
import type { LonLat } from "../types.ts";

/** One drawn thing: a line with a width in metres or a filled ring; colours are looked up while drawing. */
export interface Stroke {
  path: LonLat[];
  oid: string;
  metres: number;
  least: number;
  fill?: boolean;
  order?: number;
}
export type Paint = (stroke: Stroke) => string | null;

interface Ready { stroke: Stroke; points: [number, number][]; box: [number, number, number, number] }
const SIZE = 512;
const EQUATOR = 40075016.7;

/** Lines and areas painted into ground pictures on the fly: they lie on any terrain at the price of an image tile. */
class DrapeProvider {
  readonly tileWidth = SIZE;
  readonly tileHeight = SIZE;
  readonly minimumLevel = 9;
  readonly maximumLevel: number;
  readonly tilingScheme = new WebMercatorTilingScheme();
  readonly rectangle: Rectangle;
  readonly tileDiscardPolicy = undefined;
  readonly errorEvent = new Event();
  readonly credit = undefined as unknown as Credit;
  readonly proxy = undefined;
  readonly hasAlphaChannel = true;
  readonly #ready: Ready[];
  readonly #paint: Paint;

  constructor(ready: Ready[], box: [number, number, number, number], paint: Paint, deepest: number) {
    this.#ready = ready;
    this.#paint = paint;
    this.maximumLevel = deepest;
    this.rectangle = Rectangle.fromDegrees(box[0] - 1e-4, box[1] - 1e-4, box[2] + 1e-4, box[3] + 1e-4);
  }

  getTileCredits(): Credit[] {
    return [];
  }

  pickFeatures(): undefined {
    return undefined;
  }

  requestImage(x: number, y: number, level: number): Promise<HTMLCanvasElement> {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIZE;
    const ink = canvas.getContext("2d");
    if (ink) this.#draw(ink, x, y, level);
    return Promise.resolve(canvas);
  }

  #draw(ink: CanvasRenderingContext2D, x: number, y: number, level: number): void {
    const n = 2 ** level;
    const scale = SIZE * n;
    const lat = Math.atan(Math.sinh(Math.PI * (1 - (2 * (y + 0.5)) / n)));
    const perMetre = scale / (EQUATOR * Math.cos(lat));
    const margin = 24 / scale;
    const [west, north, east, south] = [x / n - margin, y / n - margin, (x + 1) / n + margin, (y + 1) / n + margin];
    ink.lineCap = "round";
    ink.lineJoin = "round";
    for (const { stroke, points, box } of this.#ready) {
      if (box[0] > east || box[2] < west || box[1] > south || box[3] < north) continue;
      const colour = this.#paint(stroke);
      if (!colour) continue;
      ink.beginPath();
      points.forEach(([px, py], i) => {
        const at: [number, number] = [px * scale - x * SIZE, py * scale - y * SIZE];
        if (i === 0) ink.moveTo(...at);
        else ink.lineTo(...at);
      });
      if (stroke.fill) {
        ink.fillStyle = colour;
        ink.fill("evenodd");
      } else {
        ink.strokeStyle = colour;
        ink.lineWidth = Math.max(stroke.least, stroke.metres * perMetre);
        ink.stroke();
      }
    }
  }
}

/** A layer of strokes that can change its colours without a flash: the new picture waits for the old one to be covered. */
export class Drape {
  readonly strokes: Stroke[];
  readonly #scene: Scene;
  readonly #ready: Ready[];
  readonly #box: [number, number, number, number];
  readonly #deepest: number;
  #layer: ImageryLayer | null = null;
  #alpha: number;
  #waking: number | undefined;
  readonly #stale = new Set<ImageryLayer>();

  constructor(scene: Scene, strokes: Stroke[], alpha = 1, deepest = 16) {
    this.#scene = scene;
    this.#alpha = alpha;
    this.#deepest = deepest;
    this.strokes = [...strokes].sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
    this.#box = boxOf(this.strokes.map((stroke) => stroke.path));
    this.#ready = this.strokes.map((stroke) => {
      const points = stroke.path.map(mercator);
      const xs = points.map((p) => p[0]);
      const ys = points.map((p) => p[1]);
      return { stroke, points, box: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] };
    });
  }

  draw(paint: Paint): void {
    if (this.strokes.length === 0) return;
    for (const old of this.#stale) this.#scene.imageryLayers.remove(old);
    this.#stale.clear();
    const before = this.#layer;
    if (before) this.#stale.add(before);
    const provider = new DrapeProvider(this.#ready, this.#box, paint, this.#deepest);
    this.#layer = new ImageryLayer(provider as unknown as ImageryProvider, { alpha: this.#alpha });
    this.#scene.imageryLayers.add(this.#layer);
    this.#wake();
  }

  /** Our pictures come from no network, so nobody else asks for the frames in which the ground takes them up. */
  #wake(): void {
    window.clearInterval(this.#waking);
    let calm = 0;
    this.#waking = window.setInterval(() => {
      this.#scene.requestRender();
      calm = this.#scene.globe.tilesLoaded ? calm + 1 : 0;
      if (calm < 6) return;
      window.clearInterval(this.#waking);
      for (const old of this.#stale) this.#scene.imageryLayers.remove(old);
      this.#stale.clear();
      this.#scene.requestRender();
    }, 60);
  }

  clear(): void {
    window.clearInterval(this.#waking);
    for (const old of this.#stale) this.#scene.imageryLayers.remove(old);
    this.#stale.clear();
    if (this.#layer) this.#scene.imageryLayers.remove(this.#layer);
    this.#layer = null;
  }

  get visible(): boolean {
    return this.#layer !== null;
  }
}
