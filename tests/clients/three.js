import { AmbientLight, Color, DirectionalLight, PerspectiveCamera, Raycaster, Scene, Vector2, WebGLRenderer } from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";
import { MeshoptDecoder } from "three/examples/jsm/libs/meshopt_decoder.module.js";
import { TilesRenderer } from "3d-tiles-renderer";
import { GLTFExtensionsPlugin } from "3d-tiles-renderer/plugins";
import { place, told, view, watch } from "./page.js";

const renderer = new WebGLRenderer({ preserveDrawingBuffer: true });
renderer.setSize(innerWidth, innerHeight);
document.getElementById("scene").append(renderer.domElement);
const scene = new Scene();
scene.background = new Color("#20242c");
const camera = new PerspectiveCamera(50, innerWidth / innerHeight, 1, 200000);
const { at, north, up } = place(view.lon, view.lat, view.height);
const [level, rise] = [Math.cos((view.pitch * Math.PI) / 180) * view.range, Math.sin((view.pitch * Math.PI) / 180) * view.range];
camera.position.set(...at.map((v, k) => v - level * north[k] + rise * up[k]));
camera.up.set(...up);
camera.lookAt(...at);
camera.updateMatrixWorld();
const sun = new DirectionalLight("#ffffff", 2.5);
sun.position.set(...up.map((v, k) => v - 0.6 * north[k]));
scene.add(sun, new AmbientLight("#ffffff", 1.2));

const sets = view.tilesets.map((url) => {
  const tiles = new TilesRenderer(url);
  tiles.registerPlugin(new GLTFExtensionsPlugin({ metadata: true, meshoptDecoder: MeshoptDecoder }));
  tiles.setCamera(camera);
  tiles.setResolutionFromRenderer(camera, renderer);
  tiles.addEventListener("load-model", () => (told.loaded += 1));
  tiles.addEventListener("load-error", ({ error }) => told.failed.push(String(error?.message ?? error)));
  scene.add(tiles.group);
  return tiles;
});
renderer.setAnimationLoop(() => {
  for (const tiles of sets) tiles.update();
  renderer.render(scene, camera);
});
watch(() => told.loaded > 0 && sets.every(({ loadProgress }) => loadProgress === 1));

window.pick = async (x, y) => {
  const ray = new Raycaster();
  ray.setFromCamera(new Vector2((x / innerWidth) * 2 - 1, 1 - (y / innerHeight) * 2), camera);
  const [hit] = ray.intersectObjects(sets.map(({ group }) => group), true);
  const { meshFeatures, structuralMetadata } = hit?.object.userData ?? {};
  if (!meshFeatures) return "";
  const ids = meshFeatures.getFeatures(hit.faceIndex, hit.barycoord);
  const [info] = meshFeatures.getFeatureInfo();
  return String(structuralMetadata.getPropertyTableData([info.propertyTable], ids)[0].oid ?? "");
};
