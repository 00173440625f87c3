/** To enrol: pin the organisation, prove a DID made for it alone, hand in the code from the second channel. */

import type { Client } from "./api";
import { CoreError } from "./bytes";
import * as credential from "./credential";
import { object } from "./credential";
import type { Signer } from "./did";
import { at, documentIn, domains, fresh, type Holding, itemsIn, keysOf } from "./holding";
import { type JsonObject, jcs } from "./jcs";
import { type Link, pin } from "./link";
import { sign } from "./proof";

const SKEW = 60_000;

/** An invitation half accepted: the organisation is pinned and waits for the code that it sent to `channel`. */
export interface Enrolling {
  readonly holding: Holding;
  readonly token: string;
  readonly challenge: string;
  readonly domain: string;
  readonly channel: string;
}

/** Pin the organisation and have the second code sent. CoreError `document_mismatch`, `wrong_challenge`, `wrong_domain`. */
export async function begin(client: Client, link: Link): Promise<Enrolling> {
  const holding = fresh(link.did, link.issuer, await pin(client, link));
  const url = at(holding, "FieldgrantIssuer", "/issuer/enrolments/challenge");
  const told = await client.post(url, { token: link.token });
  const [challenge, domain, channel] = [told.challenge, told.domain, told.code_channel].map((one) => String(one ?? ""));
  if (challenge === undefined || challenge.length < 16) {
    throw new CoreError("wrong_challenge", "the challenge can be guessed", "challenge");
  }
  if (domain === undefined || !domains(holding).has(domain)) {
    throw new CoreError("wrong_domain", "the proof would be good elsewhere", "domain");
  }
  return { holding, token: link.token, challenge, domain, channel: channel ?? "" };
}

/** The holding with the organisation's enrolment in it; what it refuses, as a wrong code, and `foreign_enrolment`. */
export async function complete(client: Client, begun: Enrolling, code: string, signer: Signer): Promise<Holding> {
  const { holding, challenge, domain } = begun;
  const presented = await present(signer, challenge, domain, client.now());
  const body = { token: begun.token, code: code.replace(/\s/g, ""), presentation: presented };
  const reply = await client.post(at(holding, "FieldgrantIssuer", "/issuer/enrolments"), body);
  const document = documentIn(reply, "enrolment");
  const claim = await read(holding, document, signer.did, client.now());
  if (object(claim.walletPresentation, "walletPresentation").presentationDocument !== jcs(presented)) {
    throw new CoreError("foreign_enrolment", "the enrolment is not what this wallet signed");
  }
  return { ...holding, enrolment: document };
}

/** Fetch an enrolment whose answer was lost, or that a restored wallet has no more; nothing where there is none. */
export async function recover(client: Client, holding: Holding, signer: Signer): Promise<Holding | null> {
  const reply = await client.call("GET", at(holding, "FieldgrantIssuer", "/issuer/wallet/enrolments"), signer);
  let found: Holding | null = null;
  for (const item of itemsIn(reply, "enrolments")) {
    const document = documentIn(item, "enrolment");
    await read(holding, document, signer.did, client.now());
    found = { ...holding, enrolment: document };
  }
  return found;
}

/** A presentation of nothing but control over the DID, good for one challenge and domain. */
export function present(signer: Signer, challenge: string, domain: string, now: Date): Promise<JsonObject> {
  const document: JsonObject = {
    "@context": [credential.CREDENTIALS_V2],
    type: ["VerifiablePresentation"],
    holder: signer.did,
  };
  return sign(document, signer, { created: now, purpose: "authentication", challenge, domain });
}

async function read(holding: Holding, document: JsonObject, did: string, now: Date): Promise<JsonObject> {
  const found = await credential.verify(document, keysOf(holding), {
    type: "EnrolmentCredential",
    issuer: holding.controller,
    at: new Date(now.getTime() + SKEW),
  });
  const claim = object(found.subject.hasEnrolment, "credentialSubject.hasEnrolment");
  if (found.subject.id !== did || claim.hasDataController !== holding.controller) {
    throw new CoreError("foreign_enrolment", "the enrolment is for another wallet");
  }
  return claim;
}
