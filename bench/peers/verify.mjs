// Verifies one consent again and again with @digitalbazaar/vc. The first line of the input is {"credential", "at"}; each
// further line is how many times; for each a line with the processor seconds that one verification took.

import { createInterface } from "node:readline";
import { DataIntegrityProof } from "@digitalbazaar/data-integrity";
import { createVerifyCryptosuite } from "@digitalbazaar/eddsa-jcs-2022-cryptosuite";
import * as vc from "@digitalbazaar/vc";

/** A did:key and its one key, as the method says: nothing is fetched. */
async function documentLoader(url) {
  const [did, fragment] = url.split("#");
  if (!did.startsWith("did:key:")) throw new Error(`nothing is fetched: ${url}`);
  const key = did.slice("did:key:".length);
  const method = { id: `${did}#${key}`, type: "Multikey", controller: did, publicKeyMultibase: key };
  const document = { "@context": ["https://www.w3.org/ns/did/v1"], id: did, assertionMethod: [method.id] };
  const known = fragment
    ? { "@context": "https://w3id.org/security/multikey/v1", ...method }
    : { ...document, verificationMethod: [method] };
  return { contextUrl: null, documentUrl: url, document: known };
}

const suite = new DataIntegrityProof({ cryptosuite: createVerifyCryptosuite() });
let asked;
for await (const line of createInterface({ input: process.stdin })) {
  if (asked === undefined) {
    asked = JSON.parse(line);
    continue;
  }
  const begun = process.cpuUsage();
  for (let left = Number(line); left > 0; left--) {
    const found = await vc.verifyCredential({
      credential: JSON.parse(asked.credential),
      suite,
      documentLoader,
      now: new Date(asked.at),
      checkStatus: async () => ({ verified: true }),
    });
    if (!found.verified) throw found.error;
  }
  const { user, system } = process.cpuUsage(begun);
  console.log((user + system) / 1e6 / Number(line));
}
