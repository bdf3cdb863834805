import { riskColour, UNKNOWN } from "../palette.ts";

function linear(hex: string): string {
  return [1, 3, 5].map((at) => (parseInt(hex.slice(at, at + 2), 16) / 255).toFixed(5)).join(", ");
}

/** Vertex half: what the facade pattern needs in the model's own metres. */
export const BUILDING_VERTEX = /* glsl */ `
void vertexMain(VertexInput vsInput, inout czm_modelVertexOutput vsOutput) {
  v_place = vsInput.attributes.positionMC;
  v_facing = vsInput.attributes.normalMC;
}`;

/** The same, moved towards the eye along its own line of sight: nothing shifts on the screen, and the terrain stays below. */
export const GROUND_VERTEX = /* glsl */ `
void vertexMain(VertexInput vsInput, inout czm_modelVertexOutput vsOutput) {
  v_place = vsInput.attributes.positionMC;
  v_facing = vsInput.attributes.normalMC;
  vec3 way = (czm_inverseModelView * vec4(0.0, 0.0, 0.0, 1.0)).xyz - vsOutput.positionMC;
  float far = length(way);
  vsOutput.positionMC += way / far * min(0.5 + 0.006 * far, 0.5 * far);
}`;

/**
 * Fragment half: our own two-light model (sun + sky dome), the colour a theme gave the feature, the hatch for
 * "insufficient data", dots for conjectural parts and the windows of the night. Colours are linear until the engine writes them.
 */
export const BUILDING_FRAGMENT = /* glsl */ `
float hash21(vec2 p) {
  p = fract(p * vec2(123.34, 456.21));
  p += dot(p, p + 45.32);
  return fract(p.x * p.y);
}
vec3 toLinear(vec3 c) { return pow(c, vec3(2.2)); }
const vec3 LOWEST = vec3(${linear(riskColour(1))});
const vec3 LOW = vec3(${linear(riskColour(2))});
/* Whether a place on a block that stands for many houses shows one of them, and a number of that house, 0 to 1. */
vec2 houseAt(vec2 place, float pitch, float footprint) {
  vec2 at = place / pitch;
  at.x += 7.0 * hash21(vec2(floor(at.y), 3.0));
  vec2 cell = floor(at);
  vec2 inside = fract(at);
  vec2 low = 0.05 + 0.22 * vec2(hash21(cell + 11.3), hash21(cell + 23.7));
  vec2 high = 0.95 - 0.26 * vec2(hash21(cell + 37.1), hash21(cell + 51.9));
  vec2 soft = vec2(max(footprint / pitch, 0.02));
  vec2 there = smoothstep(low - soft, low + soft, inside) * (1.0 - smoothstep(high - soft, high + soft, inside));
  float chance = hash21(cell + 0.5);
  return vec2(there.x * there.y * step(0.10, chance), chance);
}
/* Roofs, lanes and the shade between them, around 1: it says "many", not where each of them is. */
float roofs(vec2 place, vec2 sunward, float footprint) {
  float pitch = 26.0 * exp2(clamp(ceil(log2(footprint / 5.0)), 0.0, 2.0));
  vec2 here = houseAt(place, pitch, footprint);
  float shade = houseAt(place + 0.28 * pitch * sunward, pitch, footprint).x * u_facade;
  return mix(mix(0.72, 0.42, shade), 0.90 + 0.28 * here.y, here.x);
}
bool isCode(vec3 c, vec3 code) { return all(lessThan(abs(c - code), vec3(0.0015))); }

void fragmentMain(FragmentInput fsInput, inout czm_modelMaterial material) {
  vec3 normal = normalize(fsInput.attributes.normalEC);
  vec3 up = -normalize((czm_view * vec4(0.0, 0.0, 0.0, 1.0)).xyz);
  vec3 base = material.diffuse;
  float grey = dot(base, vec3(0.30, 0.59, 0.11));
  base = mix(base, mix(vec3(0.80), vec3(0.80) * (0.72 + 0.55 * grey), 0.6), u_white);
  float lift = 0.0;
  float painted = 0.0;
  float blind = 0.0;
  float crowd = 0.0;
  vec2 stride = fwidth(v_place.xz);
#ifdef HAS_SELECTED_FEATURE_ID
  vec3 style = texture(model_batchTexture, computeSt(float(fsInput.featureIds.SELECTED_FEATURE_ID))).rgb;
  bool old = isCode(style, vec3(253.0, 252.0, 254.0) / 255.0);
  crowd = old || isCode(style, vec3(252.0, 254.0, 253.0) / 255.0) ? 1.0 : 0.0;
  if (old || isCode(style, vec3(253.0, 254.0, 252.0) / 255.0)) {
    vec3 tile = mix(vec3(0.20, 0.165, 0.145), vec3(0.105, 0.112, 0.122), step(0.5, dot(normal, up)));
    base = mix(tile * (0.8 + 0.5 * grey), base, u_white);
  } else if (isCode(style, vec3(254.0, 252.0, 253.0) / 255.0)) {
    blind = 1.0;
  } else if (isCode(style, vec3(254.0, 253.0, 252.0) / 255.0)) {
    base = mix(base, vec3(0.78), 0.35);
    vec2 cell = mod(gl_FragCoord.xy, 6.0) - 3.0;
    base *= dot(cell, cell) < 2.2 ? 0.78 : 1.0;
  } else if (crowd == 0.0 && any(lessThan(style, vec3(0.999)))) {
    painted = 1.0;
    if (isCode(style, vec3(${linear(UNKNOWN)}))) {
      float band = mod(gl_FragCoord.x + gl_FragCoord.y, 9.0);
      base = mix(toLinear(style), vec3(0.86), band < 3.0 ? 0.75 : 0.15);
    } else {
      base = toLinear(style);
      // The ordinary stays pale, so that the eye goes to what matters.
      base = mix(base, vec3(0.84), isCode(style, LOWEST) ? 0.55 : isCode(style, LOW) ? 0.22 : 0.0);
    }
    lift = isCode(style, vec3(200.0, 150.0, 46.0) / 255.0) ? 0.16 : 0.0;
    if (lift > 0.0) base = mix(base, base * (0.45 + 1.6 * grey), 0.75);
  }
#endif
  float sky = 0.5 + 0.5 * dot(normal, up);
  float facing = max(dot(normal, czm_lightDirectionEC), 0.0);
  vec3 light = mix(u_ground, u_sky, sky) + u_sun * facing;
  vec3 colour = base * light + base * lift;
  float level = crowd * smoothstep(0.6, 0.9, dot(normal, up));
  if (level > 0.0) {
    vec2 sunward = normalize((czm_inverseModelView * vec4(czm_lightDirectionEC, 0.0)).xz + 1e-5);
    colour *= mix(1.0, roofs(v_place.xz, sunward, max(stride.x, stride.y)), level * (1.0 - 0.6 * u_white));
  }

#ifdef HAS_BASE_COLOR_TEXTURE
  // A picture brings its own windows.
  blind = 1.0;
#endif
  float upright = (1.0 - blind) * (1.0 - smoothstep(0.25, 0.45, abs(dot(normal, up))));
  if (upright > 0.0) {
    float reach = length(fsInput.attributes.positionEC);
    vec3 along = normalize(cross(v_facing, vec3(0.0, 1.0, 0.0)) + vec3(1e-5, 0.0, 0.0));
    vec2 wall = vec2(dot(v_place, along), v_place.y);
    float near = 1.0 - smoothstep(450.0, 1300.0, reach);
    // Panes grow with distance, so that far facades still sparkle instead of turning into an even glow.
    float coarse = min(exp2(floor(log2(max(reach / 420.0, 1.0)))), 8.0);
    vec2 pitch = vec2(3.3, 3.1) * coarse;
    vec2 cell = floor(wall / pitch);
    vec2 inside = fract(wall / pitch);
    float pane = step(0.22, inside.x) * step(inside.x, 0.74) * step(0.30, inside.y) * step(inside.y, 0.76);
    float chance = hash21(cell + floor(v_facing.xz * 7.0) + coarse);
    float lit = step(1.0 - u_windows * 0.36, chance);
    vec3 warm = mix(vec3(1.0, 0.52, 0.17), vec3(1.0, 0.78, 0.46), hash21(cell * 1.7));
    colour += upright * (1.0 - 0.8 * painted) * u_windows * warm * pane * lit * (0.45 + 0.75 * chance);
    float day = (1.0 - u_white) * (1.0 - u_windows) * u_facade;
    float dim = near * pane * day * 0.14 + (1.0 - near) * day * 0.035;
    colour *= 1.0 - upright * (1.0 - painted) * dim;
  }
  material.diffuse = colour;
}`;

/** Full-screen pass: sky, haze, contact shade, ink at depth edges, warmth; one pass so that ground and buildings always agree. */
export const AIR_FRAGMENT = /* glsl */ `
uniform sampler2D colorTexture;
uniform sampler2D depthTexture;
in vec2 v_textureCoordinates;

vec3 eyeAt(vec2 uv) {
  float depth = texture(depthTexture, uv).r;
  vec4 eye = czm_windowToEyeCoordinates(uv * czm_viewport.zw, depth);
  return eye.xyz / eye.w;
}
float noise(vec2 p) { return fract(52.9829189 * fract(dot(p, vec2(0.06711056, 0.00583715)))); }

void main() {
  vec2 uv = v_textureCoordinates;
  vec4 source = texture(colorTexture, uv);
  float raw = texture(depthTexture, uv).r;
  vec4 aim = czm_inverseProjection * vec4(uv * 2.0 - 1.0, 0.5, 1.0);
  vec3 ray = normalize(aim.xyz / aim.w);
  vec3 up = -normalize((czm_view * vec4(0.0, 0.0, 0.0, 1.0)).xyz);
  float rise = dot(ray, up);
  float toSun = max(dot(ray, u_sunEC), 0.0);
  vec3 haze = mix(u_hazeFar, u_hazeSun, pow(0.5 + 0.5 * dot(normalize(ray - up * rise), normalize(u_sunEC - up * dot(u_sunEC, up))), 1.6));
  vec3 colour = source.rgb;
  if (raw >= 1.0) {
    float t = clamp(rise * 1.9, 0.0, 1.0);
    colour = mix(haze, u_zenith, 1.0 - pow(1.0 - t, 2.2));
    colour += u_glow * (pow(toSun, 24.0) * 0.22 + pow(toSun, 900.0) * 1.6);
  } else {
    vec3 eye = eyeAt(uv);
    float far = length(eye);
    if (u_shade > 0.0) {
      vec2 pixel = 1.0 / czm_viewport.zw;
      float turn = 6.2832 * noise(gl_FragCoord.xy);
      float radius = clamp(9000.0 / far, 3.0, 42.0);
      float shade = 0.0;
      vec3 face = normalize(cross(dFdx(eye), dFdy(eye)));
      for (int i = 0; i < 10; i++) {
        float a = turn + float(i) * 2.39996;
        float r = radius * sqrt((float(i) + 0.5) / 10.0);
        vec3 other = eyeAt(uv + vec2(cos(a), sin(a)) * r * pixel) - eye;
        float gap = length(other);
        shade += max(dot(face, other / max(gap, 0.01)) - 0.12, 0.0) * (1.0 - smoothstep(6.0, 26.0, gap));
      }
      colour *= 1.0 - u_shade * (1.0 - smoothstep(1400.0, 4500.0, far)) * clamp(shade / 10.0 * 2.6, 0.0, 0.75);
    }
    if (u_ink > 0.0) {
      vec2 pixel = 1.0 / czm_viewport.zw;
      float sum = length(eyeAt(uv + vec2(pixel.x, 0.0))) + length(eyeAt(uv - vec2(pixel.x, 0.0)))
        + length(eyeAt(uv + vec2(0.0, pixel.y))) + length(eyeAt(uv - vec2(0.0, pixel.y)));
      float edge = smoothstep(0.0035, 0.014, abs(sum - 4.0 * far) / far);
      colour *= 1.0 - u_ink * edge * (1.0 - smoothstep(2500.0, 9000.0, far));
    }
    float thick = 1.0 - exp(-pow(far * u_density, 1.35));
    colour = mix(colour, haze, min(thick, 0.985) * u_amount);
  }
  vec2 lens = uv - 0.5;
  colour *= 1.0 - u_vignette * dot(lens, lens);
  float light = dot(colour, vec3(0.2126, 0.7152, 0.0722));
  colour = mix(vec3(light), colour, u_saturation);
  colour += (noise(gl_FragCoord.xy + 17.0) - 0.5) / 255.0;
  out_FragColor = vec4(colour, 1.0);
}`;
