import {
  Cartesian2, Cartesian3, Cartographic, Cesium3DTileFeature, Color, ColorGeometryInstanceAttribute, GeometryInstance, Math as CMath,
  PolylineColorAppearance, PolylineGeometry, Primitive, PrimitiveCollection, SceneTransforms, ScreenSpaceEventHandler,
  ScreenSpaceEventType, type Scene,
} from "cesium";
import { centre, lines } from "../geo.ts";
import { GOLD } from "../palette.ts";
import type { Feature, LonLat } from "../types.ts";
import type { Models } from "./models.ts";

/** `set` is the tileset: "l2" and "l3" are buildings, the others are named after what they show. */
export interface Picked { set: string; oid: string; name: string; part: Record<string, unknown> }

/** What lies under a pixel, and the gold line around what was picked. */
export class Picker {
  readonly #scene: Scene;
  readonly #models: Models;
  readonly #frames = new PrimitiveCollection();

  constructor(scene: Scene, models: Models) {
    this.#scene = scene;
    this.#models = models;
    scene.primitives.add(this.#frames);
  }

  onClick(call: (building: Picked | null, place: LonLat | null, metresPerPixel: number) => void): void {
    const handler = new ScreenSpaceEventHandler(this.#scene.canvas);
    handler.setInputAction((event: { position: Cartesian2 }) => {
      const place = this.#groundAt(event.position);
      const metres = place ? (2 * place.distance * Math.tan(0.5)) / this.#scene.canvas.clientHeight : 1;
      call(this.at(event.position.x, event.position.y), place ? place.lonlat : null, metres);
    }, ScreenSpaceEventType.LEFT_CLICK);
  }

  at(x: number, y: number): Picked | null {
    const hit: unknown = this.#scene.pick(new Cartesian2(x, y));
    if (!(hit instanceof Cesium3DTileFeature)) return null;
    const oid = this.#models.oidOf(hit);
    if (!oid) return null;
    const part: Record<string, unknown> = {};
    for (const id of hit.getPropertyIds()) part[id] = hit.getProperty(id);
    return { set: this.#models.setOf(hit), oid, name: String(part["name"] ?? ""), part };
  }

  /** A pixel at which a click picks this building, searched around the middle of its roof and walls. */
  pixelOf(oid: string, item: Feature): { x: number; y: number; hit: boolean } | null {
    const middle = centre(item.geometry);
    if (!middle) return null;
    const ground = this.#heightAt(middle);
    const height = Number(item.properties["height_m"] ?? item.properties["height"]) || 6;
    let first: Cartesian2 | null = null;
    for (const share of [1, 0.85, 0.6, 0.35]) {
      for (const [dx, dy] of RING) {
        const world = Cartesian3.fromDegrees(middle[0], middle[1], ground + height * share);
        const point = SceneTransforms.worldToWindowCoordinates(this.#scene, world);
        if (!point) continue;
        const aim = new Cartesian2(point.x + dx, point.y + dy);
        first ??= aim;
        if (this.at(aim.x, aim.y)?.oid === oid) return { x: aim.x, y: aim.y, hit: true };
      }
    }
    return first ? { x: first.x, y: first.y, hit: false } : null;
  }

  frame(item: Feature | null): void {
    this.#frames.removeAll();
    const middle = item ? centre(item.geometry) : null;
    if (item && middle) {
      const ground = this.#heightAt(middle);
      const height = Number(item.properties["height_m"] ?? item.properties["height"]) || 6;
      const block = !this.#models.isDetailed(String(item.properties["oid"] ?? item.id));
      for (const ring of lines(item.geometry)) {
        if (block) this.#frames.add(this.#loop(ring, ground + height + 0.4, 3));
        this.#frames.add(this.#loop(ring, ground + 0.6, 2));
      }
    }
    this.#scene.requestRender();
  }

  #loop(ring: LonLat[], height: number, width: number): Primitive {
    const gold = Color.fromCssColorString(GOLD).brighten(0.25, new Color());
    return new Primitive({
      geometryInstances: new GeometryInstance({
        geometry: new PolylineGeometry({
          positions: ring.map(([lon, lat]) => Cartesian3.fromDegrees(lon, lat, height)), width,
          vertexFormat: PolylineColorAppearance.VERTEX_FORMAT, arcType: 0,
        }),
        attributes: {
          color: ColorGeometryInstanceAttribute.fromColor(gold),
          depthFailColor: ColorGeometryInstanceAttribute.fromColor(gold.withAlpha(0.35)),
        },
      }),
      appearance: new PolylineColorAppearance({ translucent: false }),
      depthFailAppearance: new PolylineColorAppearance({ translucent: true }),
      asynchronous: false,
      allowPicking: false,
    });
  }

  #heightAt(place: LonLat): number {
    return this.#scene.globe.getHeight(Cartographic.fromDegrees(place[0], place[1])) ?? 0;
  }

  #groundAt(position: Cartesian2): { lonlat: LonLat; distance: number } | null {
    const ray = this.#scene.camera.getPickRay(position);
    const point = ray ? this.#scene.globe.pick(ray, this.#scene) : undefined;
    if (!point) return null;
    const place = Cartographic.fromCartesian(point);
    return {
      lonlat: [CMath.toDegrees(place.longitude), CMath.toDegrees(place.latitude)],
      distance: Cartesian3.distance(point, this.#scene.camera.positionWC),
    };
  }
}

const RING: [number, number][] = [[0, 0]];
for (const radius of [4, 9, 16]) {
  for (let i = 0; i < 8; i += 1) RING.push([Math.round(radius * Math.cos(i * 0.785)), Math.round(radius * Math.sin(i * 0.785))]);
}
