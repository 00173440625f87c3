// The language of the page: the browser's at first, then what its user chose. Texts, dates and numbers follow it.

import { effect, signal } from "@preact/signals";

export type Language = "en" | "zh-CN";
export type Labels = Readonly<Record<string, string>>;
type Filling = Readonly<Record<string, string | number>>;

export const LANGUAGES: Readonly<Record<Language, string>> = { en: "English", "zh-CN": "简体中文" };
const KEPT = "fieldgrant.language";

function atFirst(): Language {
  const kept = globalThis.localStorage?.getItem(KEPT);
  if (kept === "en" || kept === "zh-CN") return kept;
  const wished = globalThis.navigator?.languages ?? [];
  return wished
    .find((one) => /^(en|zh)\b/i.test(one))
    ?.toLowerCase()
    .startsWith("zh")
    ? "zh-CN"
    : "en";
}

export const language = signal<Language>(atFirst());

effect(() => {
  if (globalThis.document) document.documentElement.lang = language.value;
});

/** Change the language of the page, and remember it in this browser. */
export function choose(wanted: Language): void {
  language.value = wanted;
  globalThis.localStorage?.setItem(KEPT, wanted);
}

/**
 * The texts of a page: `t("key", {n: 3})` fills `{n}`. Where `n` is 1 and the texts have a `key_one`, that is taken.
 * Both languages must have the same keys but for those singulars, which Chinese does not have; the compiler sees to it.
 */
export function texts<T extends Readonly<Record<string, string>>>(
  en: T,
  zh: Readonly<Record<Exclude<keyof T, `${string}_one`>, string>>,
) {
  const all: Readonly<Record<Language, Readonly<Record<string, string>>>> = { en, "zh-CN": zh };
  return (key: keyof T & string, filling: Filling = {}): string => {
    const mine = all[language.value];
    const text = (filling.n === 1 ? mine[`${key}_one`] : undefined) ?? mine[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = filling[name];
      return typeof value === "number" ? number(value) : (value ?? whole);
    });
  };
}

/** A label that the organisation wrote, in the page's language where it has one. */
export const label = (labels: Labels): string => labels[language.value] ?? labels.en ?? Object.values(labels)[0] ?? "";

const numbers = new Map<Language, Intl.NumberFormat>();
const dates = new Map<string, Intl.DateTimeFormat>();

/** A number as it is written here. Formatters are kept: to make one takes longer than to write a row of a list. */
export function number(value: number): string {
  let found = numbers.get(language.value);
  if (found === undefined) {
    found = new Intl.NumberFormat(language.value);
    numbers.set(language.value, found);
  }
  return found.format(value);
}

/** A day: `2026-11-22` or a moment. */
export const day = (value: string | Date): string =>
  shown(
    value,
    typeof value === "string" && value.length === 10
      ? { dateStyle: "medium", timeZone: "UTC" }
      : { dateStyle: "medium" },
  );

/** A moment, to the minute. */
export const moment = (value: string | Date): string => shown(value, { dateStyle: "medium", timeStyle: "short" });

function shown(value: string | Date, how: Intl.DateTimeFormatOptions): string {
  const date = value instanceof Date ? value : new Date(value);
  if (Number.isNaN(date.getTime())) return String(value);
  const key = `${language.value} ${JSON.stringify(how)}`;
  let found = dates.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(language.value, how);
    dates.set(key, found);
  }
  return found.format(date);
}

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** How long ago, or how long until: "3 hours ago", “3小时前”. */
export function ago(value: string | Date, now = Date.now()): string {
  const seconds = Math.round((new Date(value).getTime() - now) / 1000);
  const [unit, length] = STEPS.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(language.value, { numeric: "auto" }).format(Math.round(seconds / length), unit);
}

const DURATION = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/;
const UNITS = ["year", "month", "week", "day", "hour", "minute"];

/** A duration of ISO 8601 in words: `P180D` is "180 days". */
export function duration(text: string): string {
  const found = DURATION.exec(text);
  if (!found) return text;
  const parts = UNITS.flatMap((unit, at) => {
    const count = found[at + 1];
    if (!count) return [];
    const how = { style: "unit", unit, unitDisplay: "long" } as const;
    return [new Intl.NumberFormat(language.value, how).format(Number(count))];
  });
  return parts.join(language.value === "en" ? " " : "") || text;
}
