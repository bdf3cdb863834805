import { en } from "./i18n/en.ts";
import { zh, type MessageKey } from "./i18n/zh.ts";
import type { Lang } from "./types.ts";

export type { MessageKey } from "./i18n/zh.ts";
const CATALOGUES: Record<Lang, Record<MessageKey, string>> = { zh, en };

/** The text of a key with {named} values put in. */
export function text(lang: Lang, key: MessageKey, values: Record<string, string | number> = {}): string {
  return CATALOGUES[lang][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** The text of a computed key such as `function.${code}`; the raw word where the catalogue has none. */
export function word(lang: Lang, group: string, code: string): string {
  const key = `${group}.${code}`;
  return key in zh ? CATALOGUES[lang][key as MessageKey] : code;
}

/** First language the reader asked for: ?lang=, a remembered choice, the browser's list; Chinese otherwise. */
export function firstLang(asked: string | null, kept: string | null, wanted: readonly string[]): Lang {
  for (const tag of [asked, kept, ...wanted]) {
    const short = (tag ?? "").slice(0, 2).toLowerCase();
    if (short === "zh" || short === "en") return short;
  }
  return "zh";
}

/** The name in the reader's language, the other one where it is missing. */
export function named(lang: Lang, chinese: string | undefined, english: string | undefined): string {
  return (lang === "zh" ? chinese || english : english || chinese) ?? "";
}
