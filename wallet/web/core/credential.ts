/** Verifiable credentials (VCDM 2.0): verified before anything in them is believed. */

import { CoreError } from "./bytes";
import { isObject, type Keys, list } from "./did";
import { digest, type Json, type JsonObject } from "./jcs";
import { moment, stamp, verify as verifyProof } from "./proof";

export const CREDENTIALS_V2 = "https://www.w3.org/ns/credentials/v2";
export const CONSENT_V1 = "https://ns.fieldgrant.example/consent/v1";

export interface Expected {
  readonly type: string;
  /** Who must have issued it; left out only where more than one may, and the caller looks at `signers`. */
  readonly issuer?: string;
  readonly at: Date;
  /** The contexts, where they are not those of our own credentials. */
  readonly contexts?: readonly string[];
  /** Judge `validFrom` and `validUntil` too. */
  readonly dates?: boolean;
}

/** A credential whose proof by its own issuer verified. `digest` names exactly these contents. */
export interface VerifiedCredential {
  readonly document: JsonObject;
  readonly id: string;
  readonly issuer: string;
  readonly subject: JsonObject;
  readonly validFrom: Date;
  readonly validUntil: Date | null;
  readonly digest: string;
  /** The DIDs whose proofs it bears. */
  readonly signers: ReadonlySet<string>;
}

/**
 * Verify a credential. CoreError: bad_credential (field named), wrong_type, wrong_issuer, not_yet_valid, expired, and
 * those of `proof.verify`.
 */
export async function verify(document: JsonObject, keys: Keys, expected: Expected): Promise<VerifiedCredential> {
  const id = text(document.id, "id");
  const issuer = text(document.issuer, "issuer");
  const contexts = list(document["@context"]);
  const wanted = expected.contexts ?? [CREDENTIALS_V2, CONSENT_V1];
  if (contexts.length !== wanted.length || wanted.some((one, at) => one !== contexts[at])) {
    throw new CoreError("bad_credential", "not in the contexts that we read", "@context");
  }
  const types = list(document.type);
  if (types.length !== 2 || types[0] !== "VerifiableCredential" || types[1] !== expected.type) {
    throw new CoreError("wrong_type", `not a ${expected.type}`, "type");
  }
  if (expected.issuer !== undefined && issuer !== expected.issuer)
    throw new CoreError("wrong_issuer", "issued by somebody else", "issuer");
  const proofs = await verifyProof(document, keys, { at: expected.at });
  if (!proofs.some((proof) => proof.did === issuer)) {
    throw new CoreError("wrong_issuer", "not signed by its issuer", "proof.verificationMethod");
  }
  const validFrom = moment(document.validFrom, "validFrom");
  const validUntil = document.validUntil === undefined ? null : moment(document.validUntil, "validUntil");
  if (expected.dates !== false) {
    if (validFrom > expected.at) throw new CoreError("not_yet_valid", "not valid yet", "validFrom");
    if (validUntil !== null && validUntil <= expected.at) throw new CoreError("expired", "has expired", "validUntil");
  }
  const subject = object(document.credentialSubject, "credentialSubject");
  const signers = new Set(proofs.map((proof) => proof.did));
  return { document, id, issuer, subject, validFrom, validUntil, digest: await digest(document), signers };
}

/** An unsigned credential of one of our types. */
export function skeleton(
  type: string,
  told: { id: string; issuer: string; from: Date; until?: Date; subject: JsonObject; status?: JsonObject },
): JsonObject {
  const document: JsonObject = {
    "@context": [CREDENTIALS_V2, CONSENT_V1],
    id: told.id,
    type: ["VerifiableCredential", type],
    issuer: told.issuer,
    validFrom: stamp(told.from),
    credentialSubject: told.subject,
  };
  if (told.until !== undefined) document.validUntil = stamp(told.until);
  if (told.status !== undefined) document.credentialStatus = told.status;
  return document;
}

/** A member that has to be a text; CoreError `bad_credential`. */
export function text(value: Json | undefined, field: string): string {
  if (typeof value !== "string" || value === "") throw new CoreError("bad_credential", "is missing", field);
  return value;
}

/** A member that has to be an object; CoreError `bad_credential`. */
export function object(value: Json | undefined, field: string): JsonObject {
  if (!isObject(value)) throw new CoreError("bad_credential", "is missing", field);
  return value;
}
