// Who is signed in, what the catalogue says, and which purpose they read for: what every screen needs.

import { computed, signal } from "@preact/signals";
import { label } from "../ui/i18n";
import { page, session } from "../ui/session";
import type { Catalogue, FieldEntry, PurposeEntry } from "./api";
import * as api from "./api";

const PURPOSE = "fieldgrant.purpose";

export const catalogue = signal<Catalogue | null>(null);

const chosen = signal(sessionStorage.getItem(PURPOSE) ?? "");

export const purposes = computed<readonly PurposeEntry[]>(
  () => catalogue.value?.purposes.filter((one) => one.allowed && one.roles.length > 0) ?? [],
);

/** The purpose that is read for. */
export const purpose = computed<PurposeEntry | undefined>(
  () => purposes.value.find((one) => one.key === chosen.value) ?? purposes.value[0],
);

const OVERSEERS = ["dpo", "admin", "auditor"];
/** May who is signed in see grounds and all asks? */
export const overseeing = computed(() => OVERSEERS.includes(session.value?.role ?? ""));

/** May who is signed in answer what customers ask by law? */
export const answering = computed(() => session.value?.role === "dpo");

const WATCHERS = ["dpo", "admin"];
/** May who is signed in see the board? */
export const watching = computed(() => WATCHERS.includes(session.value?.role ?? ""));

const IMPORTERS = ["dpo", "admin"];
/** May who is signed in bring customers in from a file? */
export const importing = computed(() => IMPORTERS.includes(session.value?.role ?? ""));

const entries = computed(() => new Map(catalogue.value?.fields.map((entry) => [entry.id, entry])));

/** The catalogue's entry of a field. */
export const field = (id: string): FieldEntry | undefined => entries.value.get(id);

/** The fields of a purpose: the customer's own, or those of their items. */
export const fieldsOf = (of: PurposeEntry, items = false): readonly FieldEntry[] =>
  catalogue.value?.fields.filter((entry) => of.fields.includes(entry.id) && (entry.item !== null) === items) ?? [];

/** Read for another purpose from now on. */
export function readFor(key: string): void {
  chosen.value = key;
  sessionStorage.setItem(PURPOSE, key);
}

/** Take over a newer version of the catalogue, if there is one; what goes wrong the next read tells. */
export async function renew(): Promise<void> {
  const found = await api.catalogue().catch(() => null);
  if (found && catalogue.peek() && found.version !== catalogue.peek()?.version) catalogue.value = found;
}

page(
  async () => {
    catalogue.value = await api.catalogue();
  },
  () => {
    catalogue.value = null;
  },
);

/** What a purpose is called, by its IRI. */
export function purposeLabel(iri: string): string {
  const found = catalogue.value?.purposes.find((one) => one.iri === iri);
  return found ? label(found.labels) : iri;
}
