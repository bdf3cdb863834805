import { text, type MessageKey } from "../i18n.ts";
import type { View } from "../state.ts";
import { fill, h, t } from "./dom.ts";

export type StepId = "engine" | "city" | "terrain" | "buildings" | "heritage";
export type StepState = "waiting" | "busy" | "done" | "failed";
const STEPS: StepId[] = ["city", "engine", "terrain", "buildings", "heritage"];

/** What is coming and how much of it is there; leaves as soon as the city stands. */
export class Loading {
  readonly element: HTMLElement;
  readonly #rows = new Map<StepId, HTMLElement>();
  readonly #bar = h("i");
  readonly #name = h("h1", { class: "loading-name" });
  #states = new Map<StepId, StepState>();

  constructor(view: View) {
    const list = h("ul", { class: "steps" });
    for (const id of STEPS) {
      const row = h("li", { dataset: { state: "waiting" } }, h("span", { class: "tick", "aria-hidden": "true" }), t(view, `load.${id}` as MessageKey));
      this.#rows.set(id, row);
      list.append(row);
    }
    this.element = h(
      "section", { class: "loading", role: "status", "aria-live": "polite" },
      this.#name, h("p", {}, t(view, "app.loading")), h("div", { class: "progress", "aria-hidden": "true" }, this.#bar), list,
    );
  }

  name(text: string): void {
    this.#name.textContent = text;
  }

  step(id: StepId, state: StepState): void {
    this.#states.set(id, state);
    const row = this.#rows.get(id);
    if (row) row.dataset["state"] = state;
    const share = STEPS.reduce((sum, step) => {
      const at = this.#states.get(step);
      return sum + (at === "done" || at === "failed" ? 1 : at === "busy" ? 0.4 : 0);
    }, 0);
    this.#bar.style.width = `${(100 * share) / STEPS.length}%`;
  }

  leave(): void {
    this.element.classList.add("leaving");
    const fading = document.documentElement.classList.contains("lively");
    window.setTimeout(() => this.element.remove(), fading ? 700 : 0);
  }
}

/** A notice at the foot of the scene: what happened, what still works, what to do. */
export function notice(view: View, holder: HTMLElement, key: MessageKey, values: Record<string, string> = {}, retry?: () => void): void {
  const message = h("span");
  view.watch(["lang"], ({ lang }) => {
    message.textContent = `${text(lang, key, values)} ${key === "error.city" || key === "error.webgl" ? "" : text(lang, "error.still")}`;
  });
  const box = h("div", { class: "notice glass", role: "alert" }, message);
  fill(
    box, retry ? h("button", { type: "button", class: "text-button", onclick: retry }, t(view, "error.retry")) : null,
    h("button", { type: "button", class: "text-button", onclick: () => box.remove() }, t(view, "error.dismiss")),
  );
  holder.append(box);
}
