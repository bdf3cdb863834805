import type { Models } from "./models.ts";
import type { Stage } from "./stage.ts";

const MOVING = 0.5;
const REST_MS = 380;
const TILE_MS = 60;

/**
 * How hard the machine works. Where rendering is slow, the hidden frames of loading are small, moving frames are half as
 * wide, and the full picture is drawn once when nothing moves. Levels of detail do not depend on it.
 */
export class Effort {
  readonly #stage: Stage;
  readonly #models: Models;
  readonly #slow: boolean;
  #opened = false;
  #rest: number | undefined;

  constructor(stage: Stage, models: Models) {
    this.#stage = stage;
    this.#models = models;
    this.#slow = stage.quality.name === "still";
    if (!this.#slow) {
      stage.look.setStill(true);
      return;
    }
    const { camera, globe } = stage.widget.scene;
    // A frame costs far more here than the few milliseconds the engine grants to tiles in each of them.
    const queue = (globe as unknown as { _surface?: { _loadQueueTimeSlice?: number } })._surface;
    if (queue?._loadQueueTimeSlice) queue._loadQueueTimeSlice = TILE_MS;
    for (const event of [camera.moveStart, camera.changed]) event.addEventListener(() => this.#stir());
    camera.percentageChanged = 0.02;
    // Tiles come in frame by frame: small frames while they do, or a new layer would creep in.
    globe.tileLoadProgressEvent.addEventListener((left: number) => {
      if (left > 2) this.#stir();
    });
  }

  /** The opening picture is loaded: it is drawn whole before anyone is told, then the view begins to refine. */
  async open(): Promise<void> {
    this.#opened = true;
    if (this.#slow) this.#scale(1);
    this.#models.reveal();
    await this.#frame();
    this.#coarser(this.#stage.quality.firstLook);
    this.#stage.widget.scene.screenSpaceCameraController.enableCollisionDetection = true;
    if (this.#slow) this.#stir();
  }

  /** The view is whole: what the eye may still find coarse comes now. */
  refine(): void {
    this.#coarser(1);
    this.#stage.look.ripple();
  }

  /** Errors `times` those of the finished view, those of the ground by the square of it. */
  #coarser(times: number): void {
    const { quality, widget } = this.#stage;
    widget.scene.globe.maximumScreenSpaceError = quality.globeError * times * times;
    this.#models.setError(quality.tileError * times);
  }

  #stir(): void {
    if (!this.#opened) return;
    this.#stage.look.setStill(false);
    this.#scale(MOVING);
    window.clearTimeout(this.#rest);
    this.#rest = window.setTimeout(() => this.#settle(), REST_MS);
  }

  #settle(): void {
    window.clearTimeout(this.#rest);
    if (!this.#stage.widget.scene.globe.tilesLoaded || !this.#models.loaded) {
      this.#stage.widget.scene.requestRender();
      this.#rest = window.setTimeout(() => this.#settle(), REST_MS / 2);
      return;
    }
    this.#scale(1);
    this.#stage.look.setStill(true);
  }

  #scale(share: number): void {
    const wanted = this.#stage.quality.pixelRatio * share;
    if (this.#stage.widget.resolutionScale !== wanted) this.#stage.widget.resolutionScale = wanted;
    this.#stage.widget.scene.requestRender();
  }

  #frame(): Promise<void> {
    const { scene } = this.#stage.widget;
    return new Promise((done) => {
      const stop = scene.postRender.addEventListener(() => {
        stop();
        done();
      });
      scene.requestRender();
    });
  }
}
