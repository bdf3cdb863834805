import type { CesiumWidget } from "cesium";
import type { App } from "./app.ts";
import type { Picker } from "./scene/picker.ts";
import { LAYERS } from "./state.ts";
import type { Feature, Lang } from "./types.ts";
import { itemPath } from "./ui/cards.ts";

export interface TwinApi {
  ready: Promise<boolean>;
  viewer: CesiumWidget;
  flyTo: (oid: string) => Promise<void>;
  pick: (oid: string | null) => void;
  setTheme: (id: string | null) => void;
  setRain: (mm: number | null) => void;
  setLayer: (id: string, on: boolean) => void;
  setLang: (lang: Lang) => void;
  setNight: (on: boolean) => void;
  state: () => Record<string, unknown>;
  screenPositionOf: (oid: string) => Promise<{ x: number; y: number; hit: boolean } | null>;
  colorOf: (oid: string) => string | null;
}

/** The small door for embedders and tests: what a hand can do on the page, a script can do here. */
export function makeApi(app: App, picker: Picker, ready: Promise<boolean>, fly: (oid: string, item: Feature) => Promise<void>): TwinApi {
  const { view } = app;
  const item = (oid: string): Promise<Feature> => app.api.get<Feature>(itemPath(oid));
  return {
    ready,
    viewer: app.stage.widget,
    flyTo: async (oid) => fly(oid, await item(oid)),
    pick: (oid) => view.set({ selected: oid === null ? null : { kind: "building", oid } }),
    setTheme: (id) => view.set({ theme: id }),
    setRain: (mm) => view.set({ rain: mm }),
    setLayer: (id, on) => {
      if (!(LAYERS as readonly string[]).includes(id)) throw new RangeError(`no layer ${id}; there are ${LAYERS.join(", ")}`);
      view.set({ layers: { ...view.value.layers, [id]: on } });
    },
    setLang: (lang) => view.set({ lang }),
    setNight: (night) => view.set({ night }),
    state: () => ({
      load: document.documentElement.dataset["twinLoadState"], lang: view.value.lang, night: view.value.night, theme: view.value.theme,
      rain: view.value.rain, panel: view.value.panel, layers: { ...view.value.layers }, selected: view.value.selected, camera: app.camera.view,
      quality: app.stage.quality.name, live: app.live?.state.value ?? null, risk: app.theme?.state.value ?? null,
      failures: app.models.failures.map((failure) => ({ ...failure })),
    }),
    screenPositionOf: async (oid) => picker.pixelOf(oid, await item(oid)),
    colorOf: (oid) => app.models.colourOf(oid),
  };
}

interface Message { v?: number; type?: string; payload?: Record<string, unknown>; requestId?: string }

/** postMessage, version 1: only for origins named in ?embed=, never by default. */
export function openMessages(app: App, twin: TwinApi): void {
  const allowed = new Set((new URLSearchParams(location.search).get("embed") ?? "").split(",").filter(Boolean));
  if (allowed.size === 0 || window.parent === window) return;
  const send = (type: string, payload: unknown, requestId?: string): void => {
    for (const origin of allowed) window.parent.postMessage({ v: 1, source: "pingcheng", type, payload, requestId }, origin);
  };
  window.addEventListener("message", (event: MessageEvent<Message>) => {
    if (!allowed.has(event.origin) || event.data?.v !== 1) return;
    const { type, payload = {}, requestId } = event.data;
    if (type === "setView") app.camera.set({ ...app.camera.view, ...payload });
    else if (type === "highlight") twin.pick(typeof payload["oid"] === "string" ? payload["oid"] : null);
    else if (type === "setLayer") twin.setLayer(String(payload["id"]), payload["on"] === true);
    else return;
    send("ack", { type }, requestId);
  });
  app.view.watch(["selected"], ({ selected }) => send("selectionChanged", selected));
  void twin.ready.then((complete) => send("ready", { complete }));
}
