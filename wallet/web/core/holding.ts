/** What a wallet holds of one organisation: the pinned document, and all that was signed between the two. */

import { CoreError } from "./bytes";
import { isObject, Keys, list, serviceAt } from "./did";
import type { Json, JsonObject } from "./jcs";

export type Standing = "sent" | "living" | "withdrawn" | "superseded" | "revoked" | "expired";

/** A consent that the owner gave, how it stands as far as the wallet knows, and the words that were shown. */
export interface Held {
  readonly document: JsonObject;
  readonly standing: Standing;
  readonly notice: string;
}

/** A signed answer on its way: kept until the organisation said yes or no, and sent again as it is. */
export interface Pending {
  readonly path: string;
  readonly body: JsonObject;
}

export interface Holding {
  readonly controller: string;
  readonly issuer: string;
  readonly document: JsonObject;
  readonly enrolment: JsonObject | null;
  readonly consents: readonly Held[];
  readonly receipts: readonly JsonObject[];
  readonly certificates: readonly JsonObject[];
  readonly pending: readonly Pending[];
  /** The organisation's log as it was seen last; its key is pinned when the wallet enrols. */
  readonly log?: PinnedLog;
  /** The organisation's public words for fields, purposes and recipients, as last seen. */
  readonly catalogue: JsonObject | null;
}

/** A log's verifier key (signed-note), and the largest head of it that was proved to this wallet. */
export interface PinnedLog {
  readonly key: string;
  readonly size: number;
  readonly root: string;
}

/** When, and how, the wallet was last brought to safety. */
export interface Backup {
  readonly at: string;
  readonly how: "file" | "words";
}

export interface Content {
  readonly v: 1;
  readonly organisations: readonly Holding[];
  readonly backup: Backup | null;
  /** Minutes without a touch after which the wallet locks itself. */
  readonly lockAfter: number;
}

export const EMPTY: Content = { v: 1, organisations: [], backup: null, lockAfter: 15 };

export const fresh = (controller: string, issuer: string, document: JsonObject): Holding => ({
  controller,
  issuer,
  document,
  enrolment: null,
  consents: [],
  receipts: [],
  certificates: [],
  pending: [],
  catalogue: null,
});

/** Keys that count with this organisation: its pinned document's, and every did:key. */
export const keysOf = (holding: Holding): Keys => new Keys([holding.document]);

/** The address of a path at one of its services. */
export const at = (holding: Holding, service: string, path: string): string =>
  serviceAt(holding.document, service) + path;

/** What this organisation may call itself in a proof: its DID, its address or its host. */
export const domains = (holding: Holding): ReadonlySet<string> =>
  new Set([holding.controller, holding.issuer, new URL(holding.issuer).host]);

export const consentId = (held: Held): string => String(held.document.id);

/** With this consent added, or in place of its older state. */
export const withConsent = (holding: Holding, held: Held): Holding => ({
  ...holding,
  consents: [...holding.consents.filter((one) => consentId(one) !== consentId(held)), held],
});

/** With one consent's standing changed; unknown ids change nothing. */
export const standing = (holding: Holding, id: string, now: Standing): Holding => ({
  ...holding,
  consents: holding.consents.map((one) => (consentId(one) === id ? { ...one, standing: now } : one)),
});

/** With this signed document among the receipts or certificates, once. */
export const withDocument = (holding: Holding, kind: "receipts" | "certificates", document: JsonObject): Holding => ({
  ...holding,
  [kind]: [...holding[kind].filter((one) => one.id !== document.id), document],
});

/** What a backup or the store holds; CoreError `bad_wallet`. */
export function readContent(node: Json): Content {
  if (!isObject(node) || node.v !== 1 || !Array.isArray(node.organisations)) {
    throw new CoreError("bad_wallet", "the wallet's content is of another version");
  }
  for (const one of node.organisations) {
    const whole = isObject(one) && typeof one.controller === "string" && isObject(one.document);
    const lists =
      whole && ["consents", "receipts", "certificates", "pending"].every((name) => Array.isArray(one[name]));
    if (!lists) throw new CoreError("bad_wallet", "the wallet's content is of another version");
  }
  return { ...EMPTY, ...(node as unknown as Content) };
}

/** The signed document in a reply: its member of this name, `credential`, or the reply itself; `bad_answer`. */
export function documentIn(reply: Json | undefined, name: string): JsonObject {
  const node = isObject(reply) ? reply : {};
  for (const one of [node[name], node.credential, node]) {
    if (isObject(one) && "proof" in one && typeof one.id === "string") return one;
  }
  throw new CoreError("bad_answer", `the organisation's answer holds no ${name}`);
}

/** The items of a listing, under `items` or their own name; `bad_answer`. */
export function itemsIn(reply: JsonObject, name: string): JsonObject[] {
  const found = reply.items ?? reply[name];
  if (!Array.isArray(found) || !found.every(isObject)) {
    throw new CoreError("bad_answer", `the organisation's answer holds no list of ${name}`);
  }
  return list(found) as JsonObject[];
}
