// What the three pages share: the camera that the test asks for, and what the test reads.
const asked = new URLSearchParams(location.search);
const number = (name) => Number(asked.get(name));

/** Tilesets to show; the point to look at (WGS 84, ellipsoidal m); metres from it; degrees below the horizon. */
export const view = {
  tilesets: asked.getAll("tileset"), lon: number("lon"), lat: number("lat"), height: number("height"),
  range: number("range"), pitch: number("pitch"),
};

/** state: "loading" until nothing is asked for any more; failed: what could not be shown; loaded: tiles. */
export const told = { state: "loading", failed: [], loaded: 0 };
window.told = told;
addEventListener("error", (event) => told.failed.push(String(event.message)));
addEventListener("unhandledrejection", (event) => told.failed.push(String(event.reason?.message ?? event.reason)));

/** Calls the state settled after it was calm for a second. */
export function watch(calm) {
  let since = 0;
  setInterval(() => {
    if (!calm()) since = 0;
    else if (!since) since = performance.now();
    else if (performance.now() - since > 1000) told.state = "settled";
  }, 100);
}

const A = 6378137.0;
const E2 = 6.69437999014e-3;

/** Earth-centred place (m) of degrees and ellipsoidal metres, with east, north and up there. */
export function place(lon, lat, height) {
  const [l, p] = [(lon * Math.PI) / 180, (lat * Math.PI) / 180];
  const up = [Math.cos(p) * Math.cos(l), Math.cos(p) * Math.sin(l), Math.sin(p)];
  const n = A / Math.sqrt(1 - E2 * up[2] ** 2);
  return {
    at: [(n + height) * up[0], (n + height) * up[1], (n * (1 - E2) + height) * up[2]],
    east: [-Math.sin(l), Math.cos(l), 0],
    north: [-Math.sin(p) * Math.cos(l), -Math.sin(p) * Math.sin(l), Math.cos(p)],
    up,
  };
}
