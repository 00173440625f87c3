/** Receipts, certificates, grounds and own consents, read only once their signatures hold and they are about the owner. */

import { CoreError, utf8 } from "./bytes";
import * as credential from "./credential";
import { object, text, type VerifiedCredential } from "./credential";
import { isObject, list } from "./did";
import { type Holding, keysOf } from "./holding";
import { digestOf, type Json, type JsonObject, jcs } from "./jcs";
import { moment } from "./proof";

const DPV = "https://w3id.org/dpv#";

/** What may be done with which fields, what for, by whom, where; `duration` is the data's life (ISO 8601). */
export interface Process {
  readonly purpose: string;
  readonly fields: readonly string[];
  readonly processing: readonly string[];
  readonly recipients: readonly string[];
  readonly jurisdictions: readonly string[];
  readonly duration: string;
  readonly locations: readonly string[];
}

export interface Reference {
  readonly id: string;
  readonly digest: string;
}

export interface Consent {
  readonly id: string;
  readonly digest: string;
  readonly controller: string;
  readonly processes: readonly Process[];
  readonly validFrom: Date;
  readonly validUntil: Date;
  readonly status: JsonObject;
  readonly document: JsonObject;
}

export interface Receipt {
  readonly id: string;
  readonly event: string;
  readonly standing: string;
  readonly at: Date;
  readonly processes: readonly Process[];
  readonly consent: Reference | null;
  readonly ask: Reference | null;
  readonly supersedes: Reference | null;
  readonly shutAt: Date | null;
  readonly document: JsonObject;
}

export interface Disposition {
  readonly field: string;
  readonly disposition: string;
  readonly destroyBy: Date | null;
  readonly ground: string | null;
}

export interface Told {
  readonly recipient: string;
  readonly fields: readonly string[];
  readonly deadline: Date;
  readonly acknowledged: Date | null;
}

export interface Certificate {
  readonly id: string;
  readonly at: Date;
  readonly cause: string;
  readonly items: readonly Disposition[];
  readonly events: readonly string[];
  readonly told: readonly Told[];
  readonly document: JsonObject;
}

export interface Ground {
  readonly id: string;
  readonly basis: string;
  readonly citation: string;
  readonly processes: readonly Process[];
  readonly validUntil: Date;
  readonly standing: string;
}

/** A consent of the owner's own; its dates are not judged. */
export async function consent(document: JsonObject, did: string, holding: Holding, now: Date): Promise<Consent> {
  const found = await kept(document, holding, { type: "ConsentCredential", issuer: did }, now);
  const record = object(found.subject.hasConsent, "credentialSubject.hasConsent");
  if (found.subject.id !== did || record.hasDataController !== holding.controller || found.validUntil === null) {
    throw new CoreError("foreign_consent", "this consent is about somebody else");
  }
  return {
    id: found.id,
    digest: found.digest,
    controller: holding.controller,
    processes: processesIn(record),
    validFrom: found.validFrom,
    validUntil: found.validUntil,
    status: object(document.credentialStatus, "credentialStatus"),
    document,
  };
}

/** A receipt that the pinned organisation signed about this wallet; `foreign_receipt`, and those of verification. */
export async function receipt(document: JsonObject, did: string, holding: Holding, now: Date): Promise<Receipt> {
  const expected = { type: "ConsentReceiptCredential", issuer: holding.controller };
  const found = await kept(document, holding, expected, now);
  const path = "credentialSubject.hasReceipt";
  const claim = object(found.subject.hasReceipt, path);
  if (found.subject.id !== did || claim.hasDataController !== holding.controller) {
    throw new CoreError("foreign_receipt", "the receipt is about somebody else");
  }
  return {
    id: found.id,
    event: text(claim.receiptEvent, `${path}.receiptEvent`),
    standing: text(claim.standing, `${path}.standing`),
    at: moment(claim.decidedAt, `${path}.decidedAt`),
    processes: claim.hasProcess === undefined ? [] : processesIn(claim),
    consent: reference(claim.consent),
    ask: reference(claim.ask),
    supersedes: reference(claim.supersedes),
    shutAt: claim.shutAt === undefined ? null : moment(claim.shutAt, `${path}.shutAt`),
    document,
  };
}

/** A certificate of what became of fields, likewise; `foreign_certificate`. */
export async function certificate(
  document: JsonObject,
  did: string,
  holding: Holding,
  now: Date,
): Promise<Certificate> {
  const expected = { type: "DispositionCertificate", issuer: holding.controller };
  const found = await kept(document, holding, expected, now);
  const path = "credentialSubject.hasDispositionRecord";
  const record = object(found.subject.hasDispositionRecord, path);
  if (found.subject.id !== did || record.hasDataController !== holding.controller) {
    throw new CoreError("foreign_certificate", "the certificate is about somebody else");
  }
  return {
    id: found.id,
    at: moment(record.disposedAt, `${path}.disposedAt`),
    cause: text(record.dispositionCause, `${path}.dispositionCause`),
    items: list(record.hasDisposition).filter(isObject).map(disposition),
    events: texts(record.evidenceEvent),
    told: list(record.toldRecipient).filter(isObject).map(told),
    document,
  };
}

/** A statutory ground that the organisation claims, with the proofs of two people; `not_approved`, `foreign_ground`. */
export async function ground(document: JsonObject, standing: string, holding: Holding, now: Date): Promise<Ground> {
  const found = await kept(document, holding, { type: "StatutoryGroundCredential" }, now);
  const path = "credentialSubject.declaresGround";
  const claim = object(found.subject.declaresGround, path);
  if (found.subject.id !== holding.controller || claim.hasDataController !== holding.controller) {
    throw new CoreError("foreign_ground", "the ground is another organisation's");
  }
  if (found.signers.size < 2) throw new CoreError("not_approved", "a ground needs two people", "proof");
  if (found.validUntil === null) throw new CoreError("bad_credential", "a ground must end", "validUntil");
  const evidence = object(claim.groundEvidence, `${path}.groundEvidence`);
  const words = utf8(text(evidence.evidenceText, path));
  if ((await digestOf(words)) !== evidence.digestMultibase)
    throw new CoreError("digest_mismatch", "not the evidence named", path);
  return {
    id: found.id,
    basis: text(claim.hasLegalBasis, `${path}.hasLegalBasis`),
    citation: text(claim.citation, `${path}.citation`),
    processes: processesIn(claim),
    validUntil: found.validUntil,
    standing,
  };
}

/** The processes of a signed record, at least one. CoreError `bad_credential`. */
export function processesIn(record: JsonObject): Process[] {
  const found = list(record.hasProcess).map((node) => process(object(node, "hasProcess")));
  if (found.length === 0) throw new CoreError("bad_credential", "is missing", "hasProcess");
  return found;
}

/** One process, each list sorted, its purpose as a whole IRI. */
export function process(node: JsonObject): Process {
  const storage = object(node.hasStorageCondition, "hasStorageCondition");
  const purpose = text(node.hasPurpose, "hasPurpose");
  return {
    purpose: purpose.startsWith("dpv:") ? DPV + purpose.slice(4) : purpose,
    fields: texts(node.hasPersonalData),
    processing: texts(node.hasProcessing).map((one) => one.replace(DPV, "dpv:")),
    recipients: texts(node.hasRecipient),
    jurisdictions: texts(node.hasJurisdiction),
    duration: text(storage.hasDuration, "hasDuration"),
    locations: texts(storage.hasLocation),
  };
}

/** Whether two records say the same, in whatever order. */
export const sameProcesses = (one: readonly Process[], other: readonly Process[]): boolean => {
  const plain = (all: readonly Process[]) => [...new Set(all.map((process) => jcs(process as unknown as Json)))].sort();
  return plain(one).join() === plain(other).join();
};

async function kept(
  document: JsonObject,
  holding: Holding,
  expected: { type: string; issuer?: string },
  now: Date,
): Promise<VerifiedCredential> {
  // what lies in the wallet stays readable after its end, so dates do not count here
  return credential.verify(document, keysOf(holding), { ...expected, at: now, dates: false });
}

const texts = (value: Json | undefined): string[] => list(value).map(String).sort();

const reference = (node: Json | undefined): Reference | null =>
  isObject(node) ? { id: text(node.id, "id"), digest: text(node.digestMultibase, "digestMultibase") } : null;

const disposition = (node: JsonObject): Disposition => ({
  field: text(node.field, "field"),
  disposition: text(node.disposition, "disposition"),
  destroyBy: node.destroyBy === undefined ? null : moment(node.destroyBy, "destroyBy"),
  ground: typeof node.archiveGround === "string" ? node.archiveGround : ((node.keptGround as string) ?? null),
});

const told = (node: JsonObject): Told => ({
  recipient: text(node.hasRecipient, "hasRecipient"),
  fields: texts(node.hasPersonalData),
  deadline: moment(node.noticeDeadline, "noticeDeadline"),
  acknowledged: node.acknowledgedAt === undefined ? null : moment(node.acknowledgedAt, "acknowledgedAt"),
});
