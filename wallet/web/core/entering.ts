/** An organisation comes into the wallet: by an invitation, or for a wallet that came back from words by its address. */

import { Refused } from "./api";
import { CoreError } from "./bytes";
import { serviceAt, webDid } from "./did";
import type { Enrolling } from "./enrol";
import * as enrol from "./enrol";
import { fresh, type Holding } from "./holding";
import { catalogue, pinLog, refresh } from "./learning";
import * as link from "./link";
import type { Wallet } from "./wallet";

/** Open an invitation. CoreError `bad_link`, `document_mismatch`, `already_enrolled`, what is refused. */
export async function begin(wallet: Wallet, invitation: string): Promise<Enrolling> {
  const opened = link.read(invitation);
  const known = wallet.content.organisations.find((one) => one.controller === opened.did);
  if (known?.enrolment === null) {
    const found = await enrol.recover(wallet.client, known, await wallet.signer(known)).catch(() => null);
    if (found !== null) await wallet.keep(found);
  }
  if (wallet.organisations.some((one) => one.controller === opened.did)) {
    throw new CoreError("already_enrolled", "this wallet is enrolled with this organisation already");
  }
  return enrol.begin(wallet.client, opened);
}

/** Prove the DID and hand in the second code. */
export async function complete(wallet: Wallet, begun: Enrolling, code: string): Promise<Holding> {
  await wallet.keep(begun.holding); // first: once the organisation knows the DID, it may not be forgotten
  const signer = await wallet.signer(begun.holding);
  const enrolled = await enrol.complete(wallet.client, begun, code, signer);
  await wallet.keep(enrolled);
  await pinLog(wallet, enrolled.controller).catch(() => undefined);
  await catalogue(wallet, enrolled.controller).catch(() => undefined);
  return enrolled;
}

/** Find an organisation again by its address alone, for a wallet that came back from words. `not_enrolled`. */
export async function rejoin(wallet: Wallet, address: string): Promise<Holding> {
  const issuer = address.trim().replace(/\/$/, "");
  const did = webDid(/^https?:/.test(issuer) ? issuer : `https://${issuer}`);
  const document = await link.fetched(wallet.client, did);
  const holding = fresh(did, serviceAt(document, "FieldgrantIssuer"), document);
  const found = await enrol.recover(wallet.client, holding, await wallet.signer(holding)).catch((error) => {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) return null;
    throw error;
  });
  if (found === null) throw new CoreError("not_enrolled", "this organisation does not know this wallet");
  await wallet.keep(found);
  await catalogue(wallet, did).catch(() => undefined);
  await refresh(wallet, did);
  return wallet.holding(did);
}
