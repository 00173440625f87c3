/** What the organisation has on record, fetched and verified: consents, receipts, certificates, grounds, the history. */

import type { Client } from "./api";
import { CoreError } from "./bytes";
import type { Signer } from "./did";
import * as holdings from "./holding";
import { at, documentIn, type Holding, itemsIn, type PinnedLog } from "./holding";
import type { JsonObject } from "./jcs";
import type { Proved } from "./log";
import * as record from "./record";
import type { Certificate, Ground, Receipt } from "./verify";
import * as verify from "./verify";
import type { Wallet } from "./wallet";

/** Bring the wallet up to what the organisation holds of the owner's own signatures, and to its receipts. */
export async function refresh(wallet: Wallet, controller: string): Promise<void> {
  await consents(wallet, controller);
  await receipts(wallet, controller);
}

/** All receipts, those that came while the wallet was closed included, newest first. */
export async function receipts(wallet: Wallet, controller: string, online = true): Promise<Receipt[]> {
  const holding = wallet.holding(controller);
  const { did } = await wallet.signer(holding);
  const read = (one: JsonObject) => verify.receipt(one, did, holding, wallet.client.now());
  if (online) {
    const documents = await listed(wallet, holding, "FieldgrantIssuer", "/issuer/wallet/receipts", "receipts");
    const fresh = await Promise.all(documents.map(async (one) => ({ one, receipt: await read(one) })));
    await wallet.with(controller, (now) =>
      fresh.reduce((after, { one, receipt }) => {
        const ended = receipt.event === "withdrawn" || receipt.event === "revoked" ? receipt.event : null;
        const kept = holdings.withDocument(after, "receipts", one);
        return ended && receipt.consent ? holdings.standing(kept, receipt.consent.id, ended) : kept;
      }, now),
    );
  }
  const found = await Promise.all(wallet.holding(controller).receipts.map(read));
  return found.sort((one, other) => +other.at - +one.at);
}

/** What became of fields that lost their ground, signed; newest first. */
export async function certificates(wallet: Wallet, controller: string, online = true): Promise<Certificate[]> {
  const holding = wallet.holding(controller);
  const { did } = await wallet.signer(holding);
  const read = (one: JsonObject) => verify.certificate(one, did, holding, wallet.client.now());
  if (online) {
    const documents = await listed(wallet, holding, "FieldgrantRedaction", "/redaction/certificates", "certificates");
    await Promise.all(documents.map(read));
    await wallet.with(controller, (now) =>
      documents.reduce((after, one) => holdings.withDocument(after, "certificates", one), now),
    );
  }
  const found = await Promise.all(wallet.holding(controller).certificates.map(read));
  return found.sort((one, other) => +other.at - +one.at);
}

/** The statutory grounds that the organisation claims about the owner, with their standing. */
export const grounds = (wallet: Wallet, controller: string): Promise<Ground[]> =>
  about(wallet, controller, record.grounds);

/** What the organisation says became of fields, and who elsewhere was told. */
export const state = (wallet: Wallet, controller: string): Promise<record.State> =>
  about(wallet, controller, record.state);

/** One page of what happened, newest first. */
export const history = (wallet: Wallet, controller: string, before?: string, limit = 50): Promise<record.Page> =>
  about(wallet, controller, (client, holding, signer) => record.history(client, holding, signer, limit, before));

/** Pin the log's key, once: at enrolment, or for a wallet that came back from words when it is first needed. */
export async function pinLog(wallet: Wallet, controller: string): Promise<PinnedLog> {
  const known = wallet.holding(controller).log;
  if (known !== undefined) return known;
  const log = { key: await record.logKey(wallet.client, wallet.holding(controller)), size: 0, root: "" };
  await wallet.with(controller, (now) => ({ ...now, log }));
  return log;
}

/**
 * Prove that an event is in the organisation's log, under the pinned key. CoreError of `log.prove`, `not_in_log`, and
 * `log_changed` when the log has less in it than it had, or something else.
 */
export async function prove(wallet: Wallet, controller: string, event: string): Promise<Proved> {
  const pinned = await pinLog(wallet, controller);
  const found = await about(wallet, controller, (client, holding, signer) =>
    record.prove(client, holding, signer, event, pinned.key),
  );
  const seen = wallet.holding(controller).log ?? pinned;
  if (found.size < seen.size || (found.size === seen.size && found.root !== seen.root)) {
    throw new CoreError("log_changed", "the log is not the one that this wallet has seen");
  }
  const { size, root } = found;
  if (size > seen.size) await wallet.with(controller, (now) => ({ ...now, log: { key: pinned.key, size, root } }));
  return found;
}

/** Fetch the organisation's words for its fields and purposes. */
export async function catalogue(wallet: Wallet, controller: string): Promise<void> {
  const catalogue = await wallet.client.get(at(wallet.holding(controller), "FieldgrantIssuer", "/issuer/catalogue"));
  await wallet.with(controller, (now) => ({ ...now, catalogue }));
}

async function about<T>(
  wallet: Wallet,
  controller: string,
  ask: (client: Client, holding: Holding, signer: Signer) => Promise<T>,
): Promise<T> {
  const holding = wallet.holding(controller);
  return ask(wallet.client, holding, await wallet.signer(holding));
}

async function consents(wallet: Wallet, controller: string): Promise<void> {
  const holding = wallet.holding(controller);
  const { did } = await wallet.signer(holding);
  const url = at(holding, "FieldgrantIssuer", "/issuer/wallet/consents");
  const reply = await wallet.client.call("GET", url, await wallet.signer(holding));
  for (const item of itemsIn(reply, "consents")) {
    const document = documentIn(item, "consent");
    if (holding.consents.some((one) => one.document.id === document.id)) continue;
    await verify.consent(document, did, holding, wallet.client.now());
    const standing = (typeof item.standing === "string" ? item.standing : "living") as holdings.Standing;
    await wallet.with(controller, (now) => holdings.withConsent(now, { document, standing, notice: "" }));
  }
}

async function listed(
  wallet: Wallet,
  holding: Holding,
  service: string,
  path: string,
  name: string,
): Promise<JsonObject[]> {
  const reply = await wallet.client.call("GET", at(holding, service, path), await wallet.signer(holding));
  return itemsIn(reply, name).map((item) => documentIn(item, name.slice(0, -1)));
}
