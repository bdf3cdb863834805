import { Cartesian2, Cartesian3, Cartographic, EasingFunction, HeadingPitchRange, Math as CMath, Matrix4, PerspectiveFrustum, Transforms, type Scene } from "cesium";
import type { CityView } from "../types.ts";

const UPRIGHT = (36 * Math.PI) / 180;
const still = (): boolean => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Where the camera stands and how it gets somewhere: eased, under two seconds, interruptible. */
export class CityCamera {
  readonly #scene: Scene;
  readonly #home: CityView;

  constructor(scene: Scene, home: CityView) {
    this.#scene = scene;
    this.#home = home;
    this.#lens();
    new ResizeObserver(() => this.#lens()).observe(scene.canvas);
    this.set(home);
  }

  /** A wall of screens sees wider, not closer: the upright angle stays, the level one grows up to a limit. */
  #lens(): void {
    const { clientWidth: w, clientHeight: h } = this.#scene.canvas;
    const { frustum } = this.#scene.camera;
    if (!(frustum instanceof PerspectiveFrustum) || h === 0) return;
    frustum.fov = w > h ? Math.min(1.75, 2 * Math.atan((Math.tan(UPRIGHT / 2) * w) / h)) : CMath.toRadians(60);
    this.#scene.requestRender();
  }

  set(view: CityView): void {
    this.#scene.camera.setView({
      destination: Cartesian3.fromDegrees(view.lon, view.lat, view.height),
      orientation: { heading: CMath.toRadians(view.heading), pitch: CMath.toRadians(view.pitch), roll: 0 },
    });
    this.#scene.requestRender();
  }

  home(): Promise<void> {
    const view = this.#home;
    return this.#fly(
      Cartesian3.fromDegrees(view.lon, view.lat, view.height), CMath.toRadians(view.heading), CMath.toRadians(view.pitch),
    );
  }

  /** Looks at a place from `range` metres away, keeping the heading. */
  to(lon: number, lat: number, range: number, lift = 0): Promise<void> {
    const ground = this.#scene.globe.getHeight(Cartographic.fromDegrees(lon, lat)) ?? this.#middleHeight();
    const target = Cartesian3.fromDegrees(lon, lat, ground + lift);
    const camera = this.#scene.camera;
    const heading = camera.heading;
    const pitch = CMath.toRadians(-32);
    const frame = Transforms.eastNorthUpToFixedFrame(target);
    const flat = Math.cos(pitch) * range;
    const offset = new Cartesian3(-Math.sin(heading) * flat, -Math.cos(heading) * flat, -Math.sin(pitch) * range);
    return this.#fly(Matrix4.multiplyByPoint(frame, offset, new Cartesian3()), heading, pitch);
  }

  north(): void {
    this.#around((_, pitch, range) => [0, pitch, range]);
  }

  zoom(factor: number): void {
    this.#around((heading, pitch, range) => [heading, pitch, Math.max(40, Math.min(60000, range * factor))]);
  }

  turn(headingDegrees: number, pitchDegrees: number): void {
    this.#around((heading, pitch, range) => [
      heading + CMath.toRadians(headingDegrees),
      Math.max(CMath.toRadians(-89), Math.min(CMath.toRadians(-8), pitch + CMath.toRadians(pitchDegrees))),
      range,
    ]);
  }

  /** Moves over the ground by fractions of the viewing distance. */
  pan(right: number, ahead: number): void {
    const camera = this.#scene.camera;
    const target = this.#middle();
    const range = target ? Cartesian3.distance(camera.positionWC, target) : 2000;
    const frame = Transforms.eastNorthUpToFixedFrame(camera.positionWC);
    const [s, c] = [Math.sin(camera.heading), Math.cos(camera.heading)];
    const step = new Cartesian3((right * c + ahead * s) * range, (ahead * c - right * s) * range, 0);
    const there = Matrix4.multiplyByPoint(frame, step, new Cartesian3());
    camera.setView({ destination: there, orientation: { heading: camera.heading, pitch: camera.pitch, roll: 0 } });
    this.#scene.requestRender();
  }

  get view(): CityView {
    const { camera } = this.#scene;
    const place = camera.positionCartographic;
    return {
      lon: CMath.toDegrees(place.longitude), lat: CMath.toDegrees(place.latitude), height: place.height,
      heading: CMath.toDegrees(camera.heading), pitch: CMath.toDegrees(camera.pitch),
    };
  }

  #around(next: (heading: number, pitch: number, range: number) => [number, number, number]): void {
    const camera = this.#scene.camera;
    const target = this.#middle();
    if (!target) return;
    const [heading, pitch, range] = next(camera.heading, camera.pitch, Cartesian3.distance(camera.positionWC, target));
    camera.lookAt(target, new HeadingPitchRange(heading, pitch, range));
    camera.lookAtTransform(Matrix4.IDENTITY);
    this.#scene.requestRender();
  }

  #middle(): Cartesian3 | undefined {
    const canvas = this.#scene.canvas;
    const ray = this.#scene.camera.getPickRay(new Cartesian2(canvas.clientWidth / 2, canvas.clientHeight / 2));
    return ray ? this.#scene.globe.pick(ray, this.#scene) : undefined;
  }

  #middleHeight(): number {
    const point = this.#middle();
    return point ? Cartographic.fromCartesian(point).height : 0;
  }

  #fly(destination: Cartesian3, heading: number, pitch: number): Promise<void> {
    return new Promise((done) => {
      this.#scene.camera.flyTo({
        destination,
        orientation: { heading, pitch, roll: 0 },
        duration: still() ? 0 : 1.6,
        easingFunction: EasingFunction.QUADRATIC_IN_OUT,
        complete: () => done(),
        cancel: () => done(),
      });
      this.#scene.requestRender();
    });
  }
}
