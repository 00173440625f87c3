/** A second way into the wallet of this device: a passkey whose PRF (WebAuthn level 3) seals the secret. */

import { type Bytes, base64, CoreError, fromBase64, random, utf8 } from "./bytes";
import { isObject } from "./did";
import type { Json } from "./jcs";

const INFO = utf8("fieldgrant passkey v1");

/** What lies in the store: which passkey, what it is asked for, and the secret under what it answers. */
export interface Passkey {
  readonly v: 1;
  readonly id: string;
  readonly salt: string;
  readonly iv: string;
  readonly box: string;
}

/** Whether this browser knows passkeys at all; whether they have a PRF shows only when one is made. */
export const known = (): boolean => "PublicKeyCredential" in globalThis && "credentials" in navigator;

/** Make a passkey, and seal the secret under it. CoreError `passkey_refused`, `passkey_without_prf`. */
export async function lock(secret: Bytes): Promise<Passkey> {
  const salt = random(32);
  const made = await asked(() =>
    navigator.credentials.create({
      publicKey: {
        rp: { name: "Fieldgrant" },
        user: { id: random(16), name: "Fieldgrant", displayName: "Fieldgrant" },
        challenge: random(32), // nobody but this page looks at the answer: what counts is the PRF
        pubKeyCredParams: [
          { type: "public-key", alg: -8 },
          { type: "public-key", alg: -7 },
          { type: "public-key", alg: -257 },
        ],
        authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
        extensions: { prf: { eval: { first: salt } } },
      },
    }),
  );
  const id = new Uint8Array(made.rawId);
  const prf = answerOf(made) ?? (await evaluated(id, salt));
  const iv = random(12);
  const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: id }, await keyOf(prf, salt), secret);
  return { v: 1, id: base64(id), salt: base64(salt), iv: base64(iv), box: base64(new Uint8Array(box)) };
}

/** The secret again. CoreError `passkey_refused`, `passkey_without_prf`, `bad_wallet`. */
export async function unlock(found: unknown): Promise<Bytes> {
  const node = found as Json;
  if (!isObject(node) || node.v !== 1) throw new CoreError("bad_wallet", "no passkey of ours");
  const [id, salt, iv, box] = [node.id, node.salt, node.iv, node.box].map((one) => fromBase64(String(one)));
  const key = await keyOf(await evaluated(id as Bytes, salt as Bytes), salt as Bytes);
  try {
    const options = { name: "AES-GCM", iv: iv as Bytes, additionalData: id as Bytes };
    return new Uint8Array(await crypto.subtle.decrypt(options, key, box as Bytes));
  } catch {
    throw new CoreError("bad_wallet", "this passkey does not open the wallet");
  }
}

async function evaluated(id: Bytes, salt: Bytes): Promise<Bytes> {
  const shown = await asked(() =>
    navigator.credentials.get({
      publicKey: {
        challenge: random(32),
        userVerification: "required",
        allowCredentials: [{ type: "public-key", id }],
        extensions: { prf: { eval: { first: salt } } },
      },
    }),
  );
  const prf = answerOf(shown);
  if (prf === null) throw new CoreError("passkey_without_prf", "this passkey cannot seal anything");
  return prf;
}

async function asked(act: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  const found = await act().catch(() => null);
  if (found === null) throw new CoreError("passkey_refused", "no passkey was shown");
  return found as PublicKeyCredential;
}

function answerOf(shown: PublicKeyCredential): Bytes | null {
  const first = shown.getClientExtensionResults().prf?.results?.first;
  return first === undefined ? null : new Uint8Array(first as ArrayBuffer);
}

async function keyOf(prf: Bytes, salt: Bytes): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey("raw", prf, "HKDF", false, ["deriveKey"]);
  prf.fill(0);
  const how = { name: "HKDF", hash: "SHA-256", salt, info: INFO };
  return crypto.subtle.deriveKey(how, base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}
