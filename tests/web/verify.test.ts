import "fake-indexeddb/auto";
import { describe, expect, it } from "vitest";
import { type Bytes, base64, concat, sha256, utf8 } from "../../wallet/web/core/bytes";
import { CREDENTIALS_V2 } from "../../wallet/web/core/credential";
import { EMPTY } from "../../wallet/web/core/holding";
import { canonical, digest, type JsonObject } from "../../wallet/web/core/jcs";
import { freshSecret, Keyring } from "../../wallet/web/core/keystore";
import * as learning from "../../wallet/web/core/learning";
import * as log from "../../wallet/web/core/log";
import { sign } from "../../wallet/web/core/proof";
import { revoked } from "../../wallet/web/core/status";
import { certificate, ground, receipt, sameProcesses } from "../../wallet/web/core/verify";
import { Wallet } from "../../wallet/web/core/wallet";
import { anybody, BASE, DID, json, NOW, network, organisation } from "./organisation";

const PROCESS: JsonObject = {
  hasPurpose: "https://w3id.org/dpv#DirectMarketing",
  hasPersonalData: ["contact.email", "address.city"],
  hasProcessing: ["dpv:Use"],
  hasRecipient: [DID],
  hasJurisdiction: ["CN"],
  hasStorageCondition: { hasDuration: "P180D", hasLocation: ["CN"] },
};

describe("a receipt", async () => {
  const they = await organisation();
  const own = await anybody();
  const claim = (did: string, more: JsonObject = {}): JsonObject => ({
    id: did,
    hasReceipt: {
      type: "ConsentReceipt",
      hasDataController: DID,
      receiptEvent: "given",
      standing: "living",
      decidedAt: "2026-11-22T08:00:00Z",
      hasProcess: [PROCESS],
      consent: { id: "urn:x", digestMultibase: "zQm" },
      ...more,
    },
  });

  it("is read once it verified, its lists in order", async () => {
    const document = await they.issue("ConsentReceiptCredential", claim(own.did));
    const read = await receipt(document, own.did, they.holding, NOW);
    expect(read).toMatchObject({ event: "given", standing: "living", consent: { id: "urn:x" }, shutAt: null });
    expect(read.processes[0]?.fields).toEqual(["address.city", "contact.email"]);
  });

  it("is refused when it is about somebody else, of another organisation, or changed", async () => {
    const type = "ConsentReceiptCredential";
    const about = async (document: Promise<JsonObject>) => receipt(await document, own.did, they.holding, NOW);
    const other = await anybody();
    await expect(about(they.issue(type, claim(other.did)))).rejects.toMatchObject({ code: "foreign_receipt" });
    const moved = claim(own.did, { hasDataController: "did:web:evil.example" });
    await expect(about(they.issue(type, moved))).rejects.toMatchObject({ code: "foreign_receipt" });
    await expect(about(they.issue(type, claim(own.did), {}, other))).rejects.toMatchObject({ code: "wrong_issuer" });
    const stranger = (await organisation()).issue(type, claim(own.did));
    await expect(about(stranger)).rejects.toMatchObject({ code: "bad_signature" });
    const fine = await they.issue(type, claim(own.did));
    const changed = { ...fine, credentialSubject: claim(own.did, { standing: "withdrawn" }) };
    await expect(about(Promise.resolve(changed))).rejects.toMatchObject({ code: "bad_signature" });
  });
});

describe("a certificate", async () => {
  const they = await organisation();
  const own = await anybody();

  it("says of each field what became of it", async () => {
    const record: JsonObject = {
      hasDataController: DID,
      dispositionCause: "urn:w",
      disposedAt: "2026-11-22T08:01:00Z",
      hasDisposition: [
        { type: "Disposition", field: "address.city", disposition: "shred" },
        { type: "Disposition", field: "contact.email", disposition: "seal", destroyBy: "2030-01-01T00:00:00Z" },
      ],
      evidenceEvent: ["urn:e"],
    };
    const document = await they.issue("DispositionCertificate", { id: own.did, hasDispositionRecord: record });
    const read = await certificate(document, own.did, they.holding, NOW);
    expect(read.items.map((one) => one.disposition)).toEqual(["shred", "seal"]);
    expect(read.items[1]?.destroyBy).toEqual(new Date("2030-01-01T00:00:00Z"));
    const other = await anybody();
    await expect(certificate(document, other.did, they.holding, NOW)).rejects.toMatchObject({
      code: "foreign_certificate",
    });
  });
});

describe("a statutory ground", async () => {
  const they = await organisation();
  const [first, second] = [await anybody(), await anybody()];
  const evidence = "contract 7";
  const named = async (text: string) => {
    const hash = await sha256(utf8(text));
    const { encode } = await import("../../wallet/web/core/base58");
    return encode(concat(Uint8Array.of(0x12, 0x20), hash));
  };
  const made = async (text = evidence): Promise<JsonObject> => ({
    id: DID,
    declaresGround: {
      type: "StatutoryGround",
      hasDataController: DID,
      hasLegalBasis: "dpv:Contract",
      citation: "GDPR art. 6(1)(b)",
      groundEvidence: { evidenceText: text, digestMultibase: await named(evidence) },
      hasProcess: [PROCESS],
    },
  });
  const until = { validUntil: "2027-11-22T08:00:00Z" };
  const approved = async (document: JsonObject): Promise<JsonObject> => {
    const again = await sign(document, second, { created: NOW });
    return { ...document, proof: [document.proof as JsonObject, again.proof as JsonObject] };
  };

  it("counts with the proofs of two people", async () => {
    const document = await they.issue("StatutoryGroundCredential", await made(), until, first);
    await expect(ground(document, "living", they.holding, NOW)).rejects.toMatchObject({ code: "not_approved" });
    const twice = { ...document, proof: [document.proof as JsonObject, document.proof as JsonObject] };
    await expect(ground(twice, "living", they.holding, NOW)).rejects.toMatchObject({ code: "not_approved" });
    const read = await ground(await approved(document), "living", they.holding, NOW);
    expect(read).toMatchObject({ basis: "dpv:Contract", citation: "GDPR art. 6(1)(b)", standing: "living" });
  });

  it("is refused with another evidence than the one named", async () => {
    const document = await they.issue("StatutoryGroundCredential", await made("contract 8"), until, first);
    const found = ground(await approved(document), "living", they.holding, NOW);
    await expect(found).rejects.toMatchObject({ code: "digest_mismatch" });
  });
});

describe("two records", () => {
  it("say the same in whatever order, and not when one says more", async () => {
    const { process } = await import("../../wallet/web/core/verify");
    const one = process(PROCESS);
    const turned = process({
      ...PROCESS,
      hasPurpose: "dpv:DirectMarketing",
      hasPersonalData: ["address.city", "contact.email"],
    });
    expect(sameProcesses([one], [turned])).toBe(true);
    expect(sameProcesses([one], [process({ ...PROCESS, hasPersonalData: ["contact.email"] })])).toBe(false);
    expect(sameProcesses([one], [one, process({ ...PROCESS, hasRecipient: ["did:web:other"] })])).toBe(false);
  });
});

describe("the status list", async () => {
  const they = await organisation();
  const url = `${BASE}/issuer/status/1`;
  const packed = async (bits: Bytes): Promise<string> => {
    const stream = new Blob([bits]).stream().pipeThrough(new CompressionStream("gzip"));
    const data = new Uint8Array(await new Response(stream).arrayBuffer());
    return `u${base64(data).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
  };
  const listed = async (encodedList: string, id = url): Promise<JsonObject> =>
    sign(
      {
        "@context": [CREDENTIALS_V2],
        id,
        type: ["VerifiableCredential", "BitstringStatusListCredential"],
        issuer: DID,
        validFrom: "2026-11-22T08:00:00Z",
        credentialSubject: { type: "BitstringStatusList", statusPurpose: "revocation", encodedList },
      },
      they.signer,
      { created: NOW },
    );
  const entry = (index: number, list = url): JsonObject => ({
    statusListCredential: list,
    statusListIndex: String(index),
  });
  const bits = new Uint8Array(131_072 / 8);
  bits[1] = 0b0100_0000;
  const fine = await packed(bits);
  const asked = async (document: JsonObject, one: JsonObject) =>
    revoked(network(() => json(document)).client, they.holding, one, NOW);

  it("says who has ended, the first bit leftmost", async () => {
    expect(await asked(await listed(fine), entry(9))).toBe(true);
    expect(await asked(await listed(fine), entry(8))).toBe(false);
    await expect(asked(await listed(fine), entry(131_072))).rejects.toMatchObject({ code: "status_out_of_range" });
  });

  it("is refused elsewhere, too short, as a bomb, and when it is another list", async () => {
    const elsewhere = entry(9, "https://evil.example/issuer/status/1");
    await expect(asked(await listed(fine), elsewhere)).rejects.toMatchObject({ code: "status_mismatch" });
    const other = await listed(fine, `${BASE}/issuer/status/2`);
    await expect(asked(other, entry(9))).rejects.toMatchObject({ code: "status_mismatch" });
    const short = await listed(await packed(new Uint8Array(16)));
    await expect(asked(short, entry(9))).rejects.toMatchObject({ code: "status_list_length" });
    const bomb = await listed(await packed(new Uint8Array(8 << 20)));
    await expect(asked(bomb, entry(9))).rejects.toMatchObject({ code: "too_large" });
    await expect(asked(await listed("uAAAA"), entry(9))).rejects.toMatchObject({ code: "bad_status_list" });
  });
});

describe("a record in the log", async () => {
  const leafHash = (data: Bytes) => sha256(concat(Uint8Array.of(0), data));
  const nodeHash = (one: Bytes, other: Bytes) => sha256(concat(Uint8Array.of(1), one, other));
  const tree = async (hashes: readonly Bytes[]): Promise<Bytes> => {
    if (hashes.length === 1) return hashes[0] as Bytes;
    const half = 2 ** (Math.ceil(Math.log2(hashes.length)) - 1);
    return nodeHash(await tree(hashes.slice(0, half)), await tree(hashes.slice(half)));
  };
  const path = async (hashes: readonly Bytes[], at: number): Promise<Bytes[]> => {
    if (hashes.length === 1) return [];
    const half = 2 ** (Math.ceil(Math.log2(hashes.length)) - 1);
    return at < half
      ? [...(await path(hashes.slice(0, half), at)), await tree(hashes.slice(half))]
      : [...(await path(hashes.slice(half), at - half)), await tree(hashes.slice(0, half))];
  };

  it("is found at each place of trees of every small size, and nowhere else", async () => {
    for (let size = 1; size <= 9; size++) {
      const hashes = await Promise.all(Array.from({ length: size }, (_, at) => leafHash(utf8(`leaf ${at}`))));
      const root = await tree(hashes);
      for (const [at, leaf] of hashes.entries()) {
        const proof = await path(hashes, at);
        await log.included(leaf, at, size, proof, root);
        const wrong = expect.objectContaining({ code: "bad_inclusion_proof" });
        await expect(log.included(leaf, (at + 1) % (size + 1), size, proof, root)).rejects.toEqual(wrong);
        await expect(log.included(leaf, at, size, [...proof, root], root)).rejects.toEqual(wrong);
        await expect(log.included(await leafHash(utf8("other")), at, size, proof, root)).rejects.toEqual(wrong);
      }
    }
  });

  const logKey = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", logKey.publicKey));
  const name = "crm.example.com/audit";
  const id = (await sha256(concat(utf8(`${name}\n`), Uint8Array.of(1), raw))).slice(0, 4);
  const hex = [...id].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const vkey = `${name}+${hex}+${base64(concat(Uint8Array.of(1), raw))}\n`;
  const note = async (text: string): Promise<string> => {
    const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", logKey.privateKey, utf8(text)));
    return `${text}\n\u2014 ${name} ${base64(concat(id, signature))}\n`;
  };

  const reply = async (): Promise<JsonObject> => {
    const record: JsonObject = { id: "urn:e", type: "release", time: "2026-11-22T08:00:00.000Z", data: { field: "x" } };
    const salt = new Uint8Array(32).fill(3);
    const previous = new Uint8Array(32).fill(4);
    const commitment = await sha256(concat(salt, canonical(record)));
    const link = await sha256(concat(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 7), previous, commitment));
    const small = await leafHash(link);
    const leaf = canonical({ v: 1, type: "release", time: "2026-11-22T08:00:00.000Z", root: base64(small) });
    const hashes = [await leafHash(utf8("before")), await leafHash(leaf), await leafHash(utf8("after"))];
    return {
      file: {
        record,
        salt: base64(salt),
        chain: { sequence: 7, previous: base64(previous) },
        tree: { place: 0, records: 1, path: [] },
        log: { index: 1, leaf: base64(leaf), proof: (await path(hashes, 1)).map(base64) },
      },
      checkpoint: await note(`${name}\n3\n${base64(await tree(hashes))}\n`),
    };
  };

  it("is proved to a head that the log's key signed", async () => {
    const found = await log.prove(await reply(), "urn:e", vkey);
    expect(found).toMatchObject({ index: 1, size: 3 });
  });

  it("is not proved when anything of it is changed", async () => {
    const file = async (changed: (file: JsonObject) => JsonObject): Promise<JsonObject> => {
      const fine = await reply();
      return { ...fine, file: changed(fine.file as JsonObject) };
    };
    await expect(log.prove(await reply(), "urn:other", vkey)).rejects.toMatchObject({ code: "foreign_event" });
    const record = await file((one) => ({ ...one, record: { ...(one.record as JsonObject), data: { field: "y" } } }));
    await expect(log.prove(record, "urn:e", vkey)).rejects.toMatchObject({ code: "bad_inclusion_proof" });
    const type = await file((one) => ({ ...one, record: { ...(one.record as JsonObject), type: "refusal" } }));
    await expect(log.prove(type, "urn:e", vkey)).rejects.toMatchObject({ code: "bad_leaf" });
    const moved = await file((one) => ({ ...one, log: { ...(one.log as JsonObject), index: 2 } }));
    await expect(log.prove(moved, "urn:e", vkey)).rejects.toMatchObject({ code: "bad_inclusion_proof" });
    const head = { ...(await reply()), checkpoint: String((await reply()).checkpoint).replace("\n3\n", "\n4\n") };
    await expect(log.prove(head, "urn:e", vkey)).rejects.toMatchObject({ code: "bad_note" });
    await expect(log.prove(await reply(), "urn:e", vkey.replace(hex, "00000000"))).rejects.toMatchObject({
      code: "bad_vkey",
    });
  });

  it("is proved under the key that the wallet pinned, and never to a log with less in it, or something else", async () => {
    let served = vkey;
    let fetched = 0;
    const { client } = network(async ({ url }) => {
      if (url.endsWith("/audit/proofs?event=urn%3Ae")) return json(await reply());
      fetched += 1;
      return new Response(served);
    });
    const they = await organisation();
    const keyring = await Keyring.open(freshSecret());
    const content = { ...EMPTY, organisations: [{ ...they.holding, enrolment: { id: "urn:enrolment" } }] };
    const wallet = new Wallet(keyring, content, client);
    const { size, root } = await learning.prove(wallet, DID, "urn:e");
    expect(wallet.holding(DID).log).toEqual({ key: vkey.trim(), size, root });
    served = vkey.replace(hex, "00000000"); // another key is shown from now on
    await learning.prove(wallet, DID, "urn:e");
    expect(fetched).toBe(1);
    for (const seen of [
      { size: size + 1, root },
      { size, root: base64(new Uint8Array(32)) },
    ]) {
      await wallet.with(DID, (now) => ({ ...now, log: { key: vkey, ...seen } }));
      await expect(learning.prove(wallet, DID, "urn:e")).rejects.toMatchObject({ code: "log_changed" });
    }
    const stranger = (await crypto.subtle.generateKey("Ed25519", true, ["sign"])) as CryptoKeyPair;
    const other = concat(Uint8Array.of(1), new Uint8Array(await crypto.subtle.exportKey("raw", stranger.publicKey)));
    const hash = (await sha256(concat(utf8(`${name}\n`), other))).slice(0, 4);
    const key = `${name}+${[...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("")}+${base64(other)}`;
    await wallet.with(DID, (now) => ({ ...now, log: { key, size: 0, root: "" } }));
    await expect(learning.prove(wallet, DID, "urn:e")).rejects.toMatchObject({ code: "bad_note" });
  });
});

it("a digest names exactly one document", async () => {
  expect(await digest({ a: 1, b: [2] })).toBe(await digest({ b: [2], a: 1 }));
});
