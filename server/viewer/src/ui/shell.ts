import type { App } from "../app.ts";
import { named, text } from "../i18n.ts";
import type { Panel } from "../state.ts";
import type { SearchResult } from "../types.ts";
import { fill, h, icon, iconButton, retranslate, t } from "./dom.ts";
import { layersPanel } from "./layers.ts";
import { livePanel } from "./livepanel.ts";
import { riskPanel } from "./risk.ts";
import { searchBox } from "./search.ts";
import { timeline } from "./timeline.ts";

const TABS: { id: NonNullable<Panel>; icon: string }[] = [
  { id: "layers", icon: "layers" },
  { id: "risk", icon: "risk" },
  { id: "live", icon: "live" },
];

/** Lays the controls around the scene. */
export function buildShell(app: App, root: HTMLElement, card: HTMLElement, defaultTime: number, go: (result: SearchResult) => void): void {
  const { view } = app;
  const left = h("div", { class: "left" }, searchBox(app, go), tabs(app));
  const right = h("div", { class: "right" }, head(app), card);
  root.append(left, right, tools(app), timeline(app, defaultTime));
  view.watch(["lang"], ({ lang }) => {
    document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
    document.title = `${named(lang, app.city.name, app.city.name_en)} · ${text(lang, "app.title")}`;
    retranslate(document, view);
  });
  view.watch(["night"], ({ night }) => document.documentElement.classList.toggle("night", night));
  view.watch(["theme"], ({ theme }) => document.documentElement.classList.toggle("analysis", theme !== null));
}

function head(app: App): HTMLElement {
  const { view, city } = app;
  const name = h("span", { class: "city-name" });
  const badge = h("span", { class: "badge" });
  view.watch(["lang"], ({ lang }) => {
    name.textContent = named(lang, city.name, city.name_en);
    badge.textContent = named(lang, city.badge, city.badge_en);
    badge.title = text(lang, "badge.note");
  });
  badge.hidden = !(city.badge || city.badge_en);
  const lang = h("button", { type: "button", class: "tool-text", onclick: () => view.set({ lang: view.value.lang === "zh" ? "en" : "zh" }) }, t(view, "tool.lang"));
  const night = h("button", { type: "button", class: "icon-button", onclick: () => view.set({ night: !view.value.night }) });
  view.watch(["night", "lang"], (state) => {
    night.replaceChildren(icon(state.night ? "sun" : "moon"));
    night.title = text(state.lang, state.night ? "tool.day" : "tool.night");
    night.setAttribute("aria-label", night.title);
    night.setAttribute("aria-pressed", String(state.night));
    lang.setAttribute("aria-label", text(state.lang, "tool.lang.label"));
  });
  return h("div", { class: "head glass" }, h("div", { class: "city" }, name, badge), night, lang);
}

function tabs(app: App): HTMLElement {
  const { view, live } = app;
  const bar = h("div", { class: "tabs glass", role: "group" });
  const bodies: Record<NonNullable<Panel>, HTMLElement> = { layers: layersPanel(view, app.city), risk: riskPanel(app), live: livePanel(app) };
  const holder = h("div", { class: "panel glass", id: "panel", hidden: true });
  for (const tab of TABS) {
    const button = h(
      "button", { type: "button", class: "tab", id: `tab-${tab.id}`, "aria-controls": "panel", onclick: () => view.set({ panel: view.value.panel === tab.id ? null : tab.id }) },
      icon(tab.icon), t(view, `tab.${tab.id}`),
    );
    if (tab.id === "live" && live) button.append(alarmCount(app));
    bar.append(button);
    view.watch(["panel"], ({ panel }) => {
      button.setAttribute("aria-expanded", String(panel === tab.id));
      button.classList.toggle("on", panel === tab.id);
    });
  }
  const title = h("h2");
  const close = iconButton(view, "close", "tab.close", () => view.set({ panel: null }));
  fill(holder, h("header", { class: "panel-head" }, title, close), ...Object.values(bodies));
  view.watch(["panel", "lang"], ({ panel, lang }) => {
    holder.hidden = panel === null;
    document.documentElement.classList.toggle("has-panel", panel !== null);
    if (panel) title.textContent = text(lang, `tab.${panel}`);
    for (const [id, body] of Object.entries(bodies)) body.hidden = id !== panel;
  });
  return h("div", { class: "dock" }, bar, holder);
}

function alarmCount(app: App): HTMLElement {
  const chip = h("span", { class: "alarm-count", hidden: true });
  const draw = (): void => {
    const alarms = app.live?.state.value.alarms ?? 0;
    chip.hidden = alarms === 0;
    chip.textContent = String(alarms);
    chip.title = text(app.view.value.lang, "live.alarms", { n: alarms });
  };
  app.live?.state.watch(["alarms"], draw);
  app.view.watch(["lang"], draw);
  return chip;
}

function tools(app: App): HTMLElement {
  const { view, camera } = app;
  return h(
    "div", { class: "tools glass", role: "group" },
    iconButton(view, "plus", "tool.in", () => camera.zoom(0.6)),
    iconButton(view, "minus", "tool.out", () => camera.zoom(1.6)),
    iconButton(view, "north", "tool.north", () => camera.north()),
    iconButton(view, "home", "tool.home", () => void camera.home()),
  );
}
