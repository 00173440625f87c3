// What is asked of the list of customers, kept per purpose as long as the sign-in lasts.

import { effect, type Signal, signal } from "@preact/signals";
import type { Condition, FieldEntry, PurposeEntry, Query } from "./api";
import { catalogue } from "./desk";

const ROWS = 100;
export const NAMES = ["contact.family_name", "contact.given_name"];
/** What a list is wanted for first, where the purpose has it. */
const FIRST = [
  "contact.email",
  "employment.company",
  "address.city",
  "contact.phone",
  "interaction.status",
  "identity.customer_number",
  "contract.product",
  "vehicle.model",
];
const MOST_COLUMNS = 5;
const MOST_ASKED = 10; // conditions that the API joins by "any"
const MOST_SORTS = 3;

/** What is asked of the list: one signal each, so that every change reads anew. */
export interface Asked {
  readonly search: Signal<string>;
  readonly filters: Signal<readonly Condition[]>;
  readonly sort: Signal<string>;
  readonly columns: Signal<readonly string[]>;
  readonly granted: Signal<boolean>;
  /** The cursors of the pages so far; the last is that of the page in sight. */
  readonly cursors: Signal<readonly string[]>;
}

const kept = new Map<string, Asked>();
effect(() => {
  catalogue.value; // another version may have other fields; nobody signed in has none
  kept.clear();
});

/** What was asked of this purpose's list before, as long as the sign-in lasts: who comes back finds it as it was. */
export function askedBefore(of: PurposeEntry, fields: readonly FieldEntry[]): Asked {
  const asked = kept.get(of.key) ?? begin(fields);
  kept.set(of.key, asked);
  return asked;
}

function begin(fields: readonly FieldEntry[]): Asked {
  const ids = fields.map((entry) => entry.id).filter((id) => !NAMES.includes(id));
  const wished = [...FIRST.filter((id) => ids.includes(id)), ...ids.filter((id) => !FIRST.includes(id))];
  return {
    search: signal(""),
    filters: signal<readonly Condition[]>([]),
    sort: signal(""),
    columns: signal<readonly string[]>(wished.slice(0, MOST_COLUMNS)),
    granted: signal(false),
    cursors: signal<readonly string[]>([]),
  };
}

export function question(of: PurposeEntry, names: readonly string[], asked: Asked): Query {
  const select = [...names, ...asked.columns.value];
  const some = select.slice(0, MOST_ASKED).map((id) => ({ field: id, operator: "present" }));
  const filters = [...asked.filters.value, ...(asked.granted.value ? [{ any: some }] : [])];
  const cursor = asked.cursors.value.at(-1);
  const search = asked.search.value;
  // Customers with something granted come first: what is withheld is absent, and sorts last.
  const sort = asked.sort.value ? [asked.sort.value] : search ? [] : select.slice(0, MOST_SORTS);
  return {
    purpose: of.key,
    select,
    limit: ROWS,
    ...(filters.length ? { filters } : {}),
    ...(sort.length ? { sort } : {}),
    ...(search ? { search } : {}),
    ...(cursor ? { cursor } : {}),
  };
}

/** Another question begins at the first page. */
export function ask<T>(asked: Asked, signal: Signal<T>, value: T): void {
  asked.cursors.value = [];
  signal.value = value;
}

export function clear(asked: Asked): void {
  asked.cursors.value = [];
  asked.search.value = "";
  asked.filters.value = [];
  asked.granted.value = false;
}
