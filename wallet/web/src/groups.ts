/** The history put together by who read and by what was read. Pure. */

import type { Happened } from "../core/record";

/** One reader, or one field, with the entries about it, the newest first. */
export interface Group {
  /** A reader's DID, or a field. */
  readonly key: string;
  /** The part that a reader played last. */
  readonly role: string | null;
  readonly entries: readonly Happened[];
  /** Entries in which something was read, and in which something was withheld or refused. */
  readonly reads: number;
  readonly refusals: number;
}

/** Every field that an entry is about: released, withheld, or otherwise named. */
export const fieldsIn = (item: Happened): string[] => [
  ...new Set([...item.released, ...item.fields, ...Object.keys(item.withheld)]),
];

/** What was read or refused, by who did it; the most frequent first. */
export const byReader = (items: readonly Happened[]): Group[] =>
  grouped(items, (item) => [item.reader ?? item.role ?? ""]);

/** The same, by field; each field that was read or withheld. */
export const byField = (items: readonly Happened[]): Group[] => grouped(items, fieldsIn);

function grouped(items: readonly Happened[], keysOf: (item: Happened) => readonly string[]): Group[] {
  const found = new Map<string, Happened[]>();
  for (const item of items) {
    for (const key of keysOf(item)) found.set(key, [...(found.get(key) ?? []), item]);
  }
  const groups = [...found].map(([key, entries]): Group => {
    const read = (item: Happened) => (key in item.withheld ? false : item.released.length > 0);
    const reads = entries.filter(read).length;
    return { key, role: entries[0]?.role ?? null, entries, reads, refusals: entries.length - reads };
  });
  return groups.sort((one, other) => other.entries.length - one.entries.length || one.key.localeCompare(other.key));
}
