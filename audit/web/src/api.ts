// What the organisation's API answers to auditors (openapi.json), as far as this page asks.

import { call, upload, type Way } from "../../../crm_core/web/ui/http";
import type { Labels } from "../../../crm_core/web/ui/i18n";
import type { JsonObject } from "../../../wallet/web/core/jcs";
import type { Check } from "../core/bundle";
import type { Story } from "../core/tale";

export interface Catalogue {
  readonly fields: readonly { readonly id: string; readonly labels: Labels }[];
  readonly purposes: readonly { readonly key: string; readonly iri: string; readonly labels: Labels }[];
}

export interface Actor {
  readonly did: string;
  readonly account: string;
  readonly name: string;
  readonly role: string;
  readonly ended: boolean;
}

/** A record; without `event` what it said is gone. `records` is there in a list: how many of the leaf fit. */
export interface Item {
  readonly leaf: number;
  readonly place: number;
  readonly sequence: number;
  readonly type: string;
  readonly time: string;
  readonly subject: string | null;
  readonly event?: string;
  readonly header?: JsonObject;
  readonly data?: JsonObject;
  readonly records?: number;
}

export interface Found {
  readonly items: readonly Item[];
  readonly next: number | null;
}

export interface Paper {
  readonly kind: string;
  readonly id: string;
  readonly digest: string;
  readonly document: JsonObject;
}

export interface Exhibit {
  readonly record: Item;
  readonly records: number;
  readonly file: JsonObject;
  readonly checkpoint: string;
  readonly credentials: readonly Paper[];
  readonly controller: JsonObject;
}

export interface Growth {
  readonly size: number;
  readonly key: string;
  readonly checkpoint: string;
  readonly consistency: readonly string[];
}

export type State = "waiting" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  readonly id: string;
  readonly at: string;
  readonly subject: string;
  readonly field: string | null;
  readonly scope: Readonly<Record<string, string>>;
  readonly state: State;
  readonly stage: string;
  readonly count: number;
  readonly total: number;
  readonly size: number;
  readonly code: string | null;
}

export interface Verdict {
  readonly verdict: "valid" | "invalid" | "incomplete";
  readonly key: "ours" | "yours";
  readonly checks: readonly Check[];
}

export type Words = Readonly<Record<string, string>>;
const asked = (words: Words): string => new URLSearchParams(words).toString();
const job = (id: string): string => `/audit/exports/${encodeURIComponent(id)}`;

export const catalogue = (): Promise<Catalogue> => call("GET", "/crm/fields");
export const actors = (): Promise<{ items: readonly Actor[] }> => call("GET", "/audit/actors");
export const events = (words: Words, way: Way): Promise<Found> =>
  call("GET", `/audit/events?${asked({ ...words, limit: "25", folded: "true" })}`, undefined, way);
export const record = (leaf: string, place: string, way: Way): Promise<Exhibit> =>
  call("GET", `/audit/records/${encodeURIComponent(leaf)}/${encodeURIComponent(place)}`, undefined, way);
export const story = (subject: string, field: string, way: Way): Promise<Story> =>
  call("GET", `/audit/provenance?${asked({ subject, field })}`, undefined, way);
export const growth = (since: number | null): Promise<Growth> =>
  call("GET", `/audit/log${since === null ? "" : `?since=${since}`}`);
export const exports = (way: Way): Promise<{ items: readonly Job[] }> => call("GET", "/audit/exports", undefined, way);
export const ask = (words: Words): Promise<Job> => call("POST", "/audit/exports", words);
export const watch = (id: string, way: Way): Promise<Job> => call("GET", job(id), undefined, way);
export const cancel = (id: string): Promise<Job> => call("POST", `${job(id)}/cancellation`, {});
export const resume = (id: string): Promise<Job> => call("POST", `${job(id)}/resumption`, {});
export const bundle = (id: string): string => `${job(id)}/bundle`;
export const verify = (file: Blob, key: string, told: (part: number) => void, way: Way): Promise<Verdict> =>
  upload(`/audit/verifications?${asked({ key })}`, file, "application/zip", told, way);
