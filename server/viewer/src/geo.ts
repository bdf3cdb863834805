import type { Geometry, LonLat } from "./types.ts";

/** Every line of a geometry as [lon, lat] lists; polygons give their rings. */
export function lines(geometry: Geometry | null): LonLat[][] {
  if (!geometry) return [];
  switch (geometry.type) {
    case "Point":
      return [];
    case "LineString":
      return [geometry.coordinates as LonLat[]];
    case "MultiLineString":
    case "Polygon":
      return geometry.coordinates as LonLat[][];
    case "MultiPolygon":
      return (geometry.coordinates as LonLat[][][]).flat();
  }
}

/** Middle of the outer ring (area centroid) or of the vertices where there is no area. */
export function centre(geometry: Geometry | null): LonLat | null {
  if (!geometry) return null;
  if (geometry.type === "Point") return [geometry.coordinates[0] ?? 0, geometry.coordinates[1] ?? 0];
  const ring = lines(geometry)[0];
  const first = ring?.[0];
  if (!ring || !first) return null;
  let area = 0;
  let x = 0;
  let y = 0;
  for (let i = 0; i + 1 < ring.length; i += 1) {
    const [ax, ay] = [ring[i]![0] - first[0], ring[i]![1] - first[1]];
    const [bx, by] = [ring[i + 1]![0] - first[0], ring[i + 1]![1] - first[1]];
    const cross = ax * by - bx * ay;
    area += cross;
    x += (ax + bx) * cross;
    y += (ay + by) * cross;
  }
  if (Math.abs(area) > 1e-16) return [first[0] + x / (3 * area), first[1] + y / (3 * area)];
  const middle = ring[Math.floor(ring.length / 2)] ?? first;
  return [middle[0], middle[1]];
}

/** Area of the outer ring in square metres (local equirectangular plane; good to 0.1 % for a building). */
export function areaOf(geometry: Geometry | null): number {
  const polygons =
    geometry?.type === "Polygon" ? [geometry.coordinates] : geometry?.type === "MultiPolygon" ? geometry.coordinates : [];
  let total = 0;
  for (const rings of polygons as LonLat[][][]) {
    rings.forEach((ring, index) => {
      const scale = metresPerDegree(ring[0]?.[1] ?? 0);
      let twice = 0;
      for (let i = 0; i + 1 < ring.length; i += 1) {
        twice += (ring[i]![0] - ring[0]![0]) * (ring[i + 1]![1] - ring[0]![1]);
        twice -= (ring[i + 1]![0] - ring[0]![0]) * (ring[i]![1] - ring[0]![1]);
      }
      const area = Math.abs(twice / 2) * scale[0] * scale[1];
      total += index === 0 ? area : -area;
    });
  }
  return total;
}

/** Metres per degree of longitude and latitude at a latitude (WGS 84, series to the second term). */
export function metresPerDegree(lat: number): [number, number] {
  const phi = (lat * Math.PI) / 180;
  return [
    111412.84 * Math.cos(phi) - 93.5 * Math.cos(3 * phi),
    111132.92 - 559.82 * Math.cos(2 * phi) + 1.175 * Math.cos(4 * phi),
  ];
}

/** Distance in metres from a point to a polyline. */
export function distanceTo(point: LonLat, line: readonly LonLat[]): number {
  const [kx, ky] = metresPerDegree(point[1]);
  let best = Infinity;
  for (let i = 0; i + 1 < line.length; i += 1) {
    const ax = (line[i]![0] - point[0]) * kx;
    const ay = (line[i]![1] - point[1]) * ky;
    const dx = (line[i + 1]![0] - line[i]![0]) * kx;
    const dy = (line[i + 1]![1] - line[i]![1]) * ky;
    const length = dx * dx + dy * dy;
    const t = length > 0 ? Math.max(0, Math.min(1, -(ax * dx + ay * dy) / length)) : 0;
    best = Math.min(best, Math.hypot(ax + t * dx, ay + t * dy));
  }
  return best;
}

/** Web Mercator unit square (x east, y south, both 0..1). */
export function mercator([lon, lat]: LonLat): [number, number] {
  const s = Math.sin((Math.max(-85.0511, Math.min(85.0511, lat)) * Math.PI) / 180);
  return [lon / 360 + 0.5, 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)];
}

/** Bounding box [west, south, east, north] of lines. */
export function boxOf(paths: readonly (readonly LonLat[])[]): [number, number, number, number] {
  const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const path of paths) {
    for (const [lon, lat] of path) {
      box[0] = Math.min(box[0], lon);
      box[1] = Math.min(box[1], lat);
      box[2] = Math.max(box[2], lon);
      box[3] = Math.max(box[3], lat);
    }
  }
  return box;
}
