import { Cartesian3, Cartographic, SceneTransforms, type Scene } from "cesium";

/** Something that floats over the scene at a place: a name, a sensor, an incident. */
export interface Mark {
  id: string;
  lon: number;
  lat: number;
  /** Metres above the ground of that place. */
  lift: number;
  /** Higher goes first where two would cover each other. */
  rank: number;
  /** Metres from the camera beyond which it is not shown. */
  reach: number;
  element: HTMLElement;
  /** A pin shrinks to a dot where there is no room; a name goes away. */
  shrinks: boolean;
  group: string;
}

interface Placed extends Mark { position: Cartesian3 | null; width: number; height: number; state: string }
const ROOM = 22;
type Box = readonly [number, number, number, number];

/** Keeps DOM marks on their places in the scene: real elements, so that they can be focused, read and translated. */
export class Overlay {
  readonly #scene: Scene;
  readonly #root: HTMLElement;
  readonly #marks = new Map<string, Placed>();
  #order: Placed[] = [];
  #dirty = false;

  constructor(scene: Scene, root: HTMLElement) {
    this.#scene = scene;
    this.#root = root;
    scene.postRender.addEventListener(() => this.#place());
    scene.globe.tileLoadProgressEvent.addEventListener((left: number) => {
      if (left === 0) this.#ground();
    });
  }

  set(group: string, marks: Mark[]): void {
    for (const [id, mark] of this.#marks) {
      if (mark.group === group) {
        mark.element.remove();
        this.#marks.delete(id);
      }
    }
    for (const mark of marks) {
      mark.element.classList.add("mark");
      mark.element.hidden = true;
      this.#root.append(mark.element);
      this.#marks.set(mark.id, { ...mark, position: null, width: 0, height: 0, state: "" });
    }
    this.#order = [...this.#marks.values()].sort((a, b) => b.rank - a.rank);
    this.#ground();
  }

  /** Sizes are measured again: a text or the language has changed. */
  touch(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    // The scene itself has not changed: only the marks over it are laid out again.
    window.requestAnimationFrame(() => this.#dirty && this.#place());
  }

  raise(id: string, rank: number): void {
    const mark = this.#marks.get(id);
    if (!mark) return;
    mark.rank = rank;
    this.#order.sort((a, b) => b.rank - a.rank);
    this.touch();
  }

  #ground(): void {
    for (const mark of this.#order) {
      const ground = this.#scene.globe.getHeight(Cartographic.fromDegrees(mark.lon, mark.lat));
      if (ground === undefined && mark.position) continue;
      mark.position = Cartesian3.fromDegrees(mark.lon, mark.lat, (ground ?? 0) + mark.lift);
    }
    this.touch();
  }

  #measure(): void {
    this.#dirty = false;
    for (const mark of this.#order) {
      mark.element.hidden = false;
      mark.element.classList.remove("small", "speck");
    }
    for (const mark of this.#order) {
      mark.width = mark.element.offsetWidth;
      mark.height = mark.element.offsetHeight;
      mark.state = "";
    }
  }

  #place(): void {
    if (this.#dirty) this.#measure();
    const camera = this.#scene.camera.positionWC;
    const [w, h] = [this.#root.clientWidth, this.#root.clientHeight];
    const taken: Box[] = [];
    for (const mark of this.#order) {
      const point =
        mark.position && Cartesian3.distance(camera, mark.position) < mark.reach
          ? SceneTransforms.worldToWindowCoordinates(this.#scene, mark.position)
          : undefined;
      if (!point || point.x < -40 || point.y < -20 || point.x > w + 40 || point.y > h + 40) {
        this.#turn(mark, "hidden");
        continue;
      }
      const spot = this.#spot(mark, point.x, point.y, taken);
      this.#turn(mark, spot.state);
      if (spot.state === "hidden") continue;
      if (spot.state !== "speck") taken.push(spot.box);
      mark.element.style.transform = `translate(${point.x.toFixed(1)}px, ${(point.y + spot.shift).toFixed(1)}px) translate(-50%, -100%)`;
    }
  }

  /** Where a mark finds room: in its place, a line higher or lower for a name, small or as a speck for a pin. */
  #spot(mark: Placed, x: number, y: number, taken: readonly Box[]): { state: string; box: Box; shift: number } {
    const free = (box: Box): boolean => !taken.some((other) => crosses(box, other));
    for (const shift of mark.shrinks ? [0] : [0, -mark.height * 0.95, mark.height * 0.95]) {
      const box: Box = [x - mark.width / 2, y + shift - mark.height, x + mark.width / 2, y + shift];
      if (free(box)) return { state: "full", box, shift };
    }
    const small: Box = [x - ROOM / 2, y - ROOM, x + ROOM / 2, y];
    if (!mark.shrinks) return { state: "hidden", box: small, shift: 0 };
    return { state: free(small) ? "small" : "speck", box: small, shift: 0 };
  }

  #turn(mark: Placed, state: string): void {
    if (mark.state === state) return;
    mark.state = state;
    mark.element.hidden = state === "hidden";
    mark.element.classList.toggle("small", state === "small" || state === "speck");
    mark.element.classList.toggle("speck", state === "speck");
  }
}

function crosses(a: readonly number[], b: readonly number[]): boolean {
  return a[0]! < b[2]! + 4 && a[2]! + 4 > b[0]! && a[1]! < b[3]! + 2 && a[3]! + 2 > b[1]!;
}
