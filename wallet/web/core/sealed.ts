/** A sealed box under a passphrase: PBKDF2-SHA-256, then AES-256-GCM with everything that is in clear bound to it. */

import { type Bytes, base64, CoreError, fromBase64, random, utf8 } from "./bytes";
import { isObject } from "./did";
import { canonical, type Json, type JsonObject } from "./jcs";

export const ITERATIONS = 600_000; // OWASP's figure for PBKDF2-SHA-256
/** A file from elsewhere may neither be cheap to guess nor make us work for hours. */
const LEAST = 100_000;
const MOST = 10_000_000;
export const MIN_PASSPHRASE = 8;
const NAME = "PBKDF2-SHA-256";

/** What lies in the browser's store or in a backup file. */
export interface Sealed {
  readonly v: 1;
  readonly kind: string;
  readonly kdf: { readonly name: typeof NAME; readonly iterations: number; readonly salt: string };
  readonly iv: string;
  readonly box: string;
}

/** Seal `plain` under a passphrase; `kind` says what it is, and opens nothing else. CoreError `weak_passphrase`. */
export async function seal(kind: string, passphrase: string, plain: Bytes, iterations = ITERATIONS): Promise<Sealed> {
  if ([...passphrase].length < MIN_PASSPHRASE) {
    throw new CoreError("weak_passphrase", `a passphrase has at least ${MIN_PASSPHRASE} characters`, "passphrase");
  }
  const salt = random(16);
  const iv = random(12);
  const kdf = { name: NAME, iterations, salt: base64(salt) } as const;
  const key = await derive(passphrase, salt, iterations);
  const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: bound(kind, kdf) }, key, plain);
  return { v: 1, kind, kdf, iv: base64(iv), box: base64(new Uint8Array(box)) };
}

/** What `seal` was given. CoreError `bad_wallet`, `wrong_passphrase`. */
export async function unseal(kind: string, passphrase: string, found: unknown): Promise<Bytes> {
  const { sealed, salt, iv, box } = read(kind, found);
  const key = await derive(passphrase, salt, sealed.kdf.iterations);
  const options = { name: "AES-GCM", iv, additionalData: bound(kind, sealed.kdf) };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(options, key, box));
  } catch {
    throw new CoreError("wrong_passphrase", "this passphrase does not open it", "passphrase");
  }
}

function read(kind: string, found: unknown): { sealed: Sealed; salt: Bytes; iv: Bytes; box: Bytes } {
  const refuse = () => new CoreError("bad_wallet", "not a wallet or backup of ours, or damaged");
  const node = found as Json;
  if (!isObject(node) || node.v !== 1 || node.kind !== kind || !isObject(node.kdf)) throw refuse();
  const { name, iterations, salt } = node.kdf;
  if (name !== NAME || typeof iterations !== "number" || typeof salt !== "string") throw refuse();
  if (!Number.isInteger(iterations) || iterations < LEAST || iterations > MOST) throw refuse();
  if (typeof node.iv !== "string" || typeof node.box !== "string") throw refuse();
  try {
    const bytes = { salt: fromBase64(salt), iv: fromBase64(node.iv), box: fromBase64(node.box) };
    if (bytes.salt.length < 16 || bytes.iv.length !== 12 || bytes.box.length < 16) throw refuse();
    return { sealed: node as unknown as Sealed, ...bytes };
  } catch {
    throw refuse();
  }
}

const bound = (kind: string, kdf: Sealed["kdf"]): Bytes => canonical({ v: 1, kind, kdf: kdf as unknown as JsonObject });

async function derive(passphrase: string, salt: Bytes, iterations: number): Promise<CryptoKey> {
  const secret = utf8(passphrase.normalize("NFKC"));
  const base = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return crypto.subtle.deriveKey(how, base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}
