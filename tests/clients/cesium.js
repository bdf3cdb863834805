import { Cartesian2, Cartesian3, Cesium3DTileset, CesiumWidget, Color, EllipsoidTerrainProvider, HeadingPitchRange, Math as CMath, Matrix4, buildModuleUrl } from "@cesium/engine";
import { told, view, watch } from "./page.js";

buildModuleUrl.setBaseUrl(new URL("/engine/", location.href).href);
const widget = new CesiumWidget(document.getElementById("scene"), {
  baseLayer: false, terrainProvider: new EllipsoidTerrainProvider(), skyBox: false, skyAtmosphere: false, scene3DOnly: true,
});
const { scene } = widget;
scene.globe.show = false;
scene.backgroundColor = Color.fromCssColorString("#20242c");
if (scene.sun) scene.sun.show = false;
if (scene.moon) scene.moon.show = false;
scene.camera.lookAt(Cartesian3.fromDegrees(view.lon, view.lat, view.height), new HeadingPitchRange(0, CMath.toRadians(-view.pitch), view.range));
scene.camera.lookAtTransform(Matrix4.IDENTITY);
const sets = await Promise.all(view.tilesets.map((url) => Cesium3DTileset.fromUrl(url)));
for (const set of sets) {
  set.tileFailed.addEventListener(({ message }) => told.failed.push(message));
  set.tileLoad.addEventListener(() => (told.loaded += 1));
  scene.primitives.add(set);
}
watch(() => sets.every((set) => set.tilesLoaded));
window.pick = async (x, y) => String(scene.pick(new Cartesian2(x, y))?.getProperty?.("oid") ?? "");
