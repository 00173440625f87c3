import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { Keys, keySigner, type Signer } from "../../wallet/web/core/did";
import type { JsonObject } from "../../wallet/web/core/jcs";
import { sign, verify } from "../../wallet/web/core/proof";

const vectors = new URL("../vectors/vc-di-eddsa/", import.meta.url);
const read = (name: string): JsonObject => JSON.parse(readFileSync(new URL(name, vectors), "utf8")) as JsonObject;
const at = new Date("2026-11-22T08:00:00Z");
const keys = new Keys();

async function anybody(): Promise<Signer> {
  const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
  return keySigner(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)), pair.privateKey);
}

describe("the standard's own proof", () => {
  it("verifies", async () => {
    const [proof] = await verify(read("eddsa-jcs-2022/signedJCS.json"), keys, { at });
    expect(proof?.did).toMatch(/^did:key:z6Mk/);
  });

  it("does not verify over anything else", async () => {
    const signed = read("eddsa-jcs-2022/signedJCS.json");
    await expect(verify({ ...signed, name: "another" }, keys, { at })).rejects.toMatchObject({ code: "bad_signature" });
  });
});

describe("a proof of our own", () => {
  let signer: Signer;
  let signed: JsonObject;
  const document: JsonObject = { "@context": ["https://www.w3.org/ns/credentials/v2"], name: "文" };

  beforeAll(async () => {
    signer = await anybody();
    signed = await sign(document, signer, { created: at, challenge: "c", domain: "d" });
  });

  it("verifies, and leaves the document as it was", async () => {
    expect(document.proof).toBeUndefined();
    const [proof] = await verify(signed, keys, { at, challenge: "c", domain: "d" });
    expect(proof).toMatchObject({ did: signer.did, created: at });
  });

  const changed = (members: JsonObject): JsonObject => ({
    ...signed,
    proof: { ...(signed.proof as JsonObject), ...members },
  });

  it.each<[string, () => JsonObject, object]>([
    ["no_proof", () => document, {}],
    ["bad_proof", () => ({ ...signed, proof: ["text"] }), {}],
    ["bad_proof", () => ({ ...signed, proof: Array(9).fill(signed.proof) }), {}],
    ["bad_proof", () => changed({ created: 1 }), {}],
    ["bad_proof", () => changed({ "@context": ["https://example.com/other"] }), {}],
    ["unsupported_suite", () => changed({ cryptosuite: "eddsa-rdfc-2022" }), {}],
    ["unsupported_suite", () => changed({ previousProof: "urn:x" }), {}],
    ["wrong_purpose", () => signed, { purpose: "authentication" }],
    ["wrong_challenge", () => signed, { challenge: "another" }],
    ["wrong_domain", () => signed, { domain: "another" }],
    ["bad_datetime", () => changed({ created: "yesterday" }), {}],
    ["proof_from_future", () => signed, { at: new Date(at.getTime() - 600_000) }],
    ["proof_expired", () => changed({ expires: "2026-11-22T07:00:00Z" }), {}],
    ["bad_signature", () => changed({ challenge: "moved" }), {}],
    ["bad_signature", () => changed({ proofValue: "z111" }), {}],
    ["unsupported_did", () => changed({ verificationMethod: "did:web:crm.example.com#key-1" }), {}],
    ["bad_did", () => changed({ verificationMethod: `${signer.did}#key-1` }), {}],
    ["bad_key", () => changed({ verificationMethod: "did:key:z6#z6" }), {}],
  ])("is refused: %s", async (code, made, expected) => {
    await expect(verify(made(), keys, { at, ...expected })).rejects.toMatchObject({ code });
  });

  it("by a key that is not the document's own is refused", async () => {
    const other = await anybody();
    const method = other.verificationMethod;
    await expect(verify(changed({ verificationMethod: method }), keys, { at })).rejects.toMatchObject({
      code: "bad_signature",
    });
  });
});

describe("a pinned document", () => {
  it("vouches for its own keys and purposes alone", async () => {
    const signer = await anybody();
    const did = "did:web:crm.example.com";
    const method = {
      id: `${did}#key-1`,
      type: "Multikey",
      controller: did,
      publicKeyMultibase: signer.did.slice("did:key:".length),
    };
    const pinned = new Keys([{ id: did, verificationMethod: [method], assertionMethod: [`${did}#key-1`] }]);
    const controller = { did, verificationMethod: method.id, sign: signer.sign };
    const signed = await sign({ name: "x" }, controller, { created: at });
    expect((await verify(signed, pinned, { at }))[0]?.did).toBe(did);
    const wrong = await sign({ name: "x" }, controller, { created: at, purpose: "authentication" });
    await expect(verify(wrong, pinned, { at, purpose: "authentication" })).rejects.toMatchObject({
      code: "key_not_for_purpose",
    });
    const foreign = new Keys([
      { id: did, verificationMethod: [{ ...method, controller: "did:web:evil" }], assertionMethod: [method.id] },
    ]);
    await expect(verify(signed, foreign, { at })).rejects.toMatchObject({ code: "unknown_key" });
  });
});
