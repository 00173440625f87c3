// The words of this page, and how times, fields, people and reasons are said.

import { label, language, number, texts } from "../../../crm_core/web/ui/i18n";
import { actors, catalogue } from "./audit";
import en from "./en.json";
import zh from "./zh-CN.json";

export const t = texts(en, zh);
export type Key = keyof typeof en;

export const known = (key: string): key is Key => key in en;

/** A text whose key is made at run time, or that of `otherwise`. */
export const said = (key: string, otherwise: Key, filling: Readonly<Record<string, string | number>> = {}): string =>
  t(known(key) ? key : otherwise, filling);

/** What is done with a value, by its term of the vocabulary. */
export const processing = (term: string): string => {
  const key = `processing.${term.replace("dpv:", "")}`;
  return known(key) ? t(key) : term;
};

/** A country by its name; whatever is no country as it is. */
export function country(code: string): string {
  if (!/^[A-Z]{2}$/.test(code)) return code;
  return new Intl.DisplayNames(language.value, { type: "region", fallback: "code" }).of(code) ?? code;
}

/** What a type of event is called. */
export const event = (type: string): string => said(`type.${type}`, "type.other", { type });

/** Why a field was withheld, or an attempt refused. */
export const reason = (code: string): string => said(`reason.${code}`, "reason.other", { code });

/** The label of a field. */
export const named = (id: string): string => {
  const entry = catalogue.value?.fields.find((one) => one.id === id);
  return entry ? label(entry.labels) : id;
};

/** What a purpose is called, by its IRI. */
export const purposeName = (iri: string): string => {
  const entry = catalogue.value?.purposes.find((one) => one.iri === iri);
  return entry ? label(entry.labels) : (iri.split(/[#/]/).at(-1) ?? iri);
};

/** A DID or a reference, short enough to be read; people copy the whole of it. */
export const short = (id: string): string =>
  id.length > 20 ? `${id.slice(0, id.startsWith("did:key:") ? 16 : 12)}…` : id;

/** Who somebody is, by DID. */
export function who(did: string): string {
  const staff = actors.value.get(did);
  if (staff) return staff.name;
  if (did.startsWith("did:web:")) return t("organisation");
  return short(did);
}

const at = (text: string, how: Intl.DateTimeFormatOptions): string => {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : new Intl.DateTimeFormat(language.value, how).format(date);
};

/** A moment to the second, in the zone of whoever looks. */
export const exact = (text: string): string => at(text, { dateStyle: "medium", timeStyle: "medium" });

/** Their zone, by name and by its distance from UTC now. */
export function zone(): string {
  const how: Intl.DateTimeFormatOptions = { timeZoneName: "longOffset" };
  const parts = new Intl.DateTimeFormat(language.value, how).formatToParts(new Date());
  const offset = parts.find((one) => one.type === "timeZoneName")?.value ?? "UTC";
  return `${new Intl.DateTimeFormat().resolvedOptions().timeZone} (${offset})`;
}

/** A size in bytes, rounded. */
export function bytes(size: number): string {
  const [unit, value] = size < 1000 ? ["byte", size] : size < 1e6 ? ["kilobyte", size / 1e3] : ["megabyte", size / 1e6];
  const how = { style: "unit", unit: String(unit), unitDisplay: "short", maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(language.value, how).format(Number(value));
}

export { number };
