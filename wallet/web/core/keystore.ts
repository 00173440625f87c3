/**
 * The owner's keys. One secret of 32 random bytes; every key of the wallet is derived from it (HKDF-SHA-256): a pairwise
 * Ed25519 key per organisation, and the key of what lies in the store. So 24 words bring all of them back. At rest the
 * secret is sealed under the passphrase; in use there are only keys that nobody can extract.
 */

import { type Bytes, base64, CoreError, fromBase64, fromBase64url, random, utf8 } from "./bytes";
import { isObject, keySigner, type Signer } from "./did";
import type { Json } from "./jcs";
import { ITERATIONS, type Sealed, seal, unseal } from "./sealed";

export const WALLET = "fieldgrant-web-wallet";
export const SECRET_SIZE = 32;
const SALT = utf8("fieldgrant wallet v1");
// RFC 8410: what precedes the 32 bytes of an Ed25519 private key in PKCS#8
const PKCS8 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

// likewise of an X25519 one
const PKCS8_X25519 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20];

/** A box under a key that is at hand. */
export interface Box {
  readonly iv: string;
  readonly box: string;
}

export const freshSecret = (): Bytes => random(SECRET_SIZE);

/** The secret under the passphrase. CoreError `weak_passphrase`. */
export const lock = (secret: Bytes, passphrase: string, iterations = ITERATIONS): Promise<Sealed> =>
  seal(WALLET, passphrase, secret, iterations);

/** The secret again. CoreError `wrong_passphrase`, `bad_wallet`. */
export async function unlock(sealed: unknown, passphrase: string): Promise<Bytes> {
  const secret = await unseal(WALLET, passphrase, sealed);
  if (secret.length !== SECRET_SIZE) throw new CoreError("bad_wallet", "the secret is of another length");
  return secret;
}

/** The keys of an open wallet. It lives in memory alone. */
export class Keyring {
  readonly #root: CryptoKey;
  readonly #content: CryptoKey;
  readonly #signers = new Map<string, Signer>();

  private constructor(root: CryptoKey, content: CryptoKey) {
    this.#root = root;
    this.#content = content;
  }

  /** Open with the secret, whose bytes are wiped. */
  static async open(secret: Bytes): Promise<Keyring> {
    const root = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits", "deriveKey"]);
    secret.fill(0);
    const how = derivation("content");
    const content = await crypto.subtle.deriveKey(how, root, { name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt",
    ]);
    return new Keyring(root, content);
  }

  /** Who the owner is with one organisation (its DID), and with nobody else. */
  async signer(controller: string): Promise<Signer> {
    const known = this.#signers.get(controller);
    if (known !== undefined) return known;
    const seed = new Uint8Array(await crypto.subtle.deriveBits(derivation(`did\n${controller}`), this.#root, 256));
    const signer = await signerOf(seed);
    this.#signers.set(controller, signer);
    return signer;
  }

  /**
   * What receives for the owner from one organisation: the X25519 form of the pairwise key, as libsodium has it
   * (`crypto_sign_ed25519_sk_to_curve25519`). Its public half is told with it; the private one nobody can extract.
   */
  async receiver(controller: string): Promise<{ readonly key: CryptoKey; readonly public: Bytes }> {
    const seed = new Uint8Array(await crypto.subtle.deriveBits(derivation(`did\n${controller}`), this.#root, 256));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-512", seed));
    seed.fill(0);
    const pkcs8 = Uint8Array.from([...PKCS8_X25519, ...hash.slice(0, 32)]);
    hash.fill(0);
    const shown = await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", true, ["deriveBits"]);
    const { x } = await crypto.subtle.exportKey("jwk", shown);
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", false, ["deriveBits"]);
    pkcs8.fill(0);
    return { key, public: fromBase64url(String(x)) };
  }

  /** Seal what the store keeps. */
  async seal(plain: Bytes): Promise<Box> {
    const iv = random(12);
    const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, this.#content, plain);
    return { iv: base64(iv), box: base64(new Uint8Array(box)) };
  }

  /** Open it again; CoreError `bad_wallet`. */
  async open(found: unknown): Promise<Bytes> {
    const node = found as Json;
    try {
      if (!isObject(node)) throw new TypeError();
      const iv = fromBase64(String(node.iv));
      const box = fromBase64(String(node.box));
      return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, this.#content, box));
    } catch {
      throw new CoreError("bad_wallet", "what the wallet holds cannot be opened");
    }
  }
}

/** The signer of an Ed25519 seed, whose bytes are wiped: the key is extractable once, for its public half. */
async function signerOf(seed: Bytes): Promise<Signer> {
  const pkcs8 = Uint8Array.from([...PKCS8, ...seed]);
  seed.fill(0);
  const shown = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", shown);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  pkcs8.fill(0);
  return keySigner(fromBase64url(String(x)), key);
}

const derivation = (info: string) => ({ name: "HKDF", hash: "SHA-256", salt: SALT, info: utf8(info) });
