/** The owner's decisions: what is asked, and the answers. Each is saved before it is sent, and when this returns. */

import { CoreError } from "./bytes";
import { type Ask, give, refuse as refused, type Ticked, withdraw as withdrawn } from "./consent";
import * as holdings from "./holding";
import { at, documentIn, type Pending } from "./holding";
import type { JsonObject } from "./jcs";
import type { Offer, Rejected } from "./offer";
import * as offers from "./offer";
import * as settle from "./settle";
import type { Consent, Receipt } from "./verify";
import * as verify from "./verify";
import { freshId, type Wallet } from "./wallet";

/** The open asks of every organisation that answers; those that do not are named. */
export async function asks(wallet: Wallet): Promise<{ offers: Offer[]; rejected: Rejected[]; silent: string[] }> {
  const found = { offers: [] as Offer[], rejected: [] as Rejected[], silent: [] as string[] };
  for (const holding of wallet.organisations) {
    try {
      const { offers: fine, rejected } = await offers.open(wallet.client, holding, await wallet.signer(holding));
      found.offers.push(...fine);
      found.rejected.push(...rejected);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      found.silent.push(holding.controller);
    }
  }
  return found;
}

/**
 * One ask that a link led to, and how it stands; verified and ready to be answered when it is living. CoreError
 * `not_enrolled` for an organisation that this wallet does not know, `unknown_ask` for one made to somebody else.
 */
export async function found(
  wallet: Wallet,
  controller: string,
  id: string,
): Promise<{ standing: string; offer: Offer | null }> {
  const holding = wallet.organisations.find((one) => one.controller === controller);
  if (holding === undefined) throw new CoreError("not_enrolled", "this wallet knows no such organisation");
  const signer = await wallet.signer(holding);
  const url = at(holding, "FieldgrantIssuer", `/issuer/wallet/asks/${encodeURIComponent(id)}`);
  const reply = await wallet.client.call("GET", url, signer);
  const standing = typeof reply.standing === "string" ? reply.standing : "living";
  if (standing !== "living") return { standing, offer: null };
  const ask = await offers.verify(documentIn(reply, "ask"), holding, signer.did, wallet.client.now());
  if (ask.id !== id || ask.replaces !== null) throw new CoreError("foreign_ask", "this is another request");
  const notice = await offers.notice(wallet.client, holding, ask.notice);
  return { standing, offer: { controller, ask, notice } };
}

/** Consent to exactly what was ticked, until `until` or as long as was asked for. `backup_first` and many others. */
export async function consent(wallet: Wallet, offer: Offer, ticked: Ticked, until?: Date): Promise<Receipt> {
  if (wallet.content.backup === null) throw new CoreError("backup_first", "make a backup before the first consent");
  const holding = wallet.holding(offer.controller);
  const told = { id: freshId(), at: wallet.client.now(), ...(until === undefined ? {} : { until }) };
  const document = await give(offer.ask, ticked, await wallet.signer(holding), told);
  await wallet.with(holding.controller, (now) =>
    holdings.withConsent(now, { document, standing: "sent", notice: offer.notice }),
  );
  return settled(wallet, holding.controller, { path: settle.CONSENTS, body: { consent: document } });
}

/** Say no to an ask, on record. */
export async function refuse(wallet: Wallet, offer: Offer): Promise<Receipt> {
  const holding = wallet.holding(offer.controller);
  const told = { id: freshId(), at: wallet.client.now() };
  const document = await refused(offer.ask, await wallet.signer(holding), told);
  return settled(wallet, holding.controller, { path: settle.REFUSALS, body: { refusal: document } });
}

/** Give up part of a consent: what is `kept` goes on, nothing else does. CoreError as of `consent`, `foreign_ask`. */
export async function narrow(
  wallet: Wallet,
  controller: string,
  id: string,
  kept: Ticked,
  until?: Date,
): Promise<Receipt> {
  const holding = wallet.holding(controller);
  const signer = await wallet.signer(holding);
  const old = await given(wallet, controller, id);
  const url = at(holding, "FieldgrantIssuer", "/issuer/wallet/narrowings/offers");
  const reply = await wallet.client.call("POST", url, signer, { body: { consent: id } });
  const ask = await offers.verify(documentIn(reply, "ask"), holding, signer.did, wallet.client.now());
  if (ask.replaces !== id) throw new CoreError("foreign_ask", "the offer is for another consent", "replaces");
  const notice = await offers.notice(wallet.client, holding, ask.notice);
  const last = [old.validUntil, ask.latestUntil, until ?? ask.latestUntil].sort((one, two) => +one - +two)[0] as Date;
  const now = wallet.client.now();
  const document = await give(within(ask, old), kept, signer, { id: freshId(), at: now, until: last });
  const withdrawal = await withdrawn(old.document, controller, signer, { id: freshId(), at: now });
  await wallet.with(controller, (found) => holdings.withConsent(found, { document, standing: "sent", notice }));
  return settled(wallet, controller, { path: settle.NARROWINGS, body: { withdrawal, consent: document } });
}

/** End a consent; when this returns, no reading under it is under way any more. */
export async function withdraw(wallet: Wallet, controller: string, id: string): Promise<Receipt> {
  const holding = wallet.holding(controller);
  const old = await given(wallet, controller, id);
  const told = { id: freshId(), at: wallet.client.now() };
  const withdrawal = await withdrawn(old.document, controller, await wallet.signer(holding), told);
  return settled(wallet, controller, { path: settle.WITHDRAWALS, body: { withdrawal } });
}

/** Send again what the network swallowed; what was refused meanwhile is dropped, what still fails waits on. */
export async function resume(wallet: Wallet): Promise<void> {
  for (const holding of wallet.organisations) {
    for (const pending of holding.pending) {
      await settled(wallet, holding.controller, pending).catch((error) => {
        if (!(error instanceof CoreError)) throw error;
      });
    }
  }
}

/** A consent of the owner's, its signature checked anew. `unknown_consent`. */
export async function given(wallet: Wallet, controller: string, id: string): Promise<Consent> {
  const holding = wallet.holding(controller);
  const held = holding.consents.find((one) => holdings.consentId(one) === id);
  if (held === undefined) throw new CoreError("unknown_consent", "this wallet holds no such consent");
  return verify.consent(held.document, (await wallet.signer(holding)).did, holding, wallet.client.now());
}

async function settled(wallet: Wallet, controller: string, pending: Pending): Promise<Receipt> {
  // before it is sent: an answer that may have arrived is never forgotten
  await wallet.with(controller, (now) =>
    now.pending.some((one) => settle.samePending(one, pending)) ? now : { ...now, pending: [...now.pending, pending] },
  );
  const holding = wallet.holding(controller);
  try {
    const { receipt, apply } = await settle.send(wallet.client, holding, pending, await wallet.signer(holding));
    await wallet.with(controller, apply);
    await settle.confirm(wallet.client, wallet.holding(controller), pending);
    return receipt;
  } catch (error) {
    if (settle.decided(error)) await wallet.with(controller, (now) => settle.dropped(now, pending));
    throw error;
  }
}

/** The ask for narrowing, cut to what the old consent grants: nobody gets more by it than they had. */
function within(ask: Ask, old: Consent): Ask {
  const subject = (old.document.credentialSubject as JsonObject).hasConsent as JsonObject;
  return { ...ask, processes: subject.hasProcess as JsonObject[] };
}
