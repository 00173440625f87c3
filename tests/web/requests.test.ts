import "fake-indexeddb/auto";
import { beforeEach, describe, expect, it } from "vitest";
import { encode } from "../../wallet/web/core/base58";
import * as box from "../../wallet/web/core/box";
import { type Bytes, base64, concat, fromBase64, utf8 } from "../../wallet/web/core/bytes";
import type { Signer } from "../../wallet/web/core/did";
import { EMPTY } from "../../wallet/web/core/holding";
import { digest, digestOf, type JsonObject } from "../../wallet/web/core/jcs";
import { freshSecret, Keyring } from "../../wallet/web/core/keystore";
import * as requests from "../../wallet/web/core/requests";
import { Wallet } from "../../wallet/web/core/wallet";
import { BASE, DID, json, network, type Organisation, organisation, type Sent } from "./organisation";

const bodyOf = (sent: Sent): Record<string, JsonObject & string> =>
  JSON.parse(new TextDecoder().decode(sent.init.body as Uint8Array)) as Record<string, JsonObject & string>;

describe("a right that is asked for", () => {
  let they: Organisation;
  let keyring: Keyring;
  let own: Signer;
  let wallet: Wallet;
  let answer: (sent: Sent) => Promise<Response>;
  let asked: JsonObject[];

  beforeEach(async () => {
    they = await organisation();
    const services = [...(they.holding.document.service as JsonObject[])];
    services.push({ id: `${DID}#FieldgrantCrm`, type: "FieldgrantCrm", serviceEndpoint: BASE });
    const holding = {
      ...they.holding,
      document: { ...they.holding.document, service: services },
      enrolment: { id: "urn:enrolment" },
    };
    keyring = await Keyring.open(freshSecret());
    own = await keyring.signer(DID);
    asked = [];
    answer = async (sent) => {
      const document = bodyOf(sent).request as JsonObject;
      asked.push(document);
      return json({ request: document, receipts: [await receipt(document)] }, 201);
    };
    const { client } = network((sent) => answer(sent));
    wallet = new Wallet(keyring, { ...EMPTY, organisations: [holding] }, client);
  });

  /** What an honest organisation signs for a request, or something else. */
  async function receipt(document: JsonObject, more: JsonObject = {}): Promise<JsonObject> {
    const claim = (document.credentialSubject as JsonObject).makesRequest as JsonObject;
    const said: JsonObject = {
      type: "DataSubjectReceipt",
      hasDataController: DID,
      dataRequest: { id: document.id as string, digestMultibase: await digest(document) },
      requestKind: claim.requestKind as string,
      requestState: "identified",
      dueAt: "2026-12-07T08:00:00Z",
      ...more,
    };
    return they.issue("DataSubjectReceiptCredential", { id: own.did, hasRequestReceipt: said });
  }

  it("is signed by the owner, and counts once the organisation has signed for it", async () => {
    const found = await requests.ask(wallet, DID, "objection", { purpose: "https://w3id.org/dpv#ServiceProvision" });
    expect(found).toMatchObject({ kind: "objection", purpose: "https://w3id.org/dpv#ServiceProvision" });
    expect(found.last).toMatchObject({ state: "identified", due: new Date("2026-12-07T08:00:00Z") });
    expect(asked[0]?.issuer).toBe(own.did);
  });

  it("is not believed to be taken on another's word, for another request, or unsigned", async () => {
    const honest = answer;
    const stranger = await organisation();
    const lies: ((document: JsonObject) => Promise<JsonObject>)[] = [
      (document) => receipt(document, { dataRequest: { id: "urn:uuid:other", digestMultibase: "zQm" } }),
      (document) => receipt(document, { requestKind: "access" }),
      (document) => receipt(document, { hasDataController: "did:web:other.example.com" }),
      async (document) => ({ ...(await receipt(document)), validFrom: "2026-11-22T07:00:00Z" }),
      async (document) => {
        const fine = ((await receipt(document)).credentialSubject as JsonObject).hasRequestReceipt as JsonObject;
        return stranger.issue("DataSubjectReceiptCredential", { id: own.did, hasRequestReceipt: fine });
      },
    ];
    for (const lie of lies) {
      answer = async (sent) => {
        const document = bodyOf(sent).request as JsonObject;
        return json({ request: document, receipts: [await lie(document)] }, 201);
      };
      await expect(requests.ask(wallet, DID, "erasure")).rejects.toHaveProperty("code");
    }
    answer = async (sent) => json({ request: bodyOf(sent).request as JsonObject, receipts: [] }, 201);
    await expect(requests.ask(wallet, DID, "erasure")).rejects.toMatchObject({ code: "receipt_mismatch" });
    answer = honest;
    const other = await requests.ask(wallet, DID, "restriction");
    answer = async () => json({ request: other.document, receipts: [await receipt(other.document)] }, 201);
    await expect(requests.ask(wallet, DID, "restriction")).rejects.toMatchObject({ code: "receipt_mismatch" });
  });

  it("of correction goes out sealed to the organisation alone", async () => {
    const pair = (await crypto.subtle.generateKey("X25519", true, ["deriveBits"])) as CryptoKeyPair;
    const open = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    let key = await statement(open);
    let sealed = "";
    const honest = answer;
    answer = async (sent) => {
      if (sent.method === "GET") return json({ credential: key });
      sealed = bodyOf(sent).sealed as string;
      expect(JSON.stringify(bodyOf(sent))).not.toContain("Beijing");
      return honest(sent);
    };
    const found = await requests.ask(wallet, DID, "rectification", { values: { "address.city": "Beijing" } });
    expect(found.fields).toEqual(["address.city"]);
    const claim = (asked[0] as JsonObject & { credentialSubject: JsonObject }).credentialSubject
      .makesRequest as JsonObject;
    expect(claim.correctionDigest).toBe(await digestOf(fromBase64(sealed)));
    const plain = await box.open({ key: pair.privateKey, public: open }, fromBase64(sealed));
    expect(JSON.parse(new TextDecoder().decode(plain))).toEqual({
      controller: DID,
      sender: own.did,
      values: { "address.city": "Beijing" },
    });
    const stranger = await organisation();
    key = await stranger.issue("SealingKeyCredential", key.credentialSubject as JsonObject, ends);
    const again = requests.ask(wallet, DID, "rectification", { values: { "address.city": "Beijing" } });
    await expect(again).rejects.toMatchObject({ code: "bad_signature" });
    key = await statement(open, [0xed, 0x01]);
    const odd = requests.ask(wallet, DID, "rectification", { values: { "address.city": "Beijing" } });
    await expect(odd).rejects.toMatchObject({ code: "foreign_key" });
  });

  const ends = { validUntil: "2026-12-22T08:00:00Z" };
  const statement = (open: Bytes, codec = [0xec, 0x01]) =>
    they.issue(
      "SealingKeyCredential",
      {
        id: DID,
        declaresSealingKey: {
          type: "SealingKey",
          hasDataController: DID,
          sealingPeriod: "2026-11",
          sealingKey: encode(concat(Uint8Array.from(codec), open)),
        },
      },
      ends,
    );

  describe("for a copy", () => {
    let request: requests.Asked;
    let document: JsonObject;

    beforeEach(async () => {
      request = await requests.ask(wallet, DID, "access");
      document = {
        kind: "access",
        request: request.id,
        for: own.did,
        fields: [{ field: "address.city", value: "Paris" }],
      };
    });

    /** What the organisation answers: a box to a key, and a receipt that names a digest. */
    const answered = (plain: JsonObject, told: { to?: Bytes; digest?: string; about?: string } = {}) => {
      answer = async () => {
        const sealed = await box.seal(told.to ?? (await keyring.receiver(DID)).public, utf8(JSON.stringify(plain)));
        const about = { id: told.about ?? request.id, digestMultibase: await digest(request.document) };
        const answerDigest = told.digest ?? (await digestOf(sealed));
        const more = { requestState: "answered", answerDigest, dataRequest: about };
        return json({ sealed: base64(sealed), receipt: await receipt(request.document, more) });
      };
    };

    it("opens in this wallet", async () => {
      answered(document);
      expect(await requests.fetched(wallet, DID, request)).toEqual(document);
    });

    it("is refused when it is not what the organisation signed for, or somebody else's", async () => {
      answered(document, { digest: await digestOf(utf8("another box")) });
      await expect(requests.fetched(wallet, DID, request)).rejects.toMatchObject({ code: "receipt_mismatch" });
      answered(document, { about: "urn:uuid:other" });
      await expect(requests.fetched(wallet, DID, request)).rejects.toMatchObject({ code: "receipt_mismatch" });
      answered({ ...document, for: "did:key:z6MkOther" });
      await expect(requests.fetched(wallet, DID, request)).rejects.toMatchObject({ code: "receipt_mismatch" });
      answered({ ...document, request: "urn:uuid:other" });
      await expect(requests.fetched(wallet, DID, request)).rejects.toMatchObject({ code: "receipt_mismatch" });
      answered(document, { to: (await keyring.receiver("did:web:other.example.com")).public });
      await expect(requests.fetched(wallet, DID, request)).rejects.toMatchObject({ code: "bad_box" });
    });
  });

  it("is listed with every step, the newest request first, and what stays of it", async () => {
    const first = await requests.ask(wallet, DID, "erasure");
    const kept = { keptGround: "urn:uuid:g", hasPersonalData: ["contact.email"], citation: "PIPL art. 13(3)" };
    const last = await receipt(first.document, {
      requestState: "answered",
      keepsField: [kept],
      shutAt: "2026-11-22T08:00:00Z",
    });
    answer = async () =>
      json({ items: [{ request: first.document, receipts: [await receipt(first.document), last] }] });
    const [found] = await requests.listing(wallet, DID);
    expect(found?.steps.map((one) => one.state)).toEqual(["identified", "answered"]);
    expect(found?.last.kept).toEqual([{ fields: ["contact.email"], citation: "PIPL art. 13(3)", reason: null }]);
    const other = await Keyring.open(freshSecret());
    const foreign = new Wallet(other, wallet.content, wallet.client);
    await expect(requests.listing(foreign, DID)).rejects.toMatchObject({ code: "foreign_request" });
  });
});
