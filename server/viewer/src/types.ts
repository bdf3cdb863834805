/** Shapes of what the server answers; only what the viewer reads is declared. */
export type Lang = "zh" | "en";
export type LonLat = [number, number];

/** `height` is above the ground below the camera; `ground`, where told, is the ellipsoidal height of that ground. */
export interface CityView { lon: number; lat: number; height: number; heading: number; pitch: number; ground?: number | null }
export interface CityTileset { id: string; title: string; title_en: string; url: string }
export interface CityImagery { url: string; opening?: string; minzoom: number; maxzoom: number; tile_size?: number; bounds: [number, number, number, number] }
export interface CityTheme {
  id: string; title: string; title_en: string; buildings: string; streets: string; process: string;
}
export interface Attribution { text?: string; source?: string; licence?: string; attribution?: string; name?: string }

export interface City {
  id: string; name: string; name_en: string; badge?: string; badge_en?: string;
  frame?: { crs: string; vertical: string };
  view: CityView;
  time?: { default: string; utc_offset: number };
  version: string;
  terrain: { url: string; opening?: string; max_level?: number; plateau?: number } | null;
  imagery: CityImagery[];
  tilesets: CityTileset[];
  layers: { id: string; title: string; title_en: string; url: string; kind: string }[];
  themes: CityTheme[];
  live?: { latest: string; events: string; things: string };
  attributions: (string | Attribution)[];
}

export interface Feature<P = Record<string, unknown>> {
  type: "Feature"; id?: string | number; geometry: Geometry | null; properties: P;
}
export type Geometry =
  | { type: "Point"; coordinates: number[] }
  | { type: "LineString"; coordinates: number[][] }
  | { type: "MultiLineString"; coordinates: number[][][] }
  | { type: "Polygon"; coordinates: number[][][] }
  | { type: "MultiPolygon"; coordinates: number[][][][] };
export interface FeatureCollection { features: Feature[]; links?: { rel: string; href: string }[] }

export interface Driver { key: string; zh: string; en: string; phi: number }
export interface Zone {
  level: number; score?: number; p?: number[]; drivers?: Driver[]; quality?: string; depth_m?: number;
  people?: number; method?: string; confident?: boolean | number; date?: string;
}

export interface SearchResult {
  oid: string; name: string; name_en?: string; kind: string; address?: string; lon: number; lat: number; height?: number;
}

export interface Stream {
  oid: string; thing: string; name: string; nameEn: string; property: string; unit: string;
  minimum: number; maximum: number; warn: number; alarm: number; times: number[]; values: number[];
}
export interface Thing {
  oid: string; name: string; nameEn: string; kind: string; lon: number; lat: number; target: string; streams: Stream[];
}
export interface Incident {
  oid: string; kind: string; title: string; titleEn: string; lon: number; lat: number; time: string;
  status: string; severity: number; target: string; description: string; descriptionEn: string;
}

export type Selection =
  | { kind: "building"; oid: string; name?: string; part?: Record<string, unknown> }
  | { kind: "thing"; oid: string; set: string; properties: Record<string, unknown> }
  | { kind: "street"; oid: string }
  | { kind: "sensor"; oid: string }
  | { kind: "incident"; oid: string };
