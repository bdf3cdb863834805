import { Deck, MapView } from "@deck.gl/core";
import { Tile3DLayer } from "@deck.gl/geo-layers";
import { place, told, view, watch } from "./page.js";

const sets = [];
const layers = view.tilesets.map((url, k) => new Tile3DLayer({
  id: `tiles-${k}`, data: url, pickable: false,
  loadOptions: { core: { worker: false } },
  onTilesetLoad: (tileset) => sets.push(tileset),
  onTileLoad: () => (told.loaded += 1),
  onTileError: (tile, _, message) => told.failed.push(`${tile.id}: ${message}`),
}));
// A map's zoom is told by metres a pixel at the looked-at place; its camera stands 1.5 heights of the picture from there.
const perPixel = view.range / (1.5 * innerHeight);
const zoom = Math.log2((156543.03392 * Math.cos((view.lat * Math.PI) / 180)) / perPixel) - 1;
const deck = new Deck({
  parent: document.getElementById("scene"), views: new MapView({ farZMultiplier: 10 }), style: { background: "#20242c" },
  initialViewState: { longitude: view.lon, latitude: view.lat, zoom, maxZoom: 30, minZoom: 0, pitch: 90 - view.pitch, bearing: 0, position: [0, 0, view.height] },
  layers,
  onError: (error) => told.failed.push(String(error.message ?? error)),
});
watch(() => told.loaded > 0 && sets.length === layers.length && sets.every((set) => set.isLoaded()));

/**
 * deck.gl 9.4 picks no part of a Tile3DLayer's scenegraphs (and would tell the tile only). So the ray through the pixel is
 * cast here, at the meshes and feature ids that loaders.gl read from the tiles that the layer draws.
 */
window.pick = async (x, y) => {
  const [viewport] = deck.getViewports();
  const [from, to] = [80, -80].map((lift) => place(...viewport.unproject([x, y], { targetZ: view.height + lift }).slice(0, 2), view.height + lift).at);
  const ray = { from, way: to.map((v, k) => v - from[k]) };
  const hits = sets.flatMap((set) => set.selectedTiles).flatMap(({ content }) => hitsOf(content, ray));
  hits.sort((a, b) => a.share - b.share);
  return hits[0]?.oid ?? "";
};

function hitsOf(content, ray) {
  const hits = [];
  const { gltf } = content;
  const walk = (node, above) => {
    const matrix = node.matrix ? above.clone().multiplyRight(node.matrix) : node.translation ? above.clone().translate(node.translation) : above;
    const local = matrix.clone().invert();
    const from = local.transformAsPoint(ray.from);
    const way = local.transformAsVector(ray.way);
    for (const primitive of node.mesh?.primitives ?? []) {
      const { POSITION: { value: at }, _FEATURE_ID_0: ids } = primitive.attributes;
      const corners = primitive.indices.value;
      for (let i = 0; i < corners.length; i += 3) {
        const share = meets(from, way, at, corners[i] * 3, corners[i + 1] * 3, corners[i + 2] * 3);
        if (share !== null) hits.push({ share, oid: nameOf(gltf, primitive, ids.value[corners[i] * (ids.value.length / (at.length / 3))]) });
      }
    }
    for (const child of node.children ?? []) walk(child, matrix);
  };
  for (const node of gltf.scene.nodes) walk(node, content.cartesianModelMatrix);
  return hits;
}

function nameOf(gltf, primitive, id) {
  const { propertyTable } = primitive.extensions.EXT_mesh_features.featureIds[0];
  return String(gltf.extensions.EXT_structural_metadata.propertyTables[propertyTable].properties.oid.data[id]);
}

/** Share of the way at which a ray meets a triangle (Moller-Trumbore), or null. */
function meets(from, way, at, a, b, c) {
  const [e1, e2, s] = [0, 1, 2].reduce((sum, k) => {
    sum[0].push(at[b + k] - at[a + k]);
    sum[1].push(at[c + k] - at[a + k]);
    sum[2].push(from[k] - at[a + k]);
    return sum;
  }, [[], [], []]);
  const p = cross(way, e2);
  const det = dot(e1, p);
  if (det === 0) return null;
  const u = dot(s, p) / det;
  const q = cross(s, e1);
  const v = dot(way, q) / det;
  return u >= 0 && v >= 0 && u + v <= 1 ? dot(e2, q) / det : null;
}

const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
