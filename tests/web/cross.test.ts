/** What Python wrote is read here, and the other way round: see test_cores.py, which starts this with a folder. */

import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as box from "../../wallet/web/core/box";
import { base64, base64url, fromBase64, fromBase64url, utf8 } from "../../wallet/web/core/bytes";
import { fieldsOf, give, readAsk, refuse, withdraw } from "../../wallet/web/core/consent";
import * as credential from "../../wallet/web/core/credential";
import { Keys, keySigner, type Signer } from "../../wallet/web/core/did";
import { digest, type JsonObject, jcs } from "../../wallet/web/core/jcs";
import { Keyring } from "../../wallet/web/core/keystore";
import { sign, verify } from "../../wallet/web/core/proof";
import { signedHeaders } from "../../wallet/web/core/request";

const folder = process.env.FIELDGRANT_CROSS;

interface Given {
  documents: { json: string; jcs: string; digest: string; signed: string }[];
  seed: string;
  public: string;
  controller: JsonObject;
  ask: JsonObject;
  at: string;
  secret: string;
  did: string;
  boxes: string[];
  plain: string[];
  reader: string;
}

async function signer(given: Given): Promise<Signer> {
  const pkcs8 = Uint8Array.from([
    ...[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20],
    ...fromBase64url(given.seed),
  ]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  return keySigner(fromBase64url(given.public), key);
}

describe.skipIf(folder === undefined)("the two sides", () => {
  const given = folder === undefined ? null : (JSON.parse(readFileSync(`${folder}/given.json`, "utf8")) as Given);

  it("have one canonical form, one digest, and read each other's proofs", async () => {
    const { documents, at } = given as Given;
    const own = await signer(given as Given);
    const answers: string[] = [];
    expect(documents.length).toBeGreaterThan(0);
    for (const one of documents) {
      const document = JSON.parse(one.json) as JsonObject;
      expect(jcs(document)).toBe(one.jcs);
      expect(await digest(document)).toBe(one.digest);
      if (one.signed !== "") await verify(JSON.parse(one.signed) as JsonObject, new Keys(), { at: new Date(at) });
      answers.push(JSON.stringify(await sign(document, own, { created: new Date(at) })));
    }
    writeFileSync(`${folder}/signed.json`, JSON.stringify(answers));
  }, 240_000);

  it("derive one key for an organisation, and open each other's sealed boxes", async () => {
    const { secret, did, boxes, plain, reader } = given as Given;
    const keyring = await Keyring.open(fromBase64(secret));
    expect((await keyring.signer("did:web:crm.example.com")).did).toBe(did);
    const receiver = await keyring.receiver("did:web:crm.example.com");
    expect(boxes.length).toBeGreaterThan(0);
    for (const [place, one] of boxes.entries()) {
      expect(base64(await box.open(receiver, fromBase64(one)))).toBe(plain[place]);
      const changed = fromBase64(one);
      changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
      await expect(box.open(receiver, changed)).rejects.toMatchObject({ code: "bad_box" });
    }
    const stranger = await keyring.receiver("did:web:other.example.com");
    await expect(box.open(stranger, fromBase64(boxes[1] as string))).rejects.toMatchObject({ code: "bad_box" });
    const sealed = await Promise.all(plain.map((one) => box.seal(fromBase64(reader), fromBase64(one))));
    writeFileSync(`${folder}/boxes.json`, JSON.stringify(sealed.map(base64)));
  });

  it("understand an ask, its answers and a signed request", async () => {
    const { controller, ask: asked, at } = given as Given;
    const own = await signer(given as Given);
    const now = new Date(at);
    const verified = await credential.verify(asked, new Keys([controller]), {
      type: "ConsentRequestCredential",
      issuer: String(controller.id),
      at: now,
    });
    const ask = readAsk(verified);
    const [first] = ask.processes;
    const ticked = new Map([[0, new Set(fieldsOf(first as JsonObject).slice(0, 1))]]);
    const consent = await give(ask, ticked, own, { id: "urn:uuid:11111111-1111-4111-8111-111111111111", at: now });
    const withdrawal = await withdraw(consent, ask.controller, own, {
      id: "urn:uuid:22222222-2222-4222-8222-222222222222",
      at: now,
    });
    const refusal = await refuse(ask, own, { id: "urn:uuid:33333333-3333-4333-8333-333333333333", at: now });
    const body = utf8(jcs({ consent }));
    const url = "https://crm.example.com/issuer/wallet/consents?x=%E6%96%87";
    const headers = await signedHeaders("POST", url, body, own, { created: now, nonce: "a-nonce" });
    const answers = { consent, withdrawal, refusal, url, headers, body: base64url(body) };
    writeFileSync(`${folder}/answers.json`, JSON.stringify(answers));
  });

  it.each([
    ["nothing_ticked", new Map()],
    ["nothing_ticked", new Map([[0, new Set<string>()]])],
    ["not_asked", new Map([[0, new Set(["identity.number"])]])],
    ["not_asked", new Map([[7, new Set(["contact.email"])]])],
  ])("refuse an answer beyond the ask: %s", async (code, ticked) => {
    const { controller, ask: asked, at } = given as Given;
    const now = new Date(at);
    const expected = { type: "ConsentRequestCredential", issuer: String(controller.id), at: now };
    const ask = readAsk(await credential.verify(asked, new Keys([controller]), expected));
    const own = await signer(given as Given);
    await expect(give(ask, ticked, own, { id: "urn:x", at: now })).rejects.toMatchObject({ code });
    const late = { id: "urn:x", at: now, until: new Date(ask.latestUntil.getTime() + 1000) };
    const one = new Map([[0, new Set(fieldsOf(ask.processes[0] as JsonObject))]]);
    await expect(give(ask, one, own, late)).rejects.toMatchObject({ code: "bad_until" });
  });
});
