/** From a signed answer to its receipt: sent until the organisation said yes or no, then checked and written down. */

import { type Client, Refused } from "./api";
import { CoreError } from "./bytes";
import { object, text } from "./credential";
import type { Signer } from "./did";
import { at, consentId, documentIn, type Holding, type Pending, standing, withDocument } from "./holding";
import { digest, type JsonObject } from "./jcs";
import { revoked } from "./status";
import * as verify from "./verify";
import { type Receipt, receipt, sameProcesses } from "./verify";

export const CONSENTS = "/issuer/wallet/consents";
export const REFUSALS = "/issuer/wallet/refusals";
export const NARROWINGS = "/issuer/wallet/narrowings";
export const WITHDRAWALS = "/issuer/wallet/withdrawals";
const AGAIN = new Set([408, 425, 429]);

/** Whether the organisation has decided against an answer, so that sending it again is of no use. */
export const decided = (error: unknown): boolean =>
  error instanceof Refused &&
  error.status !== undefined &&
  error.status >= 400 &&
  error.status < 500 &&
  !AGAIN.has(error.status);

export interface Settled {
  readonly receipt: Receipt;
  /** What the receipt changes in the holding as it is by then. */
  readonly apply: (holding: Holding) => Holding;
}

/** Send an answer. What the organisation or the network says, and `receipt_mismatch` when the receipt does not hold. */
export async function send(client: Client, holding: Holding, pending: Pending, signer: Signer): Promise<Settled> {
  const reply = await client.call("POST", at(holding, "FieldgrantIssuer", pending.path), signer, {
    body: pending.body,
  });
  const document = documentIn(reply, "receipt");
  const read = await receipt(document, signer.did, holding, client.now());
  await check(pending, read, signer.did, holding, client.now());
  const { consent, withdrawal } = pending.body;
  const apply = (found: Holding): Holding => {
    let after = withDocument(found, "receipts", document);
    if (consent !== undefined) after = standing(after, text((consent as JsonObject).id, "id"), "living");
    if (withdrawal !== undefined) {
      const how = pending.path === NARROWINGS ? "superseded" : "withdrawn";
      after = standing(after, withdrawn(withdrawal as JsonObject).id, how);
    }
    return { ...after, pending: after.pending.filter((one) => !samePending(one, pending)) };
  };
  return { receipt: read, apply };
}

/** The holding without an answer that was turned down, and without the consent in it. */
export function dropped(holding: Holding, pending: Pending): Holding {
  const gone = (pending.body.consent as JsonObject | undefined)?.id;
  return {
    ...holding,
    pending: holding.pending.filter((one) => !samePending(one, pending)),
    consents: holding.consents.filter((one) => !(consentId(one) === gone && one.standing === "sent")),
  };
}

/** Ask the public status list whether others see the same; CoreError `status_mismatch`. */
export async function confirm(client: Client, holding: Holding, pending: Pending): Promise<void> {
  const expected = new Map<string, boolean>();
  const { consent, withdrawal } = pending.body;
  if (consent !== undefined) expected.set(text((consent as JsonObject).id, "id"), false);
  if (withdrawal !== undefined) expected.set(withdrawn(withdrawal as JsonObject).id, true);
  for (const held of holding.consents) {
    const wanted = expected.get(consentId(held));
    if (wanted === undefined) continue;
    const entry = object(held.document.credentialStatus, "credentialStatus");
    if ((await revoked(client, holding, entry, client.now())) !== wanted) {
      throw new CoreError("status_mismatch", "the public status list says otherwise than the receipt");
    }
  }
}

/** The same answer is the same document, by its id. */
export const samePending = (one: Pending, other: Pending): boolean =>
  one.path === other.path && key(one) === key(other);

const key = (pending: Pending): string =>
  Object.values(pending.body)
    .map((document) => String((document as JsonObject).id))
    .join();

async function check(pending: Pending, read: Receipt, did: string, holding: Holding, now: Date): Promise<void> {
  const refuse = (detail: string) => new CoreError("receipt_mismatch", detail);
  const { consent, withdrawal, refusal } = pending.body as Record<string, JsonObject | undefined>;
  const event: Record<string, string> = {
    [CONSENTS]: "given",
    [NARROWINGS]: "narrowed",
    [WITHDRAWALS]: "withdrawn",
    [REFUSALS]: "refused",
  };
  if (read.event !== event[pending.path]) throw refuse("the receipt is not about what was signed");
  if (refusal !== undefined) {
    const claim = object(refusal.credentialSubject, "credentialSubject");
    const asked = object(object(claim.refusesConsent, "refusesConsent").ask, "ask");
    if (read.ask?.digest !== asked.digestMultibase) throw refuse("the receipt is about another ask");
    return;
  }
  const old = withdrawal === undefined ? null : withdrawn(withdrawal);
  if (consent !== undefined) {
    const own = await verify.consent(consent, did, holding, now);
    if (read.consent?.digest !== (await digest(consent))) throw refuse("the receipt is about another consent");
    if (!sameProcesses(read.processes, own.processes)) throw refuse("the receipt says that more or less was agreed");
    if (old !== null && read.supersedes?.digest !== old.digest) throw refuse("it does not name the consent given up");
  } else if (read.consent?.digest !== old?.digest) {
    throw refuse("the receipt is about another consent");
  }
  if (old !== null && read.shutAt === null) throw refuse("the receipt does not say when reading had ended");
}

/** Which consent a withdrawal ends. */
function withdrawn(withdrawal: JsonObject): { id: string; digest: string } {
  const claim = object(object(withdrawal.credentialSubject, "credentialSubject").withdrawsConsent, "withdrawsConsent");
  const consent = object(claim.consent, "consent");
  return { id: text(consent.id, "id"), digest: text(consent.digestMultibase, "digestMultibase") };
}
