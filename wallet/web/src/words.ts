/** The words of this page, and how the organisation's own words for fields, purposes and others are found. */

import { computed, signal } from "@preact/signals";
import { type Labels, type Language, label, language, texts } from "../../../crm_core/web/ui/i18n";
import { digestOf } from "../../../crm_core/web/ui/parts";
import { CoreError } from "../core/bytes";
import { isObject, webName } from "../core/did";
import type { Holding } from "../core/holding";
import type { Json, JsonObject } from "../core/jcs";
import type en from "./en.json";
import english from "./en.json?url";
import chinese from "./zh-CN.json?url";

type Texts = Readonly<typeof en>;
type Key = keyof Texts;

// Each language is a file of its own, fetched when it is spoken: who reads one does not load the other at first.
const FILES: Readonly<Record<Language, string>> = { en: english, "zh-CN": chinese };
const spoken: Readonly<Record<Language, Texts>> = { en: {} as Texts, "zh-CN": {} as Texts };
const known = signal<readonly Language[]>([]);
const look = texts(spoken.en, spoken["zh-CN"]);

/** Whether the words of the page's language are here. */
export const ready = computed(() => known.value.includes(language.value));

/** Fetch the words of a language. Throws what `fetch` throws. */
export async function learn(wanted: Language): Promise<void> {
  if (known.value.includes(wanted)) return;
  const path = FILES[wanted];
  const answer = await fetch(path, { integrity: digestOf(path) ?? "" });
  Object.assign(spoken[wanted], await answer.json());
  known.value = [...known.value, wanted];
}

/** A text of this page; see `texts`. */
export const t = (key: Key, filling: Readonly<Record<string, string | number>> = {}): string =>
  ready.value ? look(key, filling) : "";

const has = (key: string): key is Key => key in spoken[language.value];

/** A text whose key is made at run time; what is not known stays as it is. */
export const said = (family: string, word: string): string => {
  const key = `${family}.${word}`;
  return has(key) ? t(key) : word;
};

/** The organisation as people know it: its address. */
export const organisation = (controller: string): string => webName(controller);

const part = (holding: Holding | undefined, name: string): JsonObject => {
  const found = holding?.catalogue?.[name];
  return isObject(found) ? found : {};
};

const labelled = (node: Json | undefined, otherwise: string): string =>
  isObject(node) && isObject(node.labels) ? label(node.labels as Labels) : otherwise;

/** A field in the organisation's words. */
export const fieldName = (holding: Holding | undefined, id: string): string =>
  labelled(part(holding, "fields")[id], id);

/** What happens to a field that loses its last ground, as the catalogue has it: `seal` or `shred`. */
export const fateOf = (holding: Holding | undefined, id: string): { how: string; ground: string } => {
  const node = part(holding, "fields")[id];
  if (!isObject(node)) return { how: "", ground: "" };
  return { how: String(node.disposition ?? ""), ground: String(node.legal_ground ?? "") };
};

/** The fields for which a right value can be proposed: those of which a customer has one. */
export const correctable = (holding: Holding): string[] =>
  Object.entries(part(holding, "fields"))
    .filter(([, node]) => isObject(node) && node.item === null && node.many === false)
    .map(([id]) => id);

/** The type of a field's values, as the catalogue has it. */
export const kindOf = (holding: Holding, id: string): string => {
  const node = part(holding, "fields")[id];
  return isObject(node) ? String(node.type) : "text";
};

export const sensitive = (holding: Holding | undefined, id: string): boolean => {
  const node = part(holding, "fields")[id];
  return isObject(node) && node.sensitive === true;
};

const purposeEntry = (holding: Holding | undefined, iri: string): JsonObject | undefined =>
  Object.values(part(holding, "purposes"))
    .filter(isObject)
    .find((one) => one.iri === iri);

/** A purpose in the organisation's words; its key, as the history has it, will do too. */
export const purposeName = (holding: Holding | undefined, iri: string): string =>
  labelled(purposeEntry(holding, iri) ?? part(holding, "purposes")[iri], iri.split("#")[1] ?? iri);

/** The IRI of a purpose that is told by its key or by its IRI. */
export function purposeIri(holding: Holding | undefined, told: string): string {
  const entry = part(holding, "purposes")[told];
  return isObject(entry) && typeof entry.iri === "string" ? entry.iri : told;
}

/** Whether a purpose cannot do without a field. */
export const needed = (holding: Holding | undefined, iri: string, field: string): boolean => {
  const necessity = purposeEntry(holding, iri)?.necessity;
  return isObject(necessity) && necessity[field] === "required";
};

/** Who receives: the organisation itself, or another by the organisation's name for it. */
export function recipientName(holding: Holding, did: string): string {
  if (did === holding.controller) return t("recipient.itself");
  const found = Object.values(part(holding, "recipients")).find((one) => isObject(one) && one.did === did);
  return labelled(found, organisation(did));
}

/** Countries and regions by name. */
export function places(codes: readonly string[]): string {
  const names = new Intl.DisplayNames(language.value, { type: "region", fallback: "code" });
  return list(
    codes.map((code) => {
      try {
        return names.of(code) ?? code;
      } catch {
        return code;
      }
    }),
  );
}

/** Several things in one line. */
export const list = (all: readonly string[]): string =>
  new Intl.ListFormat(language.value, { style: "narrow", type: "conjunction" }).format([...all]);

const FEW = 6;

/** Several fields in one line, the first few by name. */
export function few(names: readonly string[]): string {
  return names.length <= FEW
    ? list(names)
    : t("more", { what: list(names.slice(0, FEW - 1)), n: names.length - FEW + 1 });
}

/** What went wrong, and what to do. */
export function problem(error: unknown): string {
  if (!(error instanceof CoreError)) return t("problem.unexpected");
  const key = `problem.${error.code}`;
  return has(key) ? t(key) : t("problem.other", { code: error.code, detail: error.message });
}

/** What saying no means, as the notice words it; empty where it does not. */
export function refusalMeans(notice: string): string {
  const words = /^(?:If you say no:|如果您不同意：)\s*(.+)$/m.exec(notice)?.[1] ?? "";
  return words.charAt(0).toUpperCase() + words.slice(1);
}
