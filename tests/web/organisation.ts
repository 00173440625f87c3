/** An organisation of the tests' own: its keys, what it signs, and the answers that it gives over a made-up network. */

import { Client } from "../../wallet/web/core/api";
import { utf8 } from "../../wallet/web/core/bytes";
import { CONSENT_V1, CREDENTIALS_V2 } from "../../wallet/web/core/credential";
import { keySigner, type Signer } from "../../wallet/web/core/did";
import { fresh, type Holding } from "../../wallet/web/core/holding";
import type { JsonObject } from "../../wallet/web/core/jcs";
import { sign, stamp } from "../../wallet/web/core/proof";

export const NOW = new Date("2026-11-22T08:00:00Z");
export const BASE = "https://crm.example.com";
export const DID = "did:web:crm.example.com";

export async function anybody(): Promise<Signer> {
  const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
  return keySigner(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)), pair.privateKey);
}

export interface Organisation {
  readonly signer: Signer;
  readonly holding: Holding;
  /** A credential about somebody, signed by the organisation (or by `by`). */
  issue(type: string, subject: JsonObject, more?: JsonObject, by?: Signer): Promise<JsonObject>;
}

export async function organisation(): Promise<Organisation> {
  const key = await anybody();
  const method = `${DID}#key-1`;
  const document: JsonObject = {
    id: DID,
    verificationMethod: [
      { id: method, type: "Multikey", controller: DID, publicKeyMultibase: key.did.slice("did:key:".length) },
    ],
    assertionMethod: [method],
    authentication: [method],
    service: ["FieldgrantIssuer", "FieldgrantRedaction", "FieldgrantAudit"].map((type) => ({
      id: `${DID}#${type}`,
      type,
      serviceEndpoint: BASE,
    })),
  };
  const signer: Signer = { did: DID, verificationMethod: method, sign: key.sign };
  const issue = (type: string, subject: JsonObject, more: JsonObject = {}, by: Signer = signer) =>
    sign(
      {
        "@context": [CREDENTIALS_V2, CONSENT_V1],
        id: `urn:uuid:${crypto.randomUUID()}`,
        type: ["VerifiableCredential", type],
        issuer: by.did,
        validFrom: stamp(NOW),
        credentialSubject: subject,
        ...more,
      },
      by,
      { created: NOW },
    );
  return { signer, holding: fresh(DID, BASE, document), issue };
}

/** What was sent. */
export interface Sent {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly init: RequestInit;
}

/** A client over a made-up network, and all that it sent. */
export function network(
  answer: (sent: Sent) => Response | Promise<Response>,
  now = NOW,
): { client: Client; sent: Sent[] } {
  const sent: Sent[] = [];
  const send = async (url: unknown, init: RequestInit = {}) => {
    const one = { method: init.method ?? "GET", url: String(url), headers: new Headers(init.headers), init };
    sent.push(one);
    return answer(one);
  };
  return { client: new Client(send as typeof fetch, () => now.getTime()), sent };
}

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(utf8(JSON.stringify(body)), { status, headers });
