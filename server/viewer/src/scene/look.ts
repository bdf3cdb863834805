import {
  Cartesian3, Color, CustomShader, DirectionalLight, type ImageryLayer, LightingModel, Matrix3, Matrix4, PostProcessStage, Transforms,
  UniformType, VaryingType, type Scene,
} from "cesium";
import type { Quality } from "../quality.ts";
import { sunPosition } from "../solar.ts";
import { AIR_FRAGMENT, BUILDING_FRAGMENT, BUILDING_VERTEX, GROUND_VERTEX } from "./glsl.ts";

type Rgb = [number, number, number];

/** Every number that makes a mood; moods are mixed by the height of the sun and by theme. */
interface Mood {
  sun: Rgb; sky: Rgb; ground: Rgb; hazeSun: Rgb; hazeFar: Rgb; zenith: Rgb; glow: Rgb;
  windows: number; white: number; density: number; amount: number; vignette: number; saturation: number; ink: number; shade: number;
  earth: number; earthSaturation: number; earthLight: Rgb; lambert: number; dark: number; facade: number;
}

const NOON: Mood = {
  sun: [0.62, 0.60, 0.55], sky: [0.50, 0.54, 0.60], ground: [0.30, 0.29, 0.27],
  hazeSun: [0.86, 0.88, 0.90], hazeFar: [0.76, 0.82, 0.88], zenith: [0.38, 0.56, 0.78], glow: [1.0, 0.97, 0.9],
  windows: 0, white: 0, density: 1 / 15000, amount: 0.9, vignette: 0.18, saturation: 1, ink: 0.16, shade: 0.8,
  earth: 1, earthSaturation: 0.95, earthLight: [1.0, 0.99, 0.96], lambert: 0.62, dark: 0.42, facade: 1,
};
const DUSK: Mood = {
  sun: [1.30, 0.86, 0.50], sky: [0.40, 0.44, 0.53], ground: [0.33, 0.28, 0.25],
  hazeSun: [1.0, 0.84, 0.62], hazeFar: [0.87, 0.81, 0.76], zenith: [0.44, 0.57, 0.72], glow: [1.0, 0.74, 0.4],
  windows: 0, white: 0, density: 1 / 11000, amount: 0.95, vignette: 0.26, saturation: 1.05, ink: 0.18, shade: 0.85,
  earth: 1.32, earthSaturation: 0.86, earthLight: [1.0, 0.92, 0.80], lambert: 1.3, dark: 0.66, facade: 1,
};
const NIGHT: Mood = {
  sun: [0.045, 0.065, 0.11], sky: [0.060, 0.078, 0.12], ground: [0.060, 0.048, 0.038],
  hazeSun: [0.075, 0.085, 0.115], hazeFar: [0.060, 0.070, 0.098], zenith: [0.016, 0.024, 0.046], glow: [0.05, 0.06, 0.08],
  windows: 1, white: 0, density: 1 / 11000, amount: 0.93, vignette: 0.35, saturation: 1.0, ink: 0.10, shade: 0.6,
  earth: 0.5, earthSaturation: 0.36, earthLight: [0.66, 0.77, 1.0], lambert: 0.25, dark: 0.66, facade: 0,
};
const ANALYSIS: Mood = {
  sun: [0.20, 0.20, 0.20], sky: [0.78, 0.79, 0.80], ground: [0.50, 0.50, 0.51],
  hazeSun: [0.94, 0.94, 0.935], hazeFar: [0.93, 0.935, 0.94], zenith: [0.88, 0.895, 0.91], glow: [0, 0, 0],
  windows: 0, white: 1, density: 1 / 14000, amount: 0.92, vignette: 0.08, saturation: 1.05, ink: 0.42, shade: 0.9,
  earth: 1.15, earthSaturation: 0, earthLight: [1, 1, 1], lambert: 0.30, dark: 0.86, facade: 0,
};
const ANALYSIS_NIGHT: Mood = {
  ...ANALYSIS, sun: [0.06, 0.06, 0.065], sky: [0.30, 0.31, 0.33], ground: [0.14, 0.145, 0.155],
  hazeSun: [0.085, 0.095, 0.11], hazeFar: [0.08, 0.09, 0.105], zenith: [0.03, 0.038, 0.05], ink: 0.35, earth: 0.5, vignette: 0.2,
};

function mix(a: Mood, b: Mood, t: number): Mood {
  const out = { ...a } as unknown as Record<string, number | Rgb>;
  for (const key of Object.keys(a) as (keyof Mood)[]) {
    const from = a[key];
    const to = b[key];
    out[key] =
      typeof from === "number"
        ? from + ((to as number) - from) * t
        : (from.map((v, i) => v + ((to as Rgb)[i]! - v) * t) as Rgb);
  }
  return out as unknown as Mood;
}

const ramp = (value: number, low: number, high: number): number => Math.max(0, Math.min(1, (value - low) / (high - low)));

/** Light, air and colour of the whole picture. */
export class Look {
  readonly shader: CustomShader;
  /** For what lies on the ground: drawn a little nearer, or coarse terrain would hide it. */
  readonly groundShader: CustomShader;
  readonly #scene: Scene;
  readonly #quality: Quality;
  readonly #air: PostProcessStage;
  readonly #light = new DirectionalLight({ direction: new Cartesian3(0, 0, -1), intensity: 1 });
  readonly #place: { lon: number; lat: number };
  readonly #imagery: ImageryLayer[] = [];
  #sunWorld = new Cartesian3(0, 0, 1);
  #mood: Mood = DUSK;
  #still = false;
  #casts = true;
  #rippling = false;

  constructor(scene: Scene, quality: Quality, place: { lon: number; lat: number }) {
    this.#scene = scene;
    this.#quality = quality;
    this.#place = place;
    const vec = (v: Rgb): Cartesian3 => new Cartesian3(...v);
    const shaderOf = (vertexShaderText: string): CustomShader =>
      new CustomShader({
        lightingModel: LightingModel.UNLIT,
        varyings: { v_place: VaryingType.VEC3, v_facing: VaryingType.VEC3 },
        uniforms: {
          u_sun: { type: UniformType.VEC3, value: vec(DUSK.sun) },
          u_sky: { type: UniformType.VEC3, value: vec(DUSK.sky) },
          u_ground: { type: UniformType.VEC3, value: vec(DUSK.ground) },
          u_windows: { type: UniformType.FLOAT, value: 0 },
          u_white: { type: UniformType.FLOAT, value: 0 },
          u_facade: { type: UniformType.FLOAT, value: 1 },
        },
        vertexShaderText,
        fragmentShaderText: BUILDING_FRAGMENT,
      });
    this.shader = shaderOf(BUILDING_VERTEX);
    this.groundShader = shaderOf(GROUND_VERTEX);
    this.#air = new PostProcessStage({ name: "twin_air", fragmentShader: airShader(), uniforms: this.#airUniforms() });
    scene.postProcessStages.add(this.#air);
    scene.light = this.#light;
    scene.fog.renderable = false;
    scene.globe.showGroundAtmosphere = false;
    scene.globe.enableLighting = true;
    scene.globe.showWaterEffect = false;
    // The engine would fetch its picture of waves before the first frame.
    Object.assign(scene.globe, { _oceanNormalMapResourceDirty: false });
    scene.globe.dynamicAtmosphereLighting = false;
    scene.highDynamicRange = false;
    scene.shadowMap.maximumDistance = 5000;
    scene.shadowMap.softShadows = true;
    scene.shadowMap.size = 2048;
    scene.shadowMap.darkness = 0.52;
    scene.shadowMap.fadingEnabled = false;
  }

  addImagery(layer: ImageryLayer): void {
    this.#imagery.push(layer);
  }

  /** Sets the mood for an instant and the chosen themes. */
  apply(utc: number, night: boolean, analysis: boolean): void {
    const sun = sunPosition(utc, this.#place.lon, this.#place.lat);
    const open = mix(DUSK, NOON, ramp(sun.elevation, 14, 42));
    const day = mix(NIGHT, open, ramp(sun.elevation, -7, 4));
    const dark = night || sun.elevation < -4;
    this.#mood = analysis ? (dark ? ANALYSIS_NIGHT : ANALYSIS) : night ? NIGHT : day;
    this.#aim(Math.max(sun.elevation, analysis ? 38 : dark ? 30 : 5), analysis ? 250 : sun.azimuth, sun);
    const mood = this.#mood;
    this.#casts = !analysis && !dark;
    this.#shadows();
    this.#water();
    for (const shader of [this.shader, this.groundShader]) {
      for (const [name, value] of Object.entries({ u_sun: mood.sun, u_sky: mood.sky, u_ground: mood.ground })) {
        shader.setUniform(name, new Cartesian3(...value));
      }
      shader.setUniform("u_windows", mood.windows);
      shader.setUniform("u_white", mood.white);
      shader.setUniform("u_facade", mood.facade);
    }
    const globe = this.#scene.globe;
    this.#light.color = new Color(...mood.earthLight);
    globe.lambertDiffuseMultiplier = mood.lambert;
    globe.vertexShadowDarkness = mood.dark;
    globe.baseColor = analysis ? Color.fromCssColorString(dark ? "#3a3d42" : "#f1f1ef") : Color.fromCssColorString("#b3a893");
    for (const layer of this.#imagery) {
      layer.brightness = mood.earth;
      layer.saturation = mood.earthSaturation;
      layer.alpha = analysis ? (dark ? 0.25 : 0.22) : 1;
      layer.contrast = analysis ? 0.55 : 1;
    }
    this.#scene.requestRender();
  }

  /** Shadows, contact shade and ink only while nothing moves; a fast machine has them always. */
  setStill(still: boolean): void {
    this.#still = still;
    this.#shadows();
    this.#scene.postProcessStages.fxaa.enabled = still && this.#quality.msaa === 1;
    this.#scene.requestRender();
  }

  /** Waves on what the terrain says is water, from when the view is whole: naming their picture anew fetches it. */
  ripple(): void {
    this.#rippling = true;
    const { globe } = this.#scene;
    const waves = globe.oceanNormalMapUrl;
    globe.oceanNormalMapUrl = waves;
    this.#water();
    this.#scene.requestRender();
  }

  /** By daylight only: the engine's own light on water is too blue for the night and for maps of a theme. */
  #water(): void {
    this.#scene.globe.showWaterEffect = this.#rippling && this.#casts;
  }

  #shadows(): void {
    this.#scene.shadowMap.enabled = this.#casts && (this.#quality.shadows || this.#still);
  }

  #aim(elevation: number, azimuth: number, real: { azimuth: number; elevation: number }): void {
    const frame = Transforms.eastNorthUpToFixedFrame(Cartesian3.fromDegrees(this.#place.lon, this.#place.lat));
    const turn = Matrix4.getMatrix3(frame, new Matrix3());
    const toward = (az: number, el: number): Cartesian3 => {
      const a = (az * Math.PI) / 180;
      const e = (el * Math.PI) / 180;
      return Matrix3.multiplyByVector(
        turn, new Cartesian3(Math.sin(a) * Math.cos(e), Math.cos(a) * Math.cos(e), Math.sin(e)), new Cartesian3(),
      );
    };
    this.#light.direction = Cartesian3.negate(toward(azimuth, elevation), new Cartesian3());
    this.#sunWorld = toward(real.azimuth, real.elevation);
  }

  #airUniforms(): Record<string, () => unknown> {
    const scratch = new Cartesian3();
    const eye = new Matrix3();
    const vec = (read: (m: Mood) => Rgb) => (): Cartesian3 => new Cartesian3(...read(this.#mood));
    const settled = (value: number): number => (this.#quality.name === "full" || this.#still ? value : 0);
    return {
      u_sunEC: () =>
        Matrix3.multiplyByVector(Matrix4.getMatrix3(this.#scene.camera.viewMatrix, eye), this.#sunWorld, scratch),
      u_hazeSun: vec((m) => m.hazeSun),
      u_hazeFar: vec((m) => m.hazeFar),
      u_zenith: vec((m) => m.zenith),
      u_glow: vec((m) => m.glow),
      u_density: () => this.#mood.density,
      u_amount: () => this.#mood.amount,
      u_vignette: () => this.#mood.vignette,
      u_saturation: () => this.#mood.saturation,
      u_ink: () => settled(this.#mood.ink),
      u_shade: () => settled(this.#mood.shade),
    };
  }
}

function airShader(): string {
  const floats = ["u_density", "u_amount", "u_vignette", "u_saturation", "u_ink", "u_shade"];
  const vectors = ["u_sunEC", "u_hazeSun", "u_hazeFar", "u_zenith", "u_glow"];
  return [...floats.map((n) => `uniform float ${n};`), ...vectors.map((n) => `uniform vec3 ${n};`), AIR_FRAGMENT].join("\n");
}
