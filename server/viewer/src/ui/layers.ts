import { text } from "../i18n.ts";
import { hasLayer } from "../scene/classes.ts";
import type { LayerId, View } from "../state.ts";
import type { Attribution, City } from "../types.ts";
import { h, t } from "./dom.ts";

const GROUPS: [string, LayerId[]][] = [
  ["ground", ["terrain", "ortho"]],
  ["models", ["l2", "l3", "trees", "furniture", "points"]],
  ["cover", ["cover_road", "cover_railway", "cover_water", "cover_green", "cover_landuse"]],
  ["under", ["pipes"]],
  ["lines", ["roads", "water", "labels"]],
  ["live", ["sensors", "incidents"]],
];

/** The layer panel: everything that is on can be turned off, and says how it is. */
export function layersPanel(view: View, city: City): HTMLElement {
  const panel = h("div", { class: "panel-body" });
  const sets = city.tilesets.map(({ id }) => id);
  for (const [group, every] of GROUPS) {
    const ids = every.filter((id) => hasLayer(id, sets));
    if (ids.length === 0) continue;
    const set = h("fieldset", { class: "group" }, h("legend", {}, t(view, `layer.group.${group}` as "layer.group.ground")));
    for (const id of ids) set.append(layerRow(view, id));
    panel.append(set);
  }
  panel.append(h("section", { class: "sources" }, h("h3", {}, t(view, "credit.title")), ...sourcesOf(city).map((line) => h("p", {}, line))));
  return panel;
}

/** Who is to be named for what is shown, each once, the engine last. */
export function sourcesOf(city: City): string[] {
  const words = city.attributions.map((one: string | Attribution) =>
    typeof one === "string" ? one : [one.attribution ?? one.text ?? one.source ?? one.name, one.licence].filter(Boolean).join(", "),
  );
  return [...new Set(words.filter(Boolean)), "CesiumJS (Apache-2.0)"];
}

function layerRow(view: View, id: LayerId): HTMLElement {
  const box = h("input", { type: "checkbox", id: `layer-${id}`, class: "switch", role: "switch" });
  const note = h("span", { class: "row-note" });
  box.addEventListener("change", () => view.set({ layers: { ...view.value.layers, [id]: box.checked } }));
  view.watch(["layers", "layerStates", "lang"], ({ layers, layerStates, lang }) => {
    box.checked = layers[id] ?? false;
    const state = layerStates[id] ?? "idle";
    note.textContent = state === "loading" || state === "failed" || state === "empty" ? text(lang, `layer.${state}`) : "";
    note.classList.toggle("bad", state === "failed");
  });
  return h("label", { class: "row", for: `layer-${id}` }, h("span", { class: "row-name" }, t(view, `layer.${id}`), note), box);
}
