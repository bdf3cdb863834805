import { text, type MessageKey } from "../i18n.ts";
import type { View } from "../state.ts";

type Child = Node | string | number | null | undefined | false;
type Props = Record<string, unknown>;

/** An element with attributes, `on*` listeners, `class`, `dataset` and children; never HTML text. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  dress(element, props);
  fill(element, ...children);
  return element;
}

export function fill(element: Element, ...children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

function dress(element: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
    else if (name === "dataset") Object.assign((element as HTMLElement).dataset, value);
    else if (name === "style") for (const [key, v] of Object.entries(value as Props)) (element as HTMLElement).style.setProperty(key, String(v));
    else element.setAttribute(name === "class" ? "class" : name, value === true ? "" : String(value));
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element; same rules as `h`. */
export function s(tag: string, props: Props = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) if (value !== null && value !== undefined) element.setAttribute(name, String(value));
  fill(element, ...children);
  return element;
}

const ICONS: Record<string, string> = {
  search: "M10.5 4a6.5 6.5 0 1 0 4 11.6l4.4 4.4M10.5 4a6.5 6.5 0 0 1 5 10.7",
  layers: "M12 4 3.5 8.5 12 13l8.5-4.5L12 4ZM4 12.5l8 4.2 8-4.2M4 16l8 4.2 8-4.2",
  risk: "M12 3.5c3.2 4.2 6 7 6 10.6a6 6 0 0 1-12 0c0-3.6 2.8-6.4 6-10.600ZM9.2 14.500a3 3 0 0 0 2.8 2.8",
  live: "M3 12h3.500l2.5-6.5 4.5 13 2.8-6.500H21",
  home: "M4 11.5 12 4.500l8 7M6.5 10v9.500h11V10",
  north: "M12 3.5 16.5 19 12 15.8 7.5 19 12 3.500Z",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  moon: "M19.5 14.200A8 8 0 0 1 9.8 4.500a8 8 0 1 0 9.7 9.700Z",
  sun: "M12 7.500a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4",
  fly: "M4 12.5 20 4l-5 16-3.5-6.500L4 12.500Z",
  info: "M12 11v6M12 7.500v.5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z",
};

/** A line icon, 24 x 24, coloured by the text around it. */
export function icon(name: keyof typeof ICONS & string): SVGElement {
  const path = s("path", { d: ICONS[name] ?? "", fill: "none", stroke: "currentColor", "stroke-width": 1.7, "stroke-linecap": "round", "stroke-linejoin": "round" });
  return s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, path);
}

/** A text node that follows the language. */
export function t(view: View, key: MessageKey, values: Record<string, string | number> = {}): HTMLSpanElement {
  const span = h("span", { "data-i18n": key });
  span.textContent = text(view.value.lang, key, values);
  return span;
}

/** Round button with an icon; its label is both tooltip and accessible name and follows the language. */
export function iconButton(view: View, name: string, key: MessageKey, press: () => void, extra: Props = {}): HTMLButtonElement {
  const button = h("button", { type: "button", class: "icon-button", onclick: press, ...extra }, icon(name));
  view.watch(["lang"], ({ lang }) => {
    button.title = text(lang, key);
    button.setAttribute("aria-label", text(lang, key));
  });
  return button;
}

/** Re-reads every span made by `t` without values; called after the language changed. */
export function retranslate(root: ParentNode, view: View): void {
  for (const span of root.querySelectorAll<HTMLElement>("[data-i18n]")) {
    const raw = text(view.value.lang, span.dataset["i18n"] as MessageKey);
    if (!raw.includes("{")) span.textContent = raw;
  }
}
