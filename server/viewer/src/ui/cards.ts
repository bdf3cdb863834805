import type { App } from "../app.ts";
import { named, text, word } from "../i18n.ts";
import { collectionOf } from "../scene/classes.ts";
import type { Feature, Selection, Zone } from "../types.ts";
import { buildingCard, titleOf, zoneBlock } from "./card.ts";
import { thingCard, thingTitle } from "./card-thing.ts";
import { incidentCard, sensorCard } from "./card-live.ts";
import { fill, h, icon, t } from "./dom.ts";

export interface CardHooks {
  fly: (selection: Selection, item: Feature | null) => void;
  found: (oid: string, item: Feature | null) => void;
}

/** The card on the right: one at a time, of whatever is picked; a click always leads one step deeper. */
export class Cards {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #hooks: CardHooks;
  #item: Feature | null = null;
  #asked = "";
  #abort: AbortController | null = null;

  constructor(app: App, hooks: CardHooks) {
    this.#app = app;
    this.#hooks = hooks;
    this.element = h("aside", { class: "card glass", id: "card", hidden: true, tabindex: -1, "aria-live": "polite" });
    app.view.watch(["selected"], ({ selected }) => void this.#open(selected));
    app.view.watch(["lang"], () => this.#draw());
    app.theme?.state.watch(["buildings"], () => this.#draw());
    app.live?.onObservation((thing) => {
      const { selected } = app.view.value;
      if (selected?.kind === "sensor" && selected.oid === thing.oid) this.#draw();
    });
  }

  async #open(selected: Selection | null): Promise<void> {
    this.#abort?.abort();
    this.#item = null;
    this.#asked = "";
    this.element.hidden = selected === null;
    document.documentElement.classList.toggle("has-card", selected !== null);
    if (selected?.kind !== "building") {
      this.#draw();
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    this.#draw();
    try {
      const item = await this.#app.api.get<Feature>(itemPath(selected.oid), abort.signal);
      if (abort.signal.aborted) return;
      this.#item = item;
    } catch (error) {
      if ((error as Error).name === "AbortError") return;
      this.#asked = (error as Error).message;
    }
    this.#hooks.found(selected.oid, this.#item);
    this.#draw();
  }

  #draw(): void {
    const { view, live } = this.#app;
    const { selected, lang } = view.value;
    if (!selected) {
      this.element.replaceChildren();
      return;
    }
    const keep = this.element.querySelector("details")?.open ?? false;
    const thing = selected.kind === "sensor" ? live?.things.get(selected.oid) : undefined;
    const incident = selected.kind === "incident" ? live?.incidents.get(selected.oid) : undefined;
    if (thing) this.#show(named(lang, thing.name, thing.nameEn), word(lang, "kind", "sensor"), thing.oid, sensorCard(this.#app, thing), "/live/things");
    else if (incident) this.#show(named(lang, incident.title, incident.titleEn), word(lang, "kind", "incident"), incident.oid, incidentCard(this.#app, incident), "/incidents");
    else if (selected.kind === "street") this.#street(selected.oid);
    else if (selected.kind === "thing") this.#thing(selected);
    else if (selected.kind === "building") this.#building(selected);
    const details = this.element.querySelector("details");
    if (details) details.open = keep;
  }

  #building(selected: Selection & { kind: "building" }): void {
    const lang = this.#app.view.value.lang;
    if (this.#item) {
      const [first, second] = titleOf(lang, this.#item.properties);
      const use = word(lang, "function", String(this.#item.properties["function"] || "unknown"));
      this.#show(first, [second, use].filter(Boolean).join(" · "), selected.oid, buildingCard(this.#app, this.#item, selected.part), itemPath(selected.oid));
      return;
    }
    const title = selected.name || text(lang, "card.noname");
    if (this.#asked) {
      const again = h("button", { type: "button", class: "text-button", onclick: () => void this.#open(selected) }, text(lang, "card.retry"));
      this.#show(title, "", selected.oid, [h("p", { class: "bad" }, text(lang, "card.failed", { why: this.#asked })), again], itemPath(selected.oid));
      return;
    }
    const bones = [1, 2, 3].map(() => h("div", { class: "bone", "aria-hidden": "true" }));
    this.#show(title, "", selected.oid, [h("p", { class: "busy" }, text(lang, "card.loading")), ...bones], itemPath(selected.oid));
  }

  #thing({ oid, set, properties }: Selection & { kind: "thing" }): void {
    const lang = this.#app.view.value.lang;
    const collection = collectionOf(set, properties);
    const path = collection ? `/collections/${collection}/items/${encodeURIComponent(oid)}` : "/collections";
    this.#show(thingTitle(lang, set, properties), word(lang, "set", set), oid, thingCard(lang, properties), path);
  }

  #street(oid: string): void {
    const { theme, view } = this.#app;
    const lang = view.value.lang;
    const found = theme?.street(oid);
    if (!found) return;
    const p = found.feature.properties;
    const zone = { ...p, drivers: p["drivers"] ?? [] } as unknown as Zone;
    const name = named(lang, p["name"] as string, p["name_en"] as string) || text(lang, "card.street");
    const block = zoneBlock(this.#app, oid, zone, found.level);
    this.#show(name, word(lang, "kind", "street"), oid, block ? [block] : [], `/collections/flood_streets/items/${encodeURIComponent(oid)}`);
  }

  #show(title: string, second: string, oid: string, body: Node[], path: string): void {
    const { view, api } = this.#app;
    const { selected } = view.value;
    const close = h("button", { type: "button", class: "icon-button card-close", "aria-label": text(view.value.lang, "card.close"), onclick: () => view.set({ selected: null }) }, icon("close"));
    const head = h("header", { class: "card-head" }, h("div", {}, h("h2", { class: "card-title" }, title), second ? h("p", { class: "card-second" }, second) : null, h("code", { class: "oid" }, oid)), close);
    // A thing was picked where it is seen: there is nowhere to fly to.
    const fly = selected?.kind === "thing" ? null : h("button", { type: "button", class: "action", onclick: () => selected && this.#hooks.fly(selected, this.#item) }, icon("fly"), t(view, "card.fly"));
    const next = h("a", { class: "next", href: api.url(path), target: "_blank", rel: "noopener" }, t(view, "card.next"));
    const foot = h("footer", { class: "card-foot" }, fly, next);
    const main = h("div", { class: "card-body" });
    fill(main, ...body);
    this.element.replaceChildren(head, main, foot);
    this.element.setAttribute("aria-label", title);
  }
}

export function itemPath(oid: string): string {
  return `/collections/buildings/items/${encodeURIComponent(oid)}`;
}
