/** The owner's rights: what was asked of an organisation, where it stands, the answers that this wallet alone opens. */

import { decode } from "./base58";
import * as box from "./box";
import { type Bytes, base64, CoreError, fromBase64, utf8 } from "./bytes";
import * as credential from "./credential";
import { object, skeleton, text } from "./credential";
import { isObject, list } from "./did";
import { at, documentIn, type Holding, itemsIn, keysOf } from "./holding";
import { digest, digestOf, type Json, type JsonObject, jcs } from "./jcs";
import { moment, sign } from "./proof";
import type { Happened } from "./record";
import { freshId, type Wallet } from "./wallet";

const PATH = "/issuer/wallet/requests";
const SKEW = 60_000;
const X25519 = [0xec, 0x01]; // multicodec x25519-pub

export const KINDS = [
  "access",
  "explanation",
  "portability",
  "rectification",
  "restriction",
  "objection",
  "erasure",
] as const;
export type Kind = (typeof KINDS)[number];

/** Fields that stay after an erasure, and why. */
export interface Kept {
  readonly fields: readonly string[];
  readonly citation: string;
  readonly reason: string | null;
}

/** One signed word of the organisation's about a request. */
export interface Step {
  readonly state: string;
  readonly at: Date;
  readonly due: Date;
  readonly citation: string | null;
  readonly reason: string | null;
  /** Why a read took place, in the organisation's signed words. */
  readonly explanation: string | null;
  readonly kept: readonly Kept[];
  readonly answer: string | null;
  readonly shutAt: Date | null;
  readonly document: JsonObject;
}

/** One request, with the receipts for its steps, oldest first. */
export interface Asked {
  readonly id: string;
  readonly kind: Kind;
  readonly at: Date;
  readonly fields: readonly string[];
  readonly purpose: string | null;
  /** The event of the read that an explanation asks about, and what the organisation's record says of it. */
  readonly event: string | null;
  readonly read: Happened | null;
  readonly steps: readonly Step[];
  readonly last: Step;
  readonly document: JsonObject;
}

/** What a request is about, where its kind wants that said. */
export interface About {
  readonly purpose?: string;
  readonly ground?: string;
  readonly event?: string;
  readonly values?: Readonly<Record<string, string>>;
}

/** Sign and send a request; right values are sealed to the organisation's own key. `receipt_mismatch` and refusals. */
export async function ask(wallet: Wallet, controller: string, kind: Kind, about: About = {}): Promise<Asked> {
  const holding = wallet.holding(controller);
  const signer = await wallet.signer(holding);
  const now = wallet.client.now();
  const sealed = about.values === undefined ? null : await sealedFor(wallet, holding, about.values);
  const claim: JsonObject = { type: "DataSubjectRequest", requestKind: kind, hasDataController: controller };
  if (about.purpose !== undefined) claim.hasPurpose = about.purpose;
  if (about.ground !== undefined) claim.exceptedGround = about.ground;
  if (about.event !== undefined) claim.asksAboutEvent = about.event;
  if (about.values !== undefined) claim.hasPersonalData = Object.keys(about.values).sort();
  if (sealed !== null) claim.correctionDigest = await digestOf(sealed);
  const unsigned = skeleton("DataSubjectRequestCredential", {
    id: freshId(),
    issuer: signer.did,
    from: new Date(now.getTime() - SKEW),
    subject: { id: signer.did, makesRequest: claim },
  });
  const document = await sign(unsigned, signer, { created: now });
  const body: JsonObject = sealed === null ? { request: document } : { request: document, sealed: base64(sealed) };
  const reply = await wallet.client.call("POST", at(holding, "FieldgrantIssuer", PATH), signer, { body });
  const asked = await read(reply, holding, signer.did, now);
  if ((await digest(asked.document)) !== (await digest(document))) throw mismatch("it speaks of another request");
  return asked;
}

/** Every request of the owner's, the newest first; each with receipts that hold. */
export async function listing(wallet: Wallet, controller: string): Promise<Asked[]> {
  const holding = wallet.holding(controller);
  const signer = await wallet.signer(holding);
  const reply = await wallet.client.call("GET", at(holding, "FieldgrantIssuer", PATH), signer);
  const found = itemsIn(reply, "requests").map((item) => read(item, holding, signer.did, wallet.client.now()));
  return (await Promise.all(found)).sort((one, other) => +other.at - +one.at);
}

/** The answer to a request for a copy, opened with this wallet's key. `bad_box`, `receipt_mismatch` and refusals. */
export async function fetched(wallet: Wallet, controller: string, asked: Asked): Promise<JsonObject> {
  const holding = wallet.holding(controller);
  const signer = await wallet.signer(holding);
  const url = at(holding, "FieldgrantCrm", "/crm/rights/answers");
  const reply = await wallet.client.call("POST", url, signer, { body: { request: asked.id } });
  const receipt = await step(documentIn(reply, "receipt"), holding, wallet.client.now());
  const sealed = fromBase64(text(reply.sealed, "sealed"));
  if (receipt.request.id !== asked.id || receipt.step.answer !== (await digestOf(sealed))) {
    throw mismatch("this is not the answer that the organisation signed for");
  }
  const plain = await box.open(await wallet.keyring.receiver(controller), sealed);
  const document = parsed(plain);
  if (document.request !== asked.id || document.for !== signer.did) throw mismatch("the answer is for somebody else");
  return document;
}

/** One request as the organisation tells of it: only what is signed counts. */
async function read(item: JsonObject, holding: Holding, did: string, now: Date): Promise<Asked> {
  const own = await credential.verify(documentIn(item, "request"), keysOf(holding), {
    type: "DataSubjectRequestCredential",
    at: now,
    dates: false,
  });
  const path = "credentialSubject.makesRequest";
  const claim = object(own.subject.makesRequest, path);
  // one that the desk recorded before there was a wallet bears the signatures of staff
  if (claim.hasDataController !== holding.controller || (claim.subjectReference === undefined && own.issuer !== did)) {
    throw new CoreError("foreign_request", "this request is somebody else's");
  }
  const kind = text(claim.requestKind, `${path}.requestKind`) as Kind;
  const receipts = await Promise.all(
    itemsIn({ items: item.receipts ?? [] }, "receipts").map((one) => step(one, holding, now)),
  );
  if (receipts.some((one) => one.request.id !== own.id || one.request.digest !== own.digest || one.kind !== kind)) {
    throw mismatch("a receipt speaks of another request");
  }
  const steps = receipts.map((one) => one.step);
  const event = claim.asksAboutEvent === undefined ? null : text(claim.asksAboutEvent, `${path}.asksAboutEvent`);
  const told = isObject(item.read) && item.read.event === event ? (item.read as unknown as Happened) : null;
  const last = steps.at(-1);
  if (last === undefined) throw mismatch("there is no receipt for a request");
  return {
    id: own.id,
    kind,
    at: own.validFrom,
    fields: list(claim.hasPersonalData).map(String),
    purpose: typeof claim.hasPurpose === "string" ? claim.hasPurpose : null,
    event,
    read: told,
    steps,
    last,
    document: own.document,
  };
}

async function step(document: JsonObject, holding: Holding, now: Date) {
  const expected = { type: "DataSubjectReceiptCredential", issuer: holding.controller, at: now, dates: false };
  const found = await credential.verify(document, keysOf(holding), expected);
  const path = "credentialSubject.hasRequestReceipt";
  const claim = object(found.subject.hasRequestReceipt, path);
  if (claim.hasDataController !== holding.controller) {
    throw new CoreError("foreign_receipt", "the receipt is another organisation's");
  }
  const request = object(claim.dataRequest, `${path}.dataRequest`);
  const optional = (name: string): string | null => (claim[name] === undefined ? null : text(claim[name], name));
  const made: Step = {
    state: text(claim.requestState, `${path}.requestState`),
    at: found.validFrom,
    due: moment(claim.dueAt, `${path}.dueAt`),
    citation: optional("citation"),
    reason: optional("refusalReason"),
    explanation: optional("explanation"),
    kept: list(claim.keepsField).filter(isObject).map(kept),
    answer: optional("answerDigest"),
    shutAt: claim.shutAt === undefined ? null : moment(claim.shutAt, `${path}.shutAt`),
    document,
  };
  return {
    request: { id: text(request.id, "id"), digest: text(request.digestMultibase, "digestMultibase") },
    kind: text(claim.requestKind, `${path}.requestKind`),
    step: made,
  };
}

const kept = (node: JsonObject): Kept => ({
  fields: list(node.hasPersonalData).map(String),
  citation: text(node.citation, "citation"),
  reason: typeof node.refusalReason === "string" ? node.refusalReason : null,
});

/** Right values, sealed to the key that the organisation's pinned key signs for. CoreError `foreign_key`. */
async function sealedFor(wallet: Wallet, holding: Holding, values: Readonly<Record<string, string>>): Promise<Bytes> {
  const signer = await wallet.signer(holding);
  const reply = await wallet.client.call("GET", at(holding, "FieldgrantIssuer", `${PATH}/key`), signer);
  const found = await credential.verify(documentIn(reply, "credential"), keysOf(holding), {
    type: "SealingKeyCredential",
    issuer: holding.controller,
    at: new Date(wallet.client.now().getTime() + SKEW),
  });
  const claim = object(found.subject.declaresSealingKey, "credentialSubject.declaresSealingKey");
  const key = decode(text(claim.sealingKey, "sealingKey"), 34);
  if (claim.hasDataController !== holding.controller || X25519.some((byte, place) => key[place] !== byte)) {
    throw new CoreError("foreign_key", "this key is another organisation's");
  }
  const inside = { controller: holding.controller, sender: signer.did, values: { ...values } };
  return box.seal(key.slice(2), utf8(jcs(inside)));
}

function parsed(data: Bytes): JsonObject {
  try {
    const found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)) as Json;
    if (isObject(found)) return found;
  } catch {
    // said below
  }
  throw new CoreError("bad_answer", "the organisation's answer cannot be read");
}

const mismatch = (why: string) => new CoreError("receipt_mismatch", why);
