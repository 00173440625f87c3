// Who is signed in, what the catalogue says, and which purpose they read for: what every screen needs.

import { computed, signal } from "@preact/signals";
import { keepCsrf, type Problem, whenSignedOut } from "../ui/http";
import { label } from "../ui/i18n";
import type { Catalogue, FieldEntry, PurposeEntry, Session } from "./api";
import * as api from "./api";

const PURPOSE = "fieldgrant.purpose";

/** Undefined until the server has said whether anybody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
/** Somebody was signed in, and the session ended by itself. */
export const ended = signal(false);
export const catalogue = signal<Catalogue | null>(null);
export const trouble = signal<unknown>(null);

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

const WATCHERS = ["dpo", "admin"];
/** May who is signed in see the board? */
export const watching = computed(() => WATCHERS.includes(session.value?.role ?? ""));

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

/** Ask the server who is signed in. */
export async function open(): Promise<void> {
  trouble.value = null;
  try {
    await enter(await api.session());
  } catch (error) {
    if ((error as Problem).status === 401) leave();
    else trouble.value = error;
  }
}

/** Take over a newer version of the catalogue, if there is one; what goes wrong the next read tells. */
export async function renew(): Promise<void> {
  const found = await api.catalogue().catch(() => null);
  if (found && catalogue.peek() && found.version !== catalogue.peek()?.version) catalogue.value = found;
}

/** Sign in. Throws `Problem`. */
export async function signIn(account: string, password: string): Promise<void> {
  await enter(await api.signIn(account, password));
}

/** Sign out here, and on the server. */
export async function signOut(): Promise<void> {
  try {
    await api.signOut();
  } finally {
    leave();
    sessionStorage.clear();
  }
}

async function enter(told: Session): Promise<void> {
  keepCsrf(told.csrf);
  catalogue.value = await api.catalogue();
  ended.value = false;
  session.value = told;
}

function leave(): void {
  keepCsrf(null);
  session.value = null;
  catalogue.value = null;
}

whenSignedOut(() => {
  ended.value = Boolean(session.value);
  leave();
});

/** What a purpose is called, by its IRI. */
export function purposeLabel(iri: string): string {
  const found = catalogue.value?.purposes.find((one) => one.iri === iri);
  return found ? label(found.labels) : iri;
}
