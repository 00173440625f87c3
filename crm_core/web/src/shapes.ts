// The members of each kind of entry of a catalogue, and how each is entered.

export type Section = "fields" | "purposes" | "recipients" | "notices";
export const SECTIONS: readonly Section[] = ["fields", "purposes", "recipients", "notices"];

export type Way = "text" | "flag" | "choice" | "labels" | "list" | "roles" | "needs" | "recipients" | "number";

export interface Member {
  readonly name: string;
  readonly way: Way;
  readonly among?: readonly string[];
  readonly optional?: boolean;
  /** Cannot be changed once it is there: values, masks and consents are bound to it. */
  readonly fixed?: boolean;
}

export const ROLES = ["sales", "service", "marketing", "dpo", "auditor", "admin", "mailer", "steward"];
const TYPES = ["text", "email", "phone", "boolean", "number", "date", "datetime", "url", "tags"];
const ITEMS = ["interaction", "deal", "ticket"];
const MECHANISMS = ["none_needed", "adequacy", "contract_clauses", "security_assessment", "certification"];

export const SHAPES: Readonly<Record<Exclude<Section, "notices">, readonly Member[]>> = {
  fields: [
    { name: "labels", way: "labels" },
    { name: "category", way: "text" },
    { name: "type", way: "choice", among: TYPES, fixed: true },
    { name: "item", way: "choice", among: ITEMS, optional: true, fixed: true },
    { name: "many", way: "flag", optional: true, fixed: true },
    { name: "sensitive", way: "flag", optional: true },
    { name: "disposition", way: "choice", among: ["shred", "seal"] },
    { name: "legal_ground", way: "text", optional: true },
    { name: "period", way: "text", optional: true },
    { name: "destroy_after", way: "text", optional: true },
    { name: "bit", way: "number", fixed: true },
  ],
  purposes: [
    { name: "labels", way: "labels" },
    { name: "iri", way: "text", fixed: true },
    { name: "roles", way: "roles" },
    { name: "necessity", way: "needs" },
    { name: "consent_only", way: "flag" },
    { name: "separate_consent", way: "flag", optional: true },
    { name: "duration", way: "text" },
    { name: "consent_life", way: "text" },
    { name: "ask_again_after", way: "text", optional: true },
    { name: "processing", way: "list", optional: true },
    { name: "recipients", way: "list", optional: true },
    { name: "jurisdictions", way: "list", optional: true },
  ],
  recipients: [
    { name: "labels", way: "labels" },
    { name: "did", way: "text" },
    { name: "jurisdiction", way: "text" },
    { name: "mechanism", way: "choice", among: MECHANISMS },
    { name: "mechanism_until", way: "text", optional: true },
    { name: "notice_endpoint", way: "text", optional: true },
  ],
};

/** What a new entry begins with. */
export const BEGINNINGS: Readonly<Record<Exclude<Section, "notices">, Readonly<Record<string, unknown>>>> = {
  fields: { category: "", type: "text", labels: { en: "", "zh-CN": "" }, disposition: "shred" },
  purposes: {
    iri: "",
    labels: { en: "", "zh-CN": "" },
    necessity: {},
    roles: [],
    consent_only: true,
    duration: "P180D",
    consent_life: "P180D",
  },
  recipients: { did: "", labels: { en: "", "zh-CN": "" }, jurisdiction: "", mechanism: "none_needed" },
};

/** Where a fault lies, from the place that the server names, such as `fields.contact.email.bit`. */
export interface Fault {
  readonly section: Section | "version";
  readonly key: string;
  readonly member: string;
  readonly detail: string;
}

/** Keys have dots of their own, so those that there are decide where one ends; null for a place that is nowhere here. */
export function faultAt(
  place: string,
  detail: string,
  written: Readonly<Partial<Record<string, unknown>>>,
): Fault | null {
  if (place === "version") return { section: "version", key: "", member: "", detail };
  const section = SECTIONS.find((one) => place === one || place.startsWith(`${one}.`));
  if (!section) return null;
  const rest = place.slice(section.length + 1);
  const keys = Object.keys((written[section] ?? {}) as object).sort((one, other) => other.length - one.length);
  const key = keys.find((one) => rest === one || rest.startsWith(`${one}.`)) ?? rest;
  return { section, key, member: rest.slice(key.length + 1).split(".")[0] ?? "", detail };
}
