import "fake-indexeddb/auto";
import { beforeEach, describe, expect, it } from "vitest";
import { base64 } from "../../wallet/web/core/bytes";
import { CREDENTIALS_V2 } from "../../wallet/web/core/credential";
import * as deciding from "../../wallet/web/core/deciding";
import type { Signer } from "../../wallet/web/core/did";
import { type Content, EMPTY } from "../../wallet/web/core/holding";
import { digest, type JsonObject } from "../../wallet/web/core/jcs";
import { freshSecret, Keyring } from "../../wallet/web/core/keystore";
import * as learning from "../../wallet/web/core/learning";
import { sign } from "../../wallet/web/core/proof";
import { Wallet } from "../../wallet/web/core/wallet";
import { BASE, DID, json, NOW, network, type Organisation, organisation, type Sent } from "./organisation";

const NOTICE = "TELLING YOU\nIf you say no: nothing changes.\n";
const STATUS = `${BASE}/issuer/status/1`;

interface World {
  readonly they: Organisation;
  readonly own: Signer;
  readonly wallet: Wallet;
  /** What each path answers; a test puts its own in. */
  readonly routes: Map<string, (sent: Sent) => Response | Promise<Response>>;
  readonly ended: Set<number>;
}

const process = (...fields: string[]): JsonObject => ({
  hasPurpose: "https://w3id.org/dpv#DirectMarketing",
  hasPersonalData: fields,
  hasProcessing: ["dpv:Use"],
  hasRecipient: [DID],
  hasJurisdiction: ["CN"],
  hasStorageCondition: { hasDuration: "P180D", hasLocation: ["CN"] },
});

const bodyOf = (sent: Sent): Record<string, JsonObject> =>
  JSON.parse(new TextDecoder().decode(sent.init.body as Uint8Array)) as Record<string, JsonObject>;

async function noticeRef(): Promise<JsonObject> {
  const { encode } = await import("../../wallet/web/core/base58");
  const { concat, sha256, utf8 } = await import("../../wallet/web/core/bytes");
  const hash = encode(concat(Uint8Array.of(0x12, 0x20), await sha256(utf8(NOTICE))));
  return { id: `${BASE}/issuer/notices/marketing/1`, digestMultibase: hash, language: "en" };
}

async function world(content: Partial<Content> = {}): Promise<World> {
  const they = await organisation();
  const keyring = await Keyring.open(freshSecret());
  const own = await keyring.signer(DID);
  const routes: World["routes"] = new Map();
  const ended = new Set<number>();
  const answer = async (sent: Sent): Promise<Response> => {
    const { pathname } = new URL(sent.url);
    const found = routes.get(pathname);
    if (found) return found(sent);
    if (pathname === "/issuer/status/1") return json(await statusList(they, ended));
    if (pathname.startsWith("/issuer/notices/")) return json({ text: NOTICE });
    return json({ code: "not_found", detail: pathname }, 404);
  };
  const enrolled = { ...they.holding, enrolment: { id: "urn:enrolment" } };
  const held = { ...EMPTY, organisations: [enrolled], backup: { at: "", how: "file" as const }, ...content };
  return { they, own, wallet: new Wallet(keyring, held, network(answer).client), routes, ended };
}

async function statusList(they: Organisation, ended: ReadonlySet<number>): Promise<JsonObject> {
  const bits = new Uint8Array(131_072 / 8);
  for (const index of ended) bits[index >> 3] = (bits[index >> 3] ?? 0) | (0x80 >> (index & 7));
  const packed = await new Response(new Blob([bits]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
  const encodedList = `u${base64(new Uint8Array(packed)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
  const subject = { type: "BitstringStatusList", statusPurpose: "revocation", encodedList };
  const document = { "@context": [CREDENTIALS_V2], id: STATUS, issuer: DID, validFrom: "2026-11-22T07:00:00Z" };
  const type = ["VerifiableCredential", "BitstringStatusListCredential"];
  return sign({ ...document, type, credentialSubject: subject }, they.signer, { created: NOW });
}

async function ask(w: World, index: number, fields: string[], more: JsonObject = {}): Promise<JsonObject> {
  const request: JsonObject = {
    type: "ConsentRequest",
    hasConsentStatus: "dpv:ConsentRequested",
    hasDataController: DID,
    hasProcess: [process(...fields)],
    hasNotice: await noticeRef(),
    latestUntil: "2027-05-21T08:00:00Z",
    answerChallenge: "c".repeat(32),
    answerDomain: BASE,
    ...more,
  };
  const status = {
    id: `${STATUS}#${index}`,
    type: "BitstringStatusListEntry",
    statusPurpose: "revocation",
    statusListIndex: String(index),
    statusListCredential: STATUS,
  };
  return w.they.issue(
    "ConsentRequestCredential",
    { id: w.own.did, requestsConsent: request },
    { validUntil: "2026-11-29T08:00:00Z", credentialStatus: status },
  );
}

/** The receipt that an honest organisation signs, or one that says something else. */
async function receiptFor(w: World, event: string, consent: JsonObject, more: JsonObject = {}): Promise<Response> {
  const record = (consent.credentialSubject as JsonObject).hasConsent as JsonObject;
  const claim: JsonObject = {
    type: "ConsentReceipt",
    hasDataController: DID,
    receiptEvent: event,
    standing: event === "withdrawn" ? "withdrawn" : "living",
    decidedAt: "2026-11-22T08:00:00Z",
    ...(event === "withdrawn" ? {} : { hasProcess: record.hasProcess as JsonObject[] }),
    consent: { id: consent.id as string, digestMultibase: await digest(consent) },
    ...more,
  };
  return json({ receipt: await w.they.issue("ConsentReceiptCredential", { id: w.own.did, hasReceipt: claim }) }, 201);
}

const lists = (document: JsonObject) => () => json({ items: [{ credential: document }] });
const standings = (w: World) => w.wallet.holding(DID).consents.map((one) => one.standing);

describe("a wallet", () => {
  let w: World;
  beforeEach(async () => {
    w = await world();
  });

  async function given(fields = ["address.city", "contact.email"]): Promise<JsonObject> {
    w.routes.set("/issuer/wallet/asks", lists(await ask(w, 7, fields)));
    w.routes.set("/issuer/wallet/consents", async (sent) => receiptFor(w, "given", bodyOf(sent).consent as JsonObject));
    const { offers } = await deciding.asks(w.wallet);
    await deciding.consent(w.wallet, offers[0] as never, new Map([[0, new Set(fields)]]));
    return w.wallet.holding(DID).consents.at(-1)?.document as JsonObject;
  }

  it("gives what was ticked, and keeps the receipt and the words that were shown", async () => {
    const consent = await given();
    expect(standings(w)).toEqual(["living"]);
    expect(w.wallet.holding(DID)).toMatchObject({ pending: [], consents: [{ notice: NOTICE }] });
    expect(await learning.receipts(w.wallet, DID, false)).toHaveLength(1);
    expect((await deciding.given(w.wallet, DID, String(consent.id))).processes[0]?.fields).toEqual([
      "address.city",
      "contact.email",
    ]);
  });

  it("gives nothing before there is a backup", async () => {
    w = await world({ backup: null });
    w.routes.set("/issuer/wallet/asks", lists(await ask(w, 7, ["contact.email"])));
    const { offers } = await deciding.asks(w.wallet);
    const ticked = new Map([[0, new Set(["contact.email"])]]);
    await expect(deciding.consent(w.wallet, offers[0] as never, ticked)).rejects.toMatchObject({
      code: "backup_first",
    });
    expect(standings(w)).toEqual([]);
  });

  it("does not show an ask that is not what it should be", async () => {
    const elsewhere = await ask(w, 7, ["contact.email"], { answerDomain: "https://evil.example" });
    const guessed = await ask(w, 8, ["contact.email"], { answerChallenge: "1234" });
    const reworded = await ask(w, 9, ["contact.email"], {
      hasNotice: { ...(await noticeRef()), digestMultibase: "zQm" },
    });
    const items = [elsewhere, guessed, reworded].map((credential) => ({ credential }));
    w.routes.set("/issuer/wallet/asks", () => json({ items }));
    const { offers, rejected } = await deciding.asks(w.wallet);
    expect(offers).toEqual([]);
    expect(rejected.map((one) => one.code)).toEqual(["wrong_domain", "wrong_challenge", "notice_mismatch"]);
  });

  it("believes no receipt that says more than was signed", async () => {
    w.routes.set("/issuer/wallet/asks", lists(await ask(w, 7, ["contact.email"])));
    const wider = { hasProcess: [process("contact.email", "contact.phone")] };
    w.routes.set("/issuer/wallet/consents", (sent) =>
      receiptFor(w, "given", bodyOf(sent).consent as JsonObject, wider),
    );
    const { offers } = await deciding.asks(w.wallet);
    const ticked = new Map([[0, new Set(["contact.email"])]]);
    await expect(deciding.consent(w.wallet, offers[0] as never, ticked)).rejects.toMatchObject({
      code: "receipt_mismatch",
    });
    expect(w.wallet.holding(DID).receipts).toEqual([]);
  });

  it("sends an answer again, as it was signed, until the organisation said yes or no", async () => {
    w.routes.set("/issuer/wallet/asks", lists(await ask(w, 7, ["contact.email"])));
    const seen: string[] = [];
    w.routes.set("/issuer/wallet/consents", (sent) => {
      seen.push(String((bodyOf(sent).consent as JsonObject).id));
      return Promise.reject(new TypeError("no network"));
    });
    const { offers } = await deciding.asks(w.wallet);
    const ticked = new Map([[0, new Set(["contact.email"])]]);
    await expect(deciding.consent(w.wallet, offers[0] as never, ticked)).rejects.toMatchObject({ code: "unreachable" });
    expect(standings(w)).toEqual(["sent"]);
    w.routes.set("/issuer/wallet/consents", (sent) => {
      seen.push(String((bodyOf(sent).consent as JsonObject).id));
      return receiptFor(w, "given", bodyOf(sent).consent as JsonObject);
    });
    await deciding.resume(w.wallet);
    expect(standings(w)).toEqual(["living"]);
    expect(new Set(seen).size).toBe(1);
    expect(w.wallet.holding(DID).pending).toEqual([]);
  });

  it("forgets an answer that was turned down, and keeps one that met a fault", async () => {
    w.routes.set("/issuer/wallet/asks", lists(await ask(w, 7, ["contact.email"])));
    const ticked = new Map([[0, new Set(["contact.email"])]]);
    const { offers } = await deciding.asks(w.wallet);
    for (const [status, left] of [
      [500, 1],
      [429, 2],
    ] as const) {
      w.routes.set("/issuer/wallet/consents", () => json({ code: "fault", detail: "" }, status));
      await expect(deciding.consent(w.wallet, offers[0] as never, ticked)).rejects.toMatchObject({ status });
      expect(w.wallet.holding(DID).pending).toHaveLength(left);
    }
    w.routes.set("/issuer/wallet/consents", () => json({ code: "stale_ask", detail: "" }, 409));
    await deciding.resume(w.wallet);
    expect(w.wallet.holding(DID).pending).toEqual([]);
    expect(standings(w)).toEqual([]);
  });

  it("withdraws, and wants to know since when nobody reads, and that the public list agrees", async () => {
    const consent = await given();
    const shut = { shutAt: "2026-11-22T08:00:01Z" };
    w.routes.set("/issuer/wallet/withdrawals", () => receiptFor(w, "withdrawn", consent));
    await expect(deciding.withdraw(w.wallet, DID, String(consent.id))).rejects.toMatchObject({
      code: "receipt_mismatch",
    });
    w.routes.set("/issuer/wallet/withdrawals", () => receiptFor(w, "withdrawn", consent, shut));
    await expect(deciding.withdraw(w.wallet, DID, String(consent.id))).rejects.toMatchObject({
      code: "status_mismatch",
    });
    w.ended.add(7);
    const receipt = await deciding.withdraw(w.wallet, DID, String(consent.id));
    expect(receipt.shutAt).toEqual(new Date(shut.shutAt));
    expect(standings(w)).toEqual(["withdrawn"]);
  });

  it("narrows within what it gave, whatever the offer to narrow would allow", async () => {
    const consent = await given();
    const id = String(consent.id);
    const wider = await ask(w, 8, ["address.city", "contact.email", "contact.phone"], { replaces: id });
    w.routes.set("/issuer/wallet/narrowings/offers", () => json({ ask: wider }, 201));
    w.routes.set("/issuer/wallet/narrowings", async (sent) => {
      const body = bodyOf(sent);
      w.ended.add(7);
      const supersedes = { id, digestMultibase: await digest(consent) };
      return receiptFor(w, "narrowed", body.consent as JsonObject, { supersedes, shutAt: "2026-11-22T08:00:01Z" });
    });
    const beyond = new Map([[0, new Set(["contact.phone"])]]);
    await expect(deciding.narrow(w.wallet, DID, id, beyond)).rejects.toMatchObject({ code: "not_asked" });
    await deciding.narrow(w.wallet, DID, id, new Map([[0, new Set(["address.city"])]]));
    expect(standings(w)).toEqual(["superseded", "living"]);
    const other = await ask(w, 9, ["address.city"], { replaces: "urn:uuid:other" });
    w.routes.set("/issuer/wallet/narrowings/offers", () => json({ ask: other }, 201));
    const kept = new Map([[0, new Set(["address.city"])]]);
    const now = String(w.wallet.holding(DID).consents.at(-1)?.document.id);
    await expect(deciding.narrow(w.wallet, DID, now, kept)).rejects.toMatchObject({ code: "foreign_ask" });
  });

  it("takes back its own consents alone after a restore", async () => {
    const mine = await given();
    w.routes.set("/issuer/wallet/receipts", () => json({ items: [] }));
    const keyring = w.wallet.keyring;
    const empty = { ...EMPTY, organisations: [{ ...w.they.holding, enrolment: { id: "urn:e" } }] };
    const answer = (document: JsonObject) =>
      network((sent) =>
        sent.url.endsWith("/consents")
          ? json({ items: [{ credential: document, standing: "living" }] })
          : json({ items: [] }),
      ).client;
    const back = new Wallet(keyring, empty, answer(mine));
    await learning.refresh(back, DID);
    expect(back.holding(DID).consents).toHaveLength(1);
    const forged = await w.they.issue("ConsentCredential", mine.credentialSubject as JsonObject);
    const fooled = new Wallet(keyring, empty, answer(forged));
    await expect(learning.refresh(fooled, DID)).rejects.toMatchObject({ code: "wrong_issuer" });
  });
});
