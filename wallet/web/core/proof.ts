/** Data Integrity 1.0 proofs with the cryptosuite eddsa-jcs-2022 (VC Data Integrity EdDSA 1.0, §3.3). */

import { decode, encode } from "./base58";
import { type Bytes, CoreError, concat, sha256 } from "./bytes";
import { isObject, type Keys, list, type Purpose, type Signer } from "./did";
import { canonical, type Json, type JsonObject, jcs } from "./jcs";

const SUITE = "eddsa-jcs-2022";
const MAX_PROOFS = 8;
const SKEW = 5 * 60_000;

export interface Options {
  readonly created: Date;
  readonly purpose?: Purpose;
  readonly challenge?: string;
  readonly domain?: string;
}

export interface Expected {
  readonly purpose?: Purpose;
  readonly challenge?: string;
  readonly domain?: string;
  readonly at: Date;
}

/** What one proof says, once its signature has been verified. */
export interface Verified {
  readonly did: string;
  readonly verificationMethod: string;
  readonly created: Date;
}

/** `YYYY-MM-DDTHH:MM:SSZ` */
export const stamp = (at: Date): string => at.toISOString().replace(/\.\d+Z$/, "Z");

/** A copy of the document with a proof. */
export async function sign(document: JsonObject, signer: Signer, options: Options): Promise<JsonObject> {
  const { proof: _, ...unsecured } = document;
  const config: JsonObject = {
    type: "DataIntegrityProof",
    cryptosuite: SUITE,
    created: stamp(options.created),
    verificationMethod: signer.verificationMethod,
    proofPurpose: options.purpose ?? "assertionMethod",
  };
  if (options.challenge !== undefined) config.challenge = options.challenge;
  if (options.domain !== undefined) config.domain = options.domain;
  if (unsecured["@context"] !== undefined) config["@context"] = unsecured["@context"];
  const signature = await signer.sign(await hashes(unsecured, config));
  return { ...unsecured, proof: { ...config, proofValue: encode(signature) } };
}

/**
 * Verify every proof of a document (a set is a list). CoreError: no_proof, bad_proof, unsupported_suite, wrong_purpose,
 * wrong_challenge, wrong_domain, bad_datetime, proof_from_future, proof_expired, bad_signature, and those of `Keys`.
 */
export async function verify(document: JsonObject, keys: Keys, expected: Expected): Promise<Verified[]> {
  const { proof, ...unsecured } = document;
  const proofs = list(proof);
  if (proofs.length === 0) throw new CoreError("no_proof", "the document carries no proof", "proof");
  if (proofs.length > MAX_PROOFS) throw new CoreError("bad_proof", "too many proofs", "proof");
  const verified: Verified[] = [];
  for (const one of proofs) {
    if (!isObject(one)) throw new CoreError("bad_proof", "not a proof", "proof");
    verified.push(await check(unsecured, one, keys, expected));
  }
  return verified;
}

async function check(unsecured: JsonObject, proof: JsonObject, keys: Keys, expected: Expected): Promise<Verified> {
  const told = (name: string): string => {
    const value = proof[name];
    if (typeof value !== "string") throw new CoreError("bad_proof", "a member is missing", `proof.${name}`);
    return value;
  };
  const same = (name: string, wanted: string | undefined, code: string): void => {
    if (wanted !== undefined && proof[name] !== wanted)
      throw new CoreError(code, "not what was expected", `proof.${name}`);
  };
  if (told("type") !== "DataIntegrityProof" || told("cryptosuite") !== SUITE || "previousProof" in proof) {
    throw new CoreError("unsupported_suite", `not a proof by ${SUITE}`, "proof.cryptosuite");
  }
  const purpose = expected.purpose ?? "assertionMethod";
  same("proofPurpose", purpose, "wrong_purpose");
  same("challenge", expected.challenge, "wrong_challenge");
  same("domain", expected.domain, "wrong_domain");
  const created = moment(told("created"), "proof.created");
  if (created.getTime() > expected.at.getTime() + SKEW) {
    throw new CoreError("proof_from_future", "made later than now", "proof.created");
  }
  if ("expires" in proof && moment(told("expires"), "proof.expires") <= expected.at) {
    throw new CoreError("proof_expired", "the proof has expired", "proof.expires");
  }
  const method = told("verificationMethod");
  const { proofValue, ...config } = proof;
  const key = await crypto.subtle.importKey("raw", keys.public(method, purpose), "Ed25519", false, ["verify"]);
  const fits = await crypto.subtle.verify("Ed25519", key, signature(proofValue), await hashes(unsecured, config));
  if (!fits) throw new CoreError("bad_signature", "the signature does not fit", "proof.proofValue");
  return { did: method.split("#")[0] ?? "", verificationMethod: method, created };
}

function signature(value: Json | undefined): Bytes {
  try {
    return decode(String(value), 64);
  } catch {
    throw new CoreError("bad_signature", "not a signature", "proof.proofValue");
  }
}

/** The instant of a text; CoreError `bad_datetime`. */
export function moment(text: Json | undefined, field: string): Date {
  const shaped = typeof text === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const at = new Date(shaped ? text : Number.NaN);
  if (Number.isNaN(at.getTime())) throw new CoreError("bad_datetime", "not a date and time", field);
  return at;
}

/** The 64 bytes that are signed: the hash of the proof's options, then that of the document (§3.3.4). */
async function hashes(document: JsonObject, config: JsonObject): Promise<Bytes> {
  const signed = "@context" in config ? { ...document, "@context": shared(document, config) } : document;
  return concat(await sha256(canonical(config)), await sha256(canonical(signed)));
}

/** The proof's context, which the document's must start with (§3.3.2 step 4). */
function shared(document: JsonObject, config: JsonObject): Json {
  const own = config["@context"] as Json;
  const first = list(own);
  const whole = list(document["@context"]);
  if (!first.every((one, at) => jcs(one) === jcs(whole[at] ?? null))) {
    throw new CoreError("bad_proof", "the document does not start with the proof's contexts", "@context");
  }
  return own;
}
