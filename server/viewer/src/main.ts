import { Api } from "./api.ts";
import type { App } from "./app.ts";
import { makeApi, openMessages } from "./embed.ts";
import { centre } from "./geo.ts";
import { Ground } from "./ground.ts";
import { firstLang, named } from "./i18n.ts";
import { Live } from "./live.ts";
import { Marks } from "./marks.ts";
import { CityCamera } from "./scene/camera.ts";
import { atFirst, CLASS_SETS, COVERS } from "./scene/classes.ts";
import { Effort } from "./scene/effort.ts";
import { Models } from "./scene/models.ts";
import { Overlay } from "./scene/overlay.ts";
import { Picker } from "./scene/picker.ts";
import { settled } from "./scene/readiness.ts";
import { openStage } from "./scene/stage.ts";
import { atLocalHour } from "./solar.ts";
import { LAYERS, makeView, type View } from "./state.ts";
import { Theme } from "./theme.ts";
import { sourcesOf } from "./ui/layers.ts";
import type { City, Feature, SearchResult, Selection } from "./types.ts";
import { Cards } from "./ui/cards.ts";
import { h } from "./ui/dom.ts";
import { keys } from "./ui/keys.ts";
import { Loading, notice } from "./ui/loading.ts";
import { buildShell } from "./ui/shell.ts";

const root = document.getElementById("app") as HTMLElement;
const holder = document.getElementById("scene") as HTMLElement;
const marksRoot = document.getElementById("marks") as HTMLElement;
const credits = document.getElementById("credits") as HTMLElement;
const asked = new URLSearchParams(location.search);

function remembered(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A private window keeps nothing; the page works without.
  }
}

function setLoadState(state: "loading" | "shown" | "ready" | "error"): void {
  document.documentElement.dataset["twinLoadState"] = state;
}

async function start(): Promise<void> {
  const api = new Api(document.baseURI);
  const lang = firstLang(asked.get("lang"), remembered("twin.lang"), navigator.languages);
  const view = makeView(lang, (asked.get("night") ?? remembered("twin.night")) === "1");
  view.watch(["lang", "night"], (state) => {
    remember("twin.lang", state.lang);
    remember("twin.night", state.night ? "1" : "0");
    document.documentElement.classList.toggle("night", state.night);
  });
  const loading = new Loading(view);
  root.append(loading.element);
  const notices = h("div", { class: "notices" });
  root.append(notices);
  loading.step("city", "busy");
  let city: City;
  try {
    city = await api.get<City>("/city");
  } catch (error) {
    setLoadState("error");
    loading.step("city", "failed");
    notice(view, notices, "error.city", { why: (error as Error).message }, () => location.reload());
    return;
  }
  view.watch(["lang"], (state) => loading.name(named(state.lang, city.name, city.name_en)));
  loading.step("city", "done");
  await openCity(api, city, view, loading, notices);
}

async function openCity(api: Api, city: City, view: View, loading: Loading, notices: HTMLElement): Promise<void> {
  loading.step("engine", "busy");
  const opening = city.live ? new Live(api, city.live) : null;
  const stage = await openStage(api, city, holder, credits).catch((error: unknown) => {
    setLoadState("error");
    loading.step("engine", "failed");
    notice(view, notices, "error.webgl");
    throw error;
  });
  loading.step("engine", "done");
  if (stage.terrainFailed) notice(view, notices, "error.terrain");
  const { scene } = stage.widget;
  view.set({ layers: { ...view.value.layers, ...atFirst(city.imagery.length > 0) } });
  const models = new Models(scene);
  const overlay = new Overlay(scene, marksRoot);
  const camera = new CityCamera(scene, { ...city.view, height: city.view.height + stage.standing });
  stage.widget.useDefaultRenderLoop = true;
  const themeInfo = city.themes[0];
  const ground = new Ground(api, city, stage, overlay, view);
  const app: App = {
    api, city, view, stage, models, camera, overlay, ground, live: opening, offset: city.time?.utc_offset ?? 8,
    theme: themeInfo ? new Theme(api, themeInfo, models, stage) : null,
  };
  const picker = new Picker(scene, models);
  const defaultTime = Date.parse(city.time?.default ?? "2026-06-21T18:30:00+08:00");
  light(app, defaultTime);
  loading.step("terrain", "busy");
  loading.step("buildings", "busy");
  loading.step("heritage", "busy");
  const modelsOpen = models.open(api, city, stage.quality, stage.look, (id, ok) => {
    if (id === "l2" || id === "l3") loading.step(id === "l3" ? "heritage" : "buildings", ok ? "busy" : "failed");
  });
  const effort = new Effort(stage, models);
  // The picture comes first; names and values follow it, then the finer tiles.
  const first = modelsOpen.then(() => settled(scene, models)).then(() => effort.open());
  const liveOpen = first.then(() => opening?.open().then(() => true, () => false) ?? false);
  const ready = first.then(() => settled(scene, models));
  void liveOpen.then((ok) => {
    if (!ok && opening) notice(view, notices, "error.live");
  });
  connect(app, picker, defaultTime, { first, ready, liveOpen });
  attributions(app);
  await first;
  for (const step of ["terrain", "buildings", "heritage"] as const) loading.step(step, "done");
  loading.leave();
  setLoadState("shown");
  const complete = await ready;
  effort.refine();
  for (const failure of models.failures) notice(view, notices, "error.tiles", { name: failure.id, why: failure.why });
  setLoadState(complete && models.failures.length < Math.max(1, city.tilesets.length) ? "ready" : "error");
}

interface Stages { first: Promise<void>; ready: Promise<boolean>; liveOpen: Promise<boolean> }

/** Ties choices to the scene: layers, theme, selection, light, keys, and the door for scripts. */
function connect(app: App, picker: Picker, defaultTime: number, { first, ready, liveOpen }: Stages): void {
  const { view, models, camera, ground, theme } = app;
  const flyTo = (item: Feature, height: number): Promise<void> => {
    const at = centre(item.geometry);
    return at ? camera.to(at[0], at[1], Math.max(220, height * 7), height / 2) : Promise.resolve();
  };
  const heightOf = (item: Feature): number => Number(item.properties["height_m"] ?? item.properties["height"]) || 12;
  const fly = (selection: Selection, item: Feature | null): void => {
    const live = selection.kind === "sensor" ? app.live?.things.get(selection.oid) : app.live?.incidents.get(selection.oid);
    if (item) void flyTo(item, heightOf(item));
    else if (live) void camera.to(live.lon, live.lat, 420);
  };
  const cards = new Cards(app, { fly, found: (oid, item) => view.value.selected?.oid === oid && picker.frame(item) });
  const go = (result: SearchResult): void => {
    if (result.kind === "building" || result.kind === "address") view.set({ selected: { kind: "building", oid: result.oid, name: result.name } });
    void camera.to(result.lon, result.lat, Math.max(260, (result.height ?? 20) * 7), (result.height ?? 0) / 2);
  };
  buildShell(app, root, cards.element, defaultTime, go);
  const marks = new Marks(app);
  void liveOpen.then(() => marks.refresh());
  for (const id of LAYERS) {
    view.watch(["layers"], ({ layers }) => showLayer(app, marks, id, layers[id] ?? false, first));
  }
  view.watch(["lang"], () => ground.relabel());
  let askedRoads = false;
  document.getElementById("layer-roads")?.addEventListener("change", () => (askedRoads = true));
  // Street lamps make the night, so roads come with it unless the reader has decided about them.
  view.watch(["night"], ({ night, layers }) => {
    if (!askedRoads && layers["roads"] !== night) view.set({ layers: { ...view.value.layers, roads: night } });
    ground.redraw();
  });
  view.watch(["theme"], (state) => void theme?.turn(state.theme === theme.info.id));
  view.watch(["rain"], ({ rain }) => (theme?.state.value.rain !== rain ? theme?.rain(rain) : undefined));
  view.watch(["selected"], ({ selected }) => {
    models.select(selected?.kind === "building" || selected?.kind === "thing" ? selected.oid : null);
    theme?.pickStreet(selected?.kind === "street" ? selected.oid : "");
    picker.frame(null);
  });
  ground.onPick((oid) => view.set({ selected: { kind: "building", oid } }));
  picker.onClick((building, place, metresPerPixel) => {
    if (building && building.set in CLASS_SETS) {
      view.set({ selected: { kind: "thing", oid: building.oid, set: building.set, properties: building.part } });
      return;
    }
    if (building) {
      view.set({ selected: { kind: "building", oid: building.oid, name: building.name, part: building.part } });
      return;
    }
    const street = place && theme?.on ? theme.streetAt(place, Math.max(10, metresPerPixel * 14)) : null;
    view.set({ selected: street ? { kind: "street", oid: street } : null });
  });
  keys(app, holder);
  const twin = makeApi(app, picker, ready, (_, item) => flyTo(item, heightOf(item)));
  (window as unknown as { twin: typeof twin }).twin = twin;
  openMessages(app, twin);
}

const shown = new Map<string, boolean>();

function showLayer(app: App, marks: Marks, id: (typeof LAYERS)[number], on: boolean, first: Promise<void>): void {
  if (shown.get(id) === on) return;
  shown.set(id, on);
  const { scene } = app.stage.widget;
  if (id === "terrain") scene.globe.show = on;
  else if (id === "ortho") for (const layer of app.stage.imagery) layer.show = on;
  else if (id in COVERS) app.models.showCover(COVERS[id] ?? [], on);
  else if (id === "l2" || id === "l3" || id in CLASS_SETS) app.models.show(id, on);
  else if (id === "sensors" || id === "incidents") marks.refresh();
  else void first.then(() => app.ground.show(id, shown.get(id) ?? false));
  // What lies in the ground is seen only through it.
  if (id === "pipes") {
    const seen = on && app.city.tilesets.some((set) => set.id === "pipes");
    scene.globe.translucency.enabled = seen;
    scene.globe.translucency.frontFaceAlpha = seen ? 0.45 : 1;
  }
  scene.requestRender();
}

/** Light follows the hour, the theme and the night. */
function light(app: App, defaultTime: number): void {
  const { view, stage, live, offset } = app;
  const draw = (): void => {
    const { hour, follow, night, theme } = view.value;
    const now = live?.state.value.now ?? Number.NaN;
    const base = follow && Number.isFinite(now) ? now : defaultTime;
    stage.look.apply(hour === null ? base : atLocalHour(base, offset, hour), night, theme !== null);
  };
  view.watch(["hour", "follow", "night", "theme"], draw);
  let minute = -1;
  live?.state.watch(["now"], ({ now }) => {
    const next = Math.floor(now / 300000);
    if (view.value.follow && next !== minute) draw();
    minute = next;
  });
}

function attributions(app: App): void {
  const list = document.getElementById("sources") as HTMLElement;
  list.textContent = sourcesOf(app.city).join(" · ");
  list.title = list.textContent;
}

start().catch((error: unknown) => {
  setLoadState("error");
  throw error;
});
