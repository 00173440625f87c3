/** Bitstring Status List 1.0: what the organisation's own signed list says of a consent. */

import type { Client } from "./api";
import { type Bytes, CoreError, fromBase64url } from "./bytes";
import * as credential from "./credential";
import { object, text } from "./credential";
import { type Holding, keysOf } from "./holding";
import type { JsonObject } from "./jcs";

const LEAST = 131_072;
const MOST = 1 << 23;

/** Whether the public list says that a consent has ended. CoreError `status_mismatch`, `bad_status_list`, `too_large`. */
export async function revoked(client: Client, holding: Holding, entry: JsonObject, now: Date): Promise<boolean> {
  const url = text(entry.statusListCredential, "statusListCredential");
  if (!url.startsWith(`${holding.issuer}/`)) throw mismatch();
  const found = await credential.verify(await client.get(url), keysOf(holding), {
    type: "BitstringStatusListCredential",
    issuer: holding.controller,
    at: now,
    contexts: [credential.CREDENTIALS_V2],
    dates: false,
  });
  const listed = object(found.document.credentialSubject, "credentialSubject");
  if (found.id !== url || listed.statusPurpose !== "revocation") throw mismatch();
  return bit(await unpacked(text(listed.encodedList, "encodedList")), Number(entry.statusListIndex));
}

/** Bit `index`, the first one leftmost; CoreError `status_out_of_range`. */
export function bit(bits: Uint8Array, index: number): boolean {
  const byte = bits[Math.floor(index / 8)];
  if (!Number.isInteger(index) || byte === undefined) {
    throw new CoreError("status_out_of_range", "the list has no such entry", "statusListIndex");
  }
  return (byte & (0x80 >> (index % 8))) !== 0;
}

/** Unpack a list, never more than a mebibyte of it. */
export async function unpacked(encoded: string): Promise<Bytes> {
  if (!encoded.startsWith("u")) throw new CoreError("bad_status_list", "not multibase base64url", "encodedList");
  const packed = new Blob([fromBase64url(encoded.slice(1))]).stream();
  const reader = packed.pipeThrough(new DecompressionStream("gzip")).getReader();
  const bits = new Uint8Array(MOST / 8);
  let length = 0;
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (length + piece.value.length > bits.length) {
        throw new CoreError("too_large", "the list unpacks to more than is read", "encodedList");
      }
      bits.set(piece.value, length);
      length += piece.value.length;
    }
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    if (error instanceof CoreError) throw error;
    throw new CoreError("bad_status_list", "the list is not gzip", "encodedList");
  }
  if (length * 8 < LEAST) throw new CoreError("status_list_length", "the list is too short", "encodedList");
  return bits.slice(0, length);
}

const mismatch = () => new CoreError("status_mismatch", "this is not the list that the consent names");
