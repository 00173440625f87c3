/** Signed HTTP requests: RFC 9421 with Ed25519 over method, target URI and Content-Digest (RFC 9530). */

import { type Bytes, base64, base64url, random, sha256, utf8 } from "./bytes";
import type { Signer } from "./did";

const TAG = "fieldgrant";

/** The headers to add to a request; `url` is absolute, exactly as it will be sent. */
export async function signedHeaders(
  method: string,
  url: string,
  body: Bytes,
  signer: Signer,
  options: { readonly created: Date; readonly nonce?: string },
): Promise<Record<string, string>> {
  const digest = `sha-256=:${base64(await sha256(body))}:`;
  const created = Math.floor(options.created.getTime() / 1000);
  const nonce = options.nonce ?? base64url(random(18));
  const covered = '("@method" "@target-uri" "content-digest")';
  const told = `created=${created};keyid="${signer.verificationMethod}";alg="ed25519";nonce="${nonce}";tag="${TAG}"`;
  const base = [
    `"@method": ${method.toUpperCase()}`,
    `"@target-uri": ${url}`,
    `"content-digest": ${digest}`,
    `"@signature-params": ${covered};${told}`,
  ].join("\n");
  return {
    "Content-Digest": digest,
    "Signature-Input": `${TAG}=${covered};${told}`,
    Signature: `${TAG}=:${base64(await signer.sign(utf8(base)))}:`,
  };
}
