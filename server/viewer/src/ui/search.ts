import type { App } from "../app.ts";
import { named, text, word } from "../i18n.ts";
import type { SearchResult } from "../types.ts";
import { fill, h, icon } from "./dom.ts";

const PATIENCE = 180;

/** The one search box: type, arrow down, enter. */
export function searchBox(app: App, go: (result: SearchResult) => void): HTMLElement {
  const { view, api } = app;
  const input = h("input", {
    id: "search", type: "search", autocomplete: "off", spellcheck: "false", role: "combobox", "aria-expanded": "false",
    "aria-controls": "search-results", "aria-autocomplete": "list",
  });
  const list = h("ul", { id: "search-results", role: "listbox", class: "results", hidden: true });
  const note = h("p", { class: "results-note", role: "status", hidden: true });
  const box = h("div", { class: "search glass", role: "search" }, icon("search"), input, list, note);
  let timer: number | undefined;
  let abort: AbortController | null = null;
  let found: SearchResult[] = [];
  let active = -1;

  view.watch(["lang"], ({ lang }) => {
    input.placeholder = text(lang, "search.placeholder");
    input.setAttribute("aria-label", text(lang, "search.label"));
  });

  const close = (): void => {
    list.hidden = true;
    note.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (result: SearchResult): void => {
    input.value = named(view.value.lang, result.name, result.name_en) || result.address || result.oid;
    close();
    go(result);
  };
  const mark = (index: number): void => {
    active = found.length === 0 ? -1 : (index + found.length) % found.length;
    [...list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === active)));
    const row = list.children[active];
    if (row) {
      input.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    }
  };
  const show = (): void => {
    const lang = view.value.lang;
    list.replaceChildren(...found.map((result, i) => row(lang, result, i, () => choose(result))));
    list.hidden = found.length === 0;
    note.hidden = found.length > 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    if (found.length === 0) note.textContent = text(lang, "search.none", { q: input.value.trim() });
  };
  const ask = async (): Promise<void> => {
    const q = input.value.trim();
    abort?.abort();
    if (!q) return close();
    abort = new AbortController();
    try {
      const answer = await api.get<{ results: SearchResult[] }>(`/search?q=${encodeURIComponent(q)}&limit=10`, abort.signal);
      found = answer.results;
      active = -1;
      show();
    } catch (error) {
      if ((error as Error).name === "AbortError") return;
      found = [];
      list.hidden = true;
      note.hidden = false;
      note.textContent = text(view.value.lang, "search.failed");
    }
  };
  input.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), PATIENCE);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") mark(active + 1);
    else if (event.key === "ArrowUp") mark(active - 1);
    else if (event.key === "Escape") {
      close();
      return;
    } else if (event.key === "Enter") {
      const pick = found[Math.max(0, active)];
      if (pick && !list.hidden) choose(pick);
      else void ask();
    } else return;
    event.preventDefault();
  });
  box.addEventListener("focusout", (event) => {
    if (!box.contains(event.relatedTarget as Node | null)) window.setTimeout(close, 120);
  });
  return box;
}

function row(lang: "zh" | "en", result: SearchResult, index: number, choose: () => void): HTMLLIElement {
  const line = h("li", { id: `result-${index}`, role: "option", "aria-selected": "false", class: "result", onmousedown: (e: Event) => e.preventDefault(), onclick: choose });
  const second = named(lang === "zh" ? "en" : "zh", result.name, result.name_en);
  const first = named(lang, result.name, result.name_en) || result.address || result.oid;
  fill(
    line, h("span", { class: "result-name" }, first, second && second !== first ? h("small", {}, ` ${second}`) : null),
    h("span", { class: "result-kind" }, word(lang, "kind", result.kind)), h("span", { class: "result-address" }, result.address ?? ""),
  );
  return line;
}
