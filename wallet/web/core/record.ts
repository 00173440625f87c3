/** What the organisation has on record about the owner: grounds, dispositions, reads, and the proof that it logged them. */

import type { Client } from "./api";
import type { Signer } from "./did";
import { at, documentIn, type Holding, itemsIn } from "./holding";
import type { Json, JsonObject } from "./jcs";
import * as log from "./log";
import type { Ground } from "./verify";
import * as verify from "./verify";

/** What became of one field, as the organisation says; its certificates say it with a signature. */
export interface FieldState {
  readonly field: string;
  readonly state: string;
  readonly legal_ground?: string;
  readonly destroy_by?: string;
  readonly causes?: readonly string[];
}

/** Another who had fields: whether they were told of the end, and whether they have answered. */
export interface Elsewhere {
  readonly recipient: string;
  readonly fields: readonly string[];
  readonly state: string;
  readonly deadline: string;
  readonly citation?: string;
}

/** One line of the history: names of fields, readers and reasons, never a value. */
export interface Happened {
  readonly event: string;
  readonly time: string;
  readonly kind: string;
  readonly reader: string | null;
  readonly role: string | null;
  readonly purpose: string | null;
  readonly recipient: string | null;
  readonly jurisdiction?: string | null;
  readonly released: readonly string[];
  readonly withheld: Readonly<Record<string, string>>;
  readonly fields: readonly string[];
  /** By which ground (its credential's id) which fields were read. */
  readonly grounds?: Readonly<Record<string, readonly string[]>>;
  /** How it was read: in a list, with items, as a history, counted in, by a decision, in an export. */
  readonly way?: string | null;
  readonly leaf: number | null;
}

export interface State {
  readonly fields: readonly FieldState[];
  readonly elsewhere: readonly Elsewhere[];
}

export interface Page {
  readonly items: readonly Happened[];
  /** Asks for the page after this one; null at the end. */
  readonly next: string | null;
}

/** The statutory grounds, each with two signatures. */
export async function grounds(client: Client, holding: Holding, signer: Signer): Promise<Ground[]> {
  const reply = await client.call("GET", at(holding, "FieldgrantIssuer", "/issuer/wallet/grounds"), signer);
  const read = (item: JsonObject) =>
    verify.ground(documentIn(item, "ground"), String(item.standing ?? ""), holding, client.now());
  return Promise.all(itemsIn(reply, "grounds").map(read));
}

/** What became of fields: the organisation's word, not evidence. */
export async function state(client: Client, holding: Holding, signer: Signer): Promise<State> {
  const reply = await client.call("GET", at(holding, "FieldgrantRedaction", "/redaction/state"), signer);
  const items = (name: string) => (reply[name] === undefined ? [] : itemsIn({ items: reply[name] as Json }, name));
  return {
    fields: items("fields") as unknown as FieldState[],
    elsewhere: items("elsewhere") as unknown as Elsewhere[],
  };
}

/** One page of the history; each entry can be proved. */
export async function history(
  client: Client,
  holding: Holding,
  signer: Signer,
  limit: number,
  before?: string,
): Promise<Page> {
  const params = { limit: String(limit), ...(before === undefined ? {} : { before }) };
  const reply = await client.call("GET", at(holding, "FieldgrantAudit", "/audit/history"), signer, { params });
  const items = itemsIn(reply, "history") as unknown as Happened[];
  return { items, next: typeof reply.next === "string" ? reply.next : null };
}

/** The proof that an event is in the log, to its signed head. */
export async function prove(
  client: Client,
  holding: Holding,
  signer: Signer,
  event: string,
  vkey: string,
): Promise<log.Proved> {
  const reply = await client.call("GET", at(holding, "FieldgrantAudit", "/audit/proofs"), signer, {
    params: { event },
  });
  return log.prove(reply, event, vkey);
}

/** The verifier key that the organisation shows for its log. */
export const logKey = async (client: Client, holding: Holding): Promise<string> =>
  (await client.text(at(holding, "FieldgrantAudit", "/audit/log.vkey"))).trim();
