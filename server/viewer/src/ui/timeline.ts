import type { App } from "../app.ts";
import { clock } from "../format.ts";
import { text } from "../i18n.ts";
import { localHour } from "../solar.ts";
import { h, t } from "./dom.ts";

/** Time along the bottom: the city's clock, whether it is alive, and the hour of the light. */
export function timeline(app: App, fallback: number): HTMLElement {
  const { view, live, offset } = app;
  const face = h("time", { class: "clock" });
  const day = h("span", { class: "clock-day" });
  const dot = h("span", { class: "live-dot", "aria-hidden": "true" });
  const word = h("span", { class: "live-word", role: "status" });
  const slider = h("input", { type: "range", id: "light", min: 0, max: 24, step: 0.25 });
  const shown = h("output", { for: "light", class: "light-value" });
  const reset = h("button", { type: "button", class: "text-button", onclick: () => view.set({ hour: null, follow: false }) }, t(view, "time.default"));
  const follow = h("input", { type: "checkbox", id: "follow", class: "switch small", role: "switch" });
  follow.addEventListener("change", () => view.set({ follow: follow.checked }));
  slider.addEventListener("input", () => view.set({ hour: Number(slider.value), follow: false }));
  const now = (): number => {
    const at = live?.state.value.now ?? Number.NaN;
    return Number.isFinite(at) ? at : fallback;
  };
  const draw = (): void => {
    const { lang, hour, follow: following } = view.value;
    const stamp = now();
    face.textContent = clock(stamp, offset);
    face.dateTime = new Date(stamp).toISOString();
    day.textContent = `${clock(stamp, offset, true).slice(0, 10)} ${text(lang, "time.local")}`;
    const connection = live?.state.value.connection ?? "offline";
    dot.dataset["state"] = live ? connection : "none";
    word.textContent = live ? (connection === "live" ? text(lang, "time.replay") : text(lang, `live.state.${connection}`)) : "";
    const light = following ? localHour(stamp, offset) : (hour ?? localHour(fallback, offset));
    slider.value = String(light);
    slider.style.setProperty("--part", `${(light / 24) * 100}%`);
    const minutes = Math.round(light * 60);
    shown.textContent = `${String(Math.floor(minutes / 60) % 24).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
    slider.setAttribute("aria-valuetext", shown.textContent);
    follow.checked = following;
    reset.hidden = hour === null && !following;
  };
  view.watch(["lang", "hour", "follow"], draw);
  live?.state.watch(["now", "connection"], draw);
  return h(
    "div", { class: "timeline glass" },
    h("div", { class: "clock-box" }, h("span", { class: "clock-line" }, face, dot, word), day),
    h("div", { class: "light-box" },
      h("div", { class: "light-head" }, h("label", { for: "light" }, t(view, "time.light")), shown, reset),
      h("div", { class: "light-track" }, slider)),
    h("label", { class: "follow-box", for: "follow" }, follow, t(view, "time.follow")),
  );
}
