import type { App } from "../app.ts";
import { count } from "../format.ts";
import { named, text } from "../i18n.ts";
import { LEVELS, riskColour } from "../palette.ts";
import type { Theme, ThemeState } from "../theme.ts";
import type { Lang } from "../types.ts";
import { fill, h, t } from "./dom.ts";

const RAIN_LIMITS = { min: 0, max: 300, step: 5, start: 100 };

/** The risk panel: theme on and off, five colours with their numbers, the rain to drag and what came of it. */
export function riskPanel(app: App): HTMLElement {
  const { view, theme } = app;
  const panel = h("div", { class: "panel-body" });
  if (!theme) {
    panel.append(h("p", { class: "empty" }, t(view, "theme.none")));
    return panel;
  }
  const box = h("input", { type: "checkbox", id: "theme-flood", class: "switch", role: "switch" });
  box.addEventListener("change", () => view.set({ theme: box.checked ? theme.info.id : null }));
  view.watch(["theme"], (state) => {
    box.checked = state.theme === theme.info.id;
  });
  const title = h("span", { class: "row-name strong" });
  view.watch(["lang"], ({ lang }) => {
    title.textContent = named(lang, theme.info.title, theme.info.title_en);
    box.setAttribute("aria-label", text(lang, "theme.on"));
  });
  const status = h("p", { class: "status", role: "status" });
  const legend = h("ol", { class: "legend" });
  const rain = rainControl(app, theme);
  panel.append(h("label", { class: "row", for: "theme-flood" }, title, box), legend, rain, status);
  const refresh = (): void => {
    drawLegend(legend, view.value.lang, theme.state.value);
    drawStatus(status, view.value.lang, theme.state.value);
    panel.classList.toggle("off", view.value.theme === null);
  };
  view.watch(["lang", "theme"], refresh);
  theme.state.watch(["status", "buildings", "streets", "rain", "why", "reason"], refresh);
  return panel;
}

/** Five colours, each with its number and its word; hatched grey for what cannot be graded. */
export function drawLegend(list: HTMLElement, lang: Lang, state: ThemeState): void {
  const total = state.buildings.reduce((a, b) => a + b, 0);
  list.setAttribute("aria-label", text(lang, "theme.legend"));
  list.replaceChildren(
    ...[...LEVELS, 0].map((level) => {
      const number = state.buildings[level] ?? 0;
      const share = total > 0 ? number / total : 0;
      const chip = h("span", { class: `level-chip ${level === 0 ? "hatched" : ""}`, dataset: { level }, "aria-hidden": "true" }, level || "?");
      const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("i", { style: { width: `${(100 * share).toFixed(1)}%`, background: riskColour(level) } }));
      return h("li", {}, chip, h("span", { class: "level-word" }, text(lang, `level.${level as 0}`)), bar, h("span", { class: "level-count" }, total > 0 ? count(number) : ""));
    }),
  );
}

function drawStatus(status: HTMLElement, lang: Lang, state: ThemeState): void {
  status.replaceChildren();
  status.classList.toggle("bad", state.status === "failed");
  status.classList.toggle("busy", state.status === "loading" || state.status === "running");
  if (state.status === "failed") fill(status, text(lang, "theme.failed", { why: state.why }));
  else if (state.status === "loading") fill(status, text(lang, "theme.loading"));
  else if (state.status === "none") fill(status, text(lang, "theme.none"));
  else if (state.status === "running") fill(status, text(lang, "theme.running"));
  else if (state.status === "ready") {
    const high = (counts: number[]): string => count((counts[5] ?? 0) + (counts[4] ?? 0));
    const all = (counts: number[]): string => count(counts.reduce((a, b) => a + b, 0));
    if (state.rain !== null) fill(status, h("strong", {}, text(lang, "theme.done", { mm: state.rain, high: high(state.buildings), all: all(state.buildings) })));
    if (state.streets.some((n) => n > 0)) fill(status, h("span", {}, text(lang, "theme.streets", { high: high(state.streets), all: all(state.streets) })));
    const [zh, en] = state.reason.split("\n");
    if (state.reason) fill(status, h("span", { class: "reason" }, named(lang, zh, en)));
    if (state.method) fill(status, h("small", {}, `${text(lang, "theme.method")}: ${state.method}`));
  }
}

function rainControl(app: App, theme: Theme): HTMLElement {
  const { view } = app;
  const slider = h("input", { type: "range", id: "rain", min: RAIN_LIMITS.min, max: RAIN_LIMITS.max, step: RAIN_LIMITS.step, value: RAIN_LIMITS.start });
  const value = h("output", { for: "rain", class: "rain-value" });
  const reset = h("button", { type: "button", class: "text-button", onclick: () => view.set({ rain: null }) }, t(view, "theme.reset"));
  slider.addEventListener("input", () => view.set({ rain: Number(slider.value), theme: theme.info.id }));
  view.watch(["rain", "lang"], ({ rain, lang }) => {
    value.textContent = rain === null ? text(lang, "theme.rain.none") : text(lang, "theme.rain.unit", { mm: rain });
    slider.setAttribute("aria-valuetext", text(lang, "theme.rain.unit", { mm: slider.value }));
    reset.hidden = rain === null;
    if (rain !== null) slider.value = String(rain);
    slider.style.setProperty("--part", `${((Number(slider.value) - RAIN_LIMITS.min) / (RAIN_LIMITS.max - RAIN_LIMITS.min)) * 100}%`);
  });
  return h("div", { class: "rain" }, h("label", { for: "rain", class: "strong" }, t(view, "theme.rain")), slider, h("div", { class: "rain-line" }, value, reset));
}
