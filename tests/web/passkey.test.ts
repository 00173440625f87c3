import "fake-indexeddb/auto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Bytes, base64, concat, random, sha256, utf8 } from "../../wallet/web/core/bytes";
import * as passkey from "../../wallet/web/core/passkey";
import * as session from "../../wallet/web/core/session";
import * as store from "../../wallet/web/core/store";

const QUICK = 100_000;

/** How an authenticator of the tests behaves. */
interface Manner {
  /** `none`: it has no PRF; `later`: it evaluates only when it is asked again, as many do; `at_once`: at creation too. */
  prf: "none" | "later" | "at_once";
  /** The owner says no. */
  refuses: boolean;
}

/**
 * An authenticator that is honest about PRF (WebAuthn level 3, section 10.1.4): its answer is an HMAC under a secret of
 * the credential that never leaves it, over a digest of what the page gave, and it answers only after the owner was there.
 */
class Authenticator {
  readonly manner: Manner = { prf: "at_once", refuses: false };
  readonly asked: PublicKeyCredentialRequestOptions[] = [];
  readonly #held = new Map<string, Bytes>();

  create = async ({ publicKey }: { publicKey: PublicKeyCredentialCreationOptions }) => {
    if (this.manner.refuses) throw new DOMException("no", "NotAllowedError");
    expect(publicKey.authenticatorSelection?.userVerification).toBe("required");
    const id = random(24);
    this.#held.set(base64(id), random(32));
    const wanted = publicKey.extensions?.prf?.eval;
    if (this.manner.prf === "none" || wanted === undefined) return shown(id, {});
    const results = this.manner.prf === "at_once" ? { results: await this.#evaluated(id, wanted.first) } : {};
    return shown(id, { prf: { enabled: true, ...results } });
  };

  get = async ({ publicKey }: { publicKey: PublicKeyCredentialRequestOptions }) => {
    this.asked.push(publicKey);
    if (this.manner.refuses) throw new DOMException("no", "NotAllowedError");
    expect(publicKey.userVerification).toBe("required");
    const id = (publicKey.allowCredentials ?? [])
      .map((one) => new Uint8Array(one.id as ArrayBuffer))
      .find((one) => this.#held.has(base64(one)));
    if (id === undefined) throw new DOMException("no such credential", "NotAllowedError");
    const wanted = publicKey.extensions?.prf?.eval;
    if (this.manner.prf === "none" || wanted === undefined) return shown(id, {});
    return shown(id, { prf: { results: await this.#evaluated(id, wanted.first) } });
  };

  /** Another secret under every credential, as on a device to which the name of a passkey was copied. */
  swap(): void {
    for (const id of this.#held.keys()) this.#held.set(id, random(32));
  }

  async #evaluated(id: Uint8Array, salt: BufferSource) {
    const inside = await sha256(concat(utf8("WebAuthn PRF\0"), new Uint8Array(salt as ArrayBuffer)));
    const secret = this.#held.get(base64(id)) as Bytes;
    const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return { first: await crypto.subtle.sign("HMAC", key, inside) };
  }
}

const shown = (id: Uint8Array, results: AuthenticationExtensionsClientOutputs) => ({
  rawId: id.slice().buffer,
  getClientExtensionResults: () => results,
});

let device: Authenticator;

beforeEach(async () => {
  await store.erase();
  device = new Authenticator();
  vi.stubGlobal("navigator", { ...navigator, credentials: device });
});

afterEach(() => vi.unstubAllGlobals());

describe("a passkey", () => {
  it.each(["at_once", "later"] as const)("opens what it locked, when the PRF answers %s", async (prf) => {
    device.manner.prf = prf;
    const secret = random(32);
    const before = secret.slice();
    const kept = await passkey.lock(secret);
    expect(await passkey.unlock(kept)).toEqual(before);
    expect(device.asked.at(-1)?.allowCredentials).toHaveLength(1);
  });

  it("leaves nothing in the store from which the secret could be had", async () => {
    const secret = random(32);
    const kept = JSON.stringify(await passkey.lock(secret));
    expect(kept).not.toContain(base64(secret));
    expect(Object.keys(JSON.parse(kept) as object).sort()).toEqual(["box", "id", "iv", "salt", "v"]);
  });

  it("is not made where the authenticator has no PRF", async () => {
    device.manner.prf = "none";
    await expect(passkey.lock(random(32))).rejects.toMatchObject({ code: "passkey_without_prf" });
  });

  it("opens nothing when its owner says no, and says so", async () => {
    const kept = await passkey.lock(random(32));
    device.manner.refuses = true;
    await expect(passkey.unlock(kept)).rejects.toMatchObject({ code: "passkey_refused" });
    await expect(passkey.lock(random(32))).rejects.toMatchObject({ code: "passkey_refused" });
  });

  it("of another device opens nothing", async () => {
    const kept = await passkey.lock(random(32));
    device.swap();
    await expect(passkey.unlock(kept)).rejects.toMatchObject({ code: "bad_wallet" });
  });

  it("notices a changed box and refuses what is no passkey", async () => {
    const kept = await passkey.lock(random(32));
    for (const name of ["iv", "salt", "box"] as const) {
      const bytes = Uint8Array.from(atob(kept[name]), (char) => char.charCodeAt(0));
      bytes[0] = (bytes[0] as number) ^ 1;
      await expect(passkey.unlock({ ...kept, [name]: base64(bytes) })).rejects.toMatchObject({ code: "bad_wallet" });
    }
    for (const odd of [undefined, null, 1, {}, { v: 2 }]) {
      await expect(passkey.unlock(odd)).rejects.toMatchObject({ code: "bad_wallet" });
    }
  });

  it("opens the same wallet as the passphrase, until it is removed; the passphrase goes on", async () => {
    const made = await session.create("four words and a comma", QUICK);
    const { did } = await made.keyring.signer("did:web:crm.example.com");
    await expect(session.addPasskey("another passphrase")).rejects.toMatchObject({ code: "wrong_passphrase" });
    expect(await session.hasPasskey()).toBe(false);
    await session.addPasskey("four words and a comma");
    const opened = await session.openByPasskey();
    expect((await opened.keyring.signer("did:web:crm.example.com")).did).toBe(did);
    await session.change("four words and a comma", "four other words and a dot", QUICK);
    expect((await (await session.openByPasskey()).keyring.signer("did:web:crm.example.com")).did).toBe(did);
    await session.removePasskey();
    await expect(session.openByPasskey()).rejects.toMatchObject({ code: "bad_wallet" });
    expect(
      (await (await session.open("four other words and a dot")).keyring.signer("did:web:crm.example.com")).did,
    ).toBe(did);
  });
});
