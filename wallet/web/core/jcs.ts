/** The canonical form of JSON (RFC 8785), and the digest of a document over it. */

import { encode } from "./base58";
import { type Bytes, CoreError, concat, sha256, utf8 } from "./bytes";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

const MAX_DEPTH = 32;

/** The canonical text. CoreError `bad_number`, `bad_text` (a lone surrogate), `too_deep`. */
export function jcs(value: Json, depth = 0): string {
  if (depth > MAX_DEPTH) throw new CoreError("too_deep", "the document is nested too deep");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return number(value);
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return `[${value.map((item) => jcs(item, depth + 1)).join(",")}]`;
  // the default order of sort() is by UTF-16 code units, as RFC 8785 §3.2.3 wants it
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${text(name)}:${jcs(value[name] as Json, depth + 1)}`).join(",")}}`;
}

export const canonical = (value: Json): Bytes => utf8(jcs(value));

/** digestMultibase: base58btc of the SHA2-256 multihash of the canonical bytes (`zQm…`). */
export const digest = (value: Json): Promise<string> => digestOf(canonical(value));

/** The same of any bytes. */
export const digestOf = async (data: Bytes): Promise<string> =>
  encode(concat(Uint8Array.of(0x12, 0x20), await sha256(data)));

function number(value: number): string {
  if (!Number.isFinite(value)) throw new CoreError("bad_number", "not a number that JSON has");
  return JSON.stringify(value);
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new CoreError("bad_text", "half a character");
  return JSON.stringify(value);
}
