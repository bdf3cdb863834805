import {
  Cartographic, CesiumTerrainProvider, CesiumWidget, EllipsoidTerrainProvider, ImageryLayer, Ion, Rectangle, RequestScheduler,
  sampleTerrain, ShadowMode, UrlTemplateImageryProvider,
} from "cesium";
import type { Api } from "../api.ts";
import { OPENING, type Quality, qualityFor } from "../quality.ts";
import type { City } from "../types.ts";
import { slimEngine } from "./lean.ts";
import { Look } from "./look.ts";
import { openPacks } from "./opening.ts";

/** Share of the width at which a slow machine draws the hidden frames of loading. */
export const HIDDEN = 0.2;

/** Levels of terrain above this one show half a continent or more: no picture of a city is to be seen on them. */
const WHOLE_EARTH = 5;

export interface Stage {
  widget: CesiumWidget;
  quality: Quality;
  look: Look;
  imagery: ImageryLayer[];
  terrainFailed: boolean;
  /** Ellipsoidal height of the ground below the first view, m. */
  standing: number;
}

/** Name of the renderer behind a drawing context. */
export function rendererName(gl: WebGL2RenderingContext): string {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  return String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER) || "");
}

/** The window onto the city: engine, ground, pictures of the ground, light. Throws where there is no WebGL 2. */
export async function openStage(api: Api, city: City, holder: HTMLElement, credits: HTMLElement): Promise<Stage> {
  // No token, no account, no default map: everything the engine shows comes from our own server.
  Ion.defaultAccessToken = undefined as unknown as string;
  slimEngine();
  RequestScheduler.requestsByServer = {};
  RequestScheduler.maximumRequestsPerServer = 16;
  openPacks(api, city);
  const terrain = await openTerrain(api, city);
  const standing = groundBelow(terrain.provider, city);
  const widget = new CesiumWidget(holder, {
    // Nothing is drawn before the camera stands: the whole earth is not what we came for.
    useDefaultRenderLoop: false,
    baseLayer: false,
    terrainProvider: terrain.provider,
    skyBox: false,
    skyAtmosphere: false,
    terrainShadows: ShadowMode.RECEIVE_ONLY,
    msaaSamples: 1,
    requestRenderMode: true,
    maximumRenderTimeChange: Number.POSITIVE_INFINITY,
    scene3DOnly: true,
    showRenderLoopErrors: false,
    creditContainer: credits,
    useBrowserRecommendedResolution: true,
    contextOptions: { webgl: { alpha: false, powerPreference: "high-performance" } },
  });
  const { scene } = widget;
  const quality = qualityFor(rendererName(drawing(widget)), new URLSearchParams(location.search).get("quality"), window.devicePixelRatio);
  widget.resolutionScale = quality.pixelRatio * (quality.name === "still" ? HIDDEN : 1);
  scene.msaaSamples = quality.msaa;
  document.documentElement.classList.toggle("lively", quality.name === "full");
  if (scene.sun) scene.sun.show = false;
  if (scene.moon) scene.moon.show = false;
  scene.globe.maximumScreenSpaceError = OPENING.globe;
  scene.globe.tileCacheSize = 300;
  scene.globe.preloadAncestors = false;
  scene.globe.showSkirts = true;
  scene.globe.depthTestAgainstTerrain = true;
  const control = scene.screenSpaceCameraController;
  // The first view is declared above the ground; looking for hills in the way waits until there are some.
  control.enableCollisionDetection = false;
  control.minimumZoomDistance = 25;
  control.maximumZoomDistance = 60000;
  const look = new Look(scene, quality, city.view);
  const imagery = city.imagery.map((picture, k) => addPicture(api, picture, city.imagery.slice(0, k), widget));
  for (const layer of imagery) look.addImagery(layer);
  return { widget, quality, look, imagery, terrainFailed: terrain.failed, standing: await standing };
}

function drawing(widget: CesiumWidget): WebGL2RenderingContext {
  return (widget.scene as unknown as { context: { _gl: WebGL2RenderingContext } }).context._gl;
}

/** The first view is declared above the ground, so the ground must be known before the camera stands. */
async function groundBelow(provider: CesiumTerrainProvider | EllipsoidTerrainProvider, city: City): Promise<number> {
  if (city.view.ground !== undefined && city.view.ground !== null) return city.view.ground;
  if (!(provider instanceof CesiumTerrainProvider)) return 0;
  const level = Math.min(12, city.terrain?.max_level ?? 12);
  const [place] = await sampleTerrain(provider, level, [Cartographic.fromDegrees(city.view.lon, city.view.lat)]).catch(() => []);
  return place?.height ?? city.terrain?.plateau ?? 0;
}

async function openTerrain(
  api: Api, city: City,
): Promise<{ provider: CesiumTerrainProvider | EllipsoidTerrainProvider; failed: boolean }> {
  if (!city.terrain) return { provider: new EllipsoidTerrainProvider(), failed: false };
  try {
    const provider = await CesiumTerrainProvider.fromUrl(api.url(city.terrain.url), { requestVertexNormals: true, requestWaterMask: true });
    return { provider, failed: false };
  } catch {
    return { provider: new EllipsoidTerrainProvider(), failed: true };
  }
}

type Picture = City["imagery"][number];

function addPicture(api: Api, picture: Picture, below: readonly Picture[], widget: CesiumWidget): ImageryLayer {
  const template = api.url(picture.url).replaceAll("%7B", "{").replaceAll("%7D", "}");
  const provider = new UrlTemplateImageryProvider({
    url: template,
    minimumLevel: picture.minzoom,
    maximumLevel: picture.maxzoom,
    rectangle: Rectangle.fromDegrees(...picture.bounds),
    tileWidth: picture.tile_size ?? 256,
    tileHeight: picture.tile_size ?? 256,
    hasAlphaChannel: false,
  });
  // Pictures of one pyramid differ only where the finer one goes on: until there the one below shows the same tiles.
  const shared = below.filter(({ url }) => url === picture.url).map(({ maxzoom }) => maxzoom);
  const layer = new ImageryLayer(provider, { minimumTerrainLevel: Math.max(WHOLE_EARTH, ...shared) });
  widget.imageryLayers.add(layer);
  return layer;
}
