/** did:key for the owner's pairwise keys, and the pinned document of an organisation's did:web (DID 1.0, CID 1.0). */

import { decode, encode } from "./base58";
import { type Bytes, CoreError, concat } from "./bytes";
import type { Json, JsonObject } from "./jcs";

const ED25519 = Uint8Array.of(0xed, 0x01);

export type Purpose = "assertionMethod" | "authentication";

/** Who signs: a DID, its verification method, and the act itself; the key stays where it is. */
export interface Signer {
  readonly did: string;
  readonly verificationMethod: string;
  sign(data: Bytes): Promise<Bytes>;
}

/** `z6Mk…` of a raw Ed25519 public key. */
export const multikey = (raw: Uint8Array): string => encode(concat(ED25519, raw));

/** The signer of a did:key, for a raw public key and a private CryptoKey. */
export function keySigner(raw: Uint8Array, key: CryptoKey): Signer {
  const name = multikey(raw);
  return {
    did: `did:key:${name}`,
    verificationMethod: `did:key:${name}#${name}`,
    sign: async (data) => new Uint8Array(await crypto.subtle.sign("Ed25519", key, data)),
  };
}

/** The raw public key of a Multikey; CoreError `bad_key`. */
export function publicOf(name: string): Bytes {
  const data = read(name);
  if (data[0] !== ED25519[0] || data[1] !== ED25519[1]) throw new CoreError("bad_key", "not an Ed25519 key");
  return data.slice(2);
}

function read(name: string): Bytes {
  try {
    return decode(name, 34);
  } catch {
    throw new CoreError("bad_key", "not an Ed25519 key");
  }
}

/** Verification methods → public keys: did:key by itself, everything else from pinned documents alone. */
export class Keys {
  readonly #documents: ReadonlyMap<string, JsonObject>;

  constructor(documents: readonly JsonObject[] = []) {
    this.#documents = new Map(documents.map((document) => [String(document.id), document]));
  }

  /** CoreError `unsupported_did`, `bad_did`, `unknown_key`, `key_not_for_purpose`, `bad_key`. */
  public(method: string, purpose: Purpose): Bytes {
    const [did = "", fragment = ""] = method.split("#");
    if (did.startsWith("did:key:")) {
      const name = did.slice("did:key:".length);
      if (fragment !== name) throw new CoreError("bad_did", "the method is not the key of its own did:key");
      return publicOf(name);
    }
    const document = this.#documents.get(did);
    if (document === undefined) throw new CoreError("unsupported_did", "nobody vouched for this DID");
    if (!list(document[purpose]).some((one) => one === method || one === `#${fragment}`)) {
      throw new CoreError("key_not_for_purpose", `this key is not for ${purpose}`);
    }
    const found = list(document.verificationMethod).find((one) => isObject(one) && one.id === method);
    if (!isObject(found) || found.controller !== did || typeof found.publicKeyMultibase !== "string") {
      throw new CoreError("unknown_key", "the document has no such key");
    }
    return publicOf(found.publicKeyMultibase);
  }
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const list = (value: Json | undefined): readonly Json[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

const WEB_PART = /^[A-Za-z0-9._-]+$/;
const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$/;
const LOCAL = new Set(["localhost", "127.0.0.1"]);

/** The did:web of an organisation's public address; CoreError `bad_did`. */
export function webDid(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (
    url === null ||
    url.username !== "" ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== "" ||
    url.hash !== "" ||
    !HOST.test(url.host)
  ) {
    throw new CoreError("bad_did", "a did:web needs an http(s) address with nothing after its path");
  }
  const parts = url.pathname.split("/").filter((part) => part !== "");
  if (!parts.every((part) => WEB_PART.test(part))) throw new CoreError("bad_did", "a path that did:web cannot carry");
  return ["did:web", url.host.replace(":", "%3A"), ...parts].join(":");
}

/** Host and path of a did:web, as people know it; other DIDs as they are. */
export function webName(did: string): string {
  return did.startsWith("did:web:") ? did.slice("did:web:".length).replaceAll(":", "/").replace(/%3A/i, ":") : did;
}

/** Where a did:web keeps its document: https, but http on this very machine. CoreError `bad_did`. */
export function webDocumentUrl(did: string): string {
  const [host = "", ...parts] = webName(did).split("/");
  const clean = parts.every((part) => WEB_PART.test(part) && part !== "." && part !== "..");
  if (!did.startsWith("did:web:") || !HOST.test(host) || !clean) throw new CoreError("bad_did", "not a did:web");
  const scheme = LOCAL.has(host.split(":")[0] ?? "") ? "http" : "https";
  const path = parts.length === 0 ? ".well-known/did.json" : `${parts.join("/")}/did.json`;
  return `${scheme}://${host}/${path}`;
}

/** The address of one of an organisation's services, from its document; CoreError `no_service`. */
export function serviceAt(document: JsonObject, type: string): string {
  for (const one of list(document.service)) {
    if (isObject(one) && one.type === type && typeof one.serviceEndpoint === "string") {
      return one.serviceEndpoint.replace(/\/$/, "");
    }
  }
  throw new CoreError("no_service", `the organisation offers no ${type}`, "service");
}
