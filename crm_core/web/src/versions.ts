// The catalogue's versions and drafts as the API has them, and what two of them differ in.

import { call, type Way } from "../ui/http";

/** What somebody wrote: the members of a catalogue's file. */
export interface Written {
  readonly version: string;
  readonly fields: Sections;
  readonly purposes: Sections;
  readonly recipients?: Sections;
  readonly notices: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>;
}

export type Entry = Readonly<Record<string, unknown>>;
type Sections = Readonly<Record<string, Entry>>;

export interface Version {
  readonly number: number;
  readonly proved: boolean;
  readonly version?: string;
  readonly in_effect?: string | null;
  readonly declared_by?: string;
  readonly signers?: readonly string[];
}

export interface Draft {
  readonly id: string;
  readonly number: number;
  readonly at: string;
  readonly credential: { readonly issuer: string | { readonly id: string } };
}

/** One difference: `before` or `after` is null where there is nothing. */
export interface Change {
  readonly place: string;
  readonly kind: "added" | "removed" | "changed";
  readonly before: unknown;
  readonly after: unknown;
}

export interface Ending {
  readonly purpose: string;
  readonly field: string;
}

export interface Impact {
  readonly customers: number;
  readonly customers_touched: number;
  readonly grants_touched: { readonly consents: number; readonly statutory: number };
  readonly ask_again: readonly { readonly purpose: string; readonly customers: number }[];
  readonly lapses: readonly {
    readonly field: string;
    readonly purpose: string;
    readonly customers: number;
    readonly disposition: "seal" | "shred";
    readonly destroy_after: string | null;
  }[];
}

export interface Status {
  readonly number: number;
  readonly version: string;
  readonly settled: boolean;
  readonly done?: number;
  readonly of?: number;
}

const at = encodeURIComponent;
const HERE = "/issuer/catalogue";
const SLOW = 120_000; // ms: counting looks at every customer

export const versions = (way: Way): Promise<{ items: readonly Version[] }> =>
  call("GET", `${HERE}/versions`, undefined, way);
export const version = (number: number, way: Way = {}): Promise<{ catalogue: Written }> =>
  call("GET", `${HERE}/versions/${number}`, undefined, way);
export const status = (way: Way): Promise<Status> => call("GET", `${HERE}/status`, undefined, way);
export const drafts = (way: Way): Promise<{ items: readonly Draft[] }> => call("GET", `${HERE}/drafts`, undefined, way);
export const draft = (id: string, way: Way): Promise<{ catalogue: Written; version: string }> =>
  call("GET", `${HERE}/drafts/${at(id)}`, undefined, way);
export const diffOf = (id: string, way: Way): Promise<{ changes: readonly Change[]; ends: readonly Ending[] }> =>
  call("GET", `${HERE}/drafts/${at(id)}/diff`, undefined, way);
export const impact = (id: string, way: Way): Promise<Impact> =>
  call("GET", `${HERE}/drafts/${at(id)}/impact`, undefined, { ...way, patience: SLOW });
export const declare = (written: Written): Promise<{ id: string }> => call("POST", `${HERE}/drafts`, written);
export const rollBack = (number: number, name: string): Promise<{ id: string }> =>
  call("POST", `${HERE}/rollbacks`, { number, version: name });
export const approve = (id: string): Promise<unknown> =>
  call("POST", `${HERE}/drafts/${at(id)}/approval`, {}, { patience: SLOW });
export const withdraw = (id: string): Promise<unknown> => call("POST", `${HERE}/drafts/${at(id)}/withdrawal`, {});

/** The DID of whoever made a draft. */
export const madeBy = (one: Draft): string =>
  typeof one.credential.issuer === "string" ? one.credential.issuer : one.credential.issuer.id;

const isTree = (value: unknown): value is Entry => typeof value === "object" && value !== null && !Array.isArray(value);

/** Every difference between two trees, in the order of their places: as the server tells it of a draft. */
export function differences(before: unknown, after: unknown, place = ""): Change[] {
  if (!isTree(before) || !isTree(after)) {
    const same = JSON.stringify(before) === JSON.stringify(after);
    return same ? [] : [{ place, kind: "changed", before, after }];
  }
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((key): Change[] => {
    const path = place ? `${place}.${key}` : key;
    if (!(key in after)) return [{ place: path, kind: "removed", before: before[key], after: null }];
    if (!(key in before)) return [{ place: path, kind: "added", before: null, after: after[key] }];
    return differences(before[key], after[key], path);
  });
}
