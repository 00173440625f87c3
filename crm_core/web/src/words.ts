// The words of this page, and how values, names and reasons are said.

import { day, label, language, moment, number, texts } from "../ui/i18n";
import type { Customer, FieldEntry, Value } from "./api";
import { field } from "./desk";
import en from "./en.json";
import zh from "./zh-CN.json";

export const t = texts(en, zh);
type Key = keyof typeof en;

const known = (key: string): key is Key => key in en;

/** A text whose key is made at run time, or that of `otherwise`. */
export const said = (key: string, otherwise: Key, filling: Readonly<Record<string, string | number>> = {}): string =>
  t(known(key) ? key : otherwise, filling);

/** The label of a field. */
export const named = (id: string): string => label(field(id)?.labels ?? { en: id });

const HAN = /^[\p{Script=Han}·\s]+$/u;

/** The name of a customer, as far as it was granted: family name first where it is written in Chinese. */
export function nameOf(customer: Customer): string {
  const given = String(customer.fields["contact.given_name"] ?? "").trim();
  const family = String(customer.fields["contact.family_name"] ?? "").trim();
  if (given && family && HAN.test(given + family)) return family + given;
  return [given, family].filter(Boolean).join(" ");
}

/** A reference short enough to read: people never type it. */
export const short = (subject: string): string => `${subject.slice(0, 12)}…`;

/** A value as a text, in the language of the page. */
export function shown(value: Value, entry: FieldEntry | undefined): string {
  if (value === null || value === "") return "";
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (typeof value === "number") return number(value);
  if (typeof value !== "string") return value.join(language.value === "en" ? ", " : "、");
  if (entry?.type === "date") return day(value);
  if (entry?.type === "datetime") return moment(value);
  return value;
}

/** Why a value is withheld, in two words. */
export const lock = (reason: string): string => said(`lock.${reason}`, "lock.other");

/** Why a value is withheld, in a sentence. */
export const why = (reason: string): string => said(`why.${reason}`, "why.other");
