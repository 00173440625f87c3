/** Asks, and the owner's three answers: a consent within the ask, a withdrawal, a refusal. See `protocol/consent.py`. */

import { CoreError } from "./bytes";
import { object, skeleton, text, type VerifiedCredential } from "./credential";
import { list, type Signer } from "./did";
import { digest, type JsonObject } from "./jcs";
import { moment, sign } from "./proof";

/** How far a wallet's clock may be from an organisation's, either way. */
const SKEW = 60_000;

/** A controller's verified request for consent. `processes` are as they were signed: the answer copies from them. */
export interface Ask {
  readonly id: string;
  readonly digest: string;
  readonly controller: string;
  readonly subjectDid: string;
  readonly processes: readonly JsonObject[];
  readonly notice: JsonObject;
  readonly latestUntil: Date;
  readonly issued: Date;
  readonly expires: Date;
  readonly challenge: string;
  readonly domain: string;
  readonly status: JsonObject;
  readonly replaces: string | null;
}

/** What of an ask the owner ticked: the place of a process in it, and the fields. */
export type Ticked = ReadonlyMap<number, ReadonlySet<string>>;

/** Read a verified ask. CoreError `bad_credential`, `bad_datetime`, `wrong_issuer`. */
export function readAsk(credential: VerifiedCredential): Ask {
  const path = "credentialSubject.requestsConsent";
  const request = object(credential.subject.requestsConsent, path);
  if (credential.validUntil === null) throw new CoreError("bad_credential", "an ask must end", "validUntil");
  if (request.hasDataController !== credential.issuer) {
    throw new CoreError("wrong_issuer", "asked by another than the controller", `${path}.hasDataController`);
  }
  return {
    id: credential.id,
    digest: credential.digest,
    controller: credential.issuer,
    subjectDid: text(credential.subject.id, "credentialSubject.id"),
    processes: list(request.hasProcess).map((process) => object(process, `${path}.hasProcess`)),
    notice: object(request.hasNotice, `${path}.hasNotice`),
    latestUntil: moment(request.latestUntil, `${path}.latestUntil`),
    issued: credential.validFrom,
    expires: credential.validUntil,
    challenge: text(request.answerChallenge, `${path}.answerChallenge`),
    domain: text(request.answerDomain, `${path}.answerDomain`),
    status: object(credential.document.credentialStatus, "credentialStatus"),
    replaces: request.replaces === undefined ? null : text(request.replaces, `${path}.replaces`),
  };
}

/** The fields of a process, in their order. */
export const fieldsOf = (process: JsonObject): string[] => list(process.hasPersonalData).map(String);

/**
 * A signed consent to exactly what was ticked, good for this ask alone. CoreError `nothing_ticked`, `not_asked` (field
 * named), `bad_until`, `foreign_ask` when it is not for this signer.
 */
export async function give(
  ask: Ask,
  ticked: Ticked,
  signer: Signer,
  told: { readonly id: string; readonly at: Date; readonly until?: Date },
): Promise<JsonObject> {
  if (ask.subjectDid !== signer.did) throw new CoreError("foreign_ask", "this ask is for another wallet");
  const until = told.until ?? ask.latestUntil;
  const from = new Date(Math.max(told.at.getTime() - SKEW, ask.issued.getTime()));
  if (until > ask.latestUntil || until.getTime() < Math.max(told.at.getTime(), from.getTime()) + 1000) {
    throw new CoreError("bad_until", "choose a day in the future, at most the last one that was asked for", "until");
  }
  const record: JsonObject = {
    type: "ConsentRecord",
    hasConsentStatus: "dpv:ConsentGiven",
    hasDataController: ask.controller,
    hasProcess: granted(ask, ticked),
    hasNotice: ask.notice,
    ask: { id: ask.id, digestMultibase: ask.digest },
  };
  const unsigned = skeleton("ConsentCredential", {
    id: told.id,
    issuer: signer.did,
    from,
    until,
    subject: { id: signer.did, hasConsent: record },
    status: ask.status,
  });
  return sign(unsigned, signer, { created: told.at, challenge: ask.challenge, domain: ask.domain });
}

/** A signed withdrawal of a consent that this signer gave. */
export async function withdraw(
  consent: JsonObject,
  controller: string,
  signer: Signer,
  told: { readonly id: string; readonly at: Date },
): Promise<JsonObject> {
  const claim: JsonObject = {
    type: "ConsentWithdrawal",
    hasConsentStatus: "dpv:ConsentWithdrawn",
    hasDataController: controller,
    consent: { id: text(consent.id, "id"), digestMultibase: await digest(consent) },
  };
  const unsigned = skeleton("ConsentWithdrawalCredential", {
    id: told.id,
    issuer: signer.did,
    from: new Date(told.at.getTime() - SKEW),
    subject: { id: signer.did, withdrawsConsent: claim },
  });
  return sign(unsigned, signer, { created: told.at });
}

/** A signed no to a whole ask. */
export async function refuse(
  ask: Ask,
  signer: Signer,
  told: { readonly id: string; readonly at: Date },
): Promise<JsonObject> {
  const claim: JsonObject = {
    type: "ConsentRefusal",
    hasConsentStatus: "dpv:ConsentRefused",
    hasDataController: ask.controller,
    ask: { id: ask.id, digestMultibase: ask.digest },
  };
  const unsigned = skeleton("ConsentRefusalCredential", {
    id: told.id,
    issuer: signer.did,
    from: new Date(told.at.getTime() - SKEW),
    subject: { id: signer.did, refusesConsent: claim },
  });
  return sign(unsigned, signer, { created: told.at, challenge: ask.challenge, domain: ask.domain });
}

function granted(ask: Ask, ticked: Ticked): JsonObject[] {
  const processes: JsonObject[] = [];
  for (const [place, fields] of [...ticked].sort(([one], [other]) => one - other)) {
    const process = ask.processes[place];
    if (process === undefined) throw new CoreError("not_asked", "the ask has no such part", "hasProcess");
    const offered = fieldsOf(process);
    const stranger = [...fields].find((field) => !offered.includes(field));
    if (stranger !== undefined) throw new CoreError("not_asked", "this field was not asked for", stranger);
    if (fields.size > 0) processes.push({ ...process, hasPersonalData: offered.filter((field) => fields.has(field)) });
  }
  if (processes.length === 0) throw new CoreError("nothing_ticked", "tick a field, or refuse");
  return processes;
}
