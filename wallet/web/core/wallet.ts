/** An open wallet: every verb of the owner, the same as in `wallet/wallet.py`. Each saves before it returns. */

import { type Client, Refused } from "./api";
import { CoreError, utf8 } from "./bytes";
import { type Ask, give, refuse, type Ticked, withdraw } from "./consent";
import { type Signer, serviceAt, webDid } from "./did";
import type { Enrolling } from "./enrol";
import * as enrol from "./enrol";
import * as holdings from "./holding";
import { at, type Backup, type Content, documentIn, fresh, type Holding, itemsIn, type Pending } from "./holding";
import type { JsonObject } from "./jcs";
import type { Keyring } from "./keystore";
import * as link from "./link";
import type { Proved } from "./log";
import type { Offer, Rejected } from "./offer";
import * as offers from "./offer";
import * as record from "./record";
import * as settle from "./settle";
import * as store from "./store";
import type { Certificate, Consent, Ground, Receipt } from "./verify";
import * as verify from "./verify";

export const freshId = (): string => `urn:uuid:${crypto.randomUUID()}`;

export class Wallet {
  readonly keyring: Keyring;
  readonly client: Client;
  #content: Content;
  #saving: Promise<void> = Promise.resolve();
  #changed: (content: Content) => void;

  constructor(keyring: Keyring, content: Content, client: Client, changed: (content: Content) => void = () => {}) {
    this.keyring = keyring;
    this.client = client;
    this.#content = content;
    this.#changed = changed;
  }

  get content(): Content {
    return this.#content;
  }

  /** Every organisation with which the enrolment is whole. */
  get organisations(): readonly Holding[] {
    return this.#content.organisations.filter((one) => one.enrolment !== null);
  }

  /** CoreError `not_enrolled`. */
  holding(controller: string): Holding {
    const found = this.#content.organisations.find((one) => one.controller === controller);
    if (found === undefined) throw new CoreError("not_enrolled", "this wallet knows no such organisation");
    return found;
  }

  signer = (holding: Holding): Promise<Signer> => this.keyring.signer(holding.controller);

  /** Change what the wallet holds, and have it on disk. */
  async change(how: (content: Content) => Content): Promise<void> {
    this.#content = how(this.#content);
    const box = async () => store.put({ content: await this.keyring.seal(utf8(JSON.stringify(this.#content))) });
    this.#saving = this.#saving.catch(() => undefined).then(box);
    await this.#saving;
    this.#changed(this.#content);
  }

  backedUp = (backup: Backup): Promise<void> => this.change((content) => ({ ...content, backup }));

  /** Open an invitation. CoreError `bad_link`, `document_mismatch`, `already_enrolled`, what is refused. */
  async begin(invitation: string): Promise<Enrolling> {
    const opened = link.read(invitation);
    const known = this.#content.organisations.find((one) => one.controller === opened.did);
    if (known?.enrolment === null) {
      const found = await enrol.recover(this.client, known, await this.signer(known)).catch(() => null);
      if (found !== null) await this.#keep(found);
    }
    if (this.organisations.some((one) => one.controller === opened.did)) {
      throw new CoreError("already_enrolled", "this wallet is enrolled with this organisation already");
    }
    return enrol.begin(this.client, opened);
  }

  /** Prove the DID and hand in the second code. */
  async complete(begun: Enrolling, code: string): Promise<Holding> {
    await this.#keep(begun.holding); // first: once the organisation knows the DID, it may not be forgotten
    const signer = await this.signer(begun.holding);
    const enrolled = await enrol.complete(this.client, begun, code, signer);
    await this.#keep(enrolled);
    await this.catalogue(enrolled.controller).catch(() => undefined);
    return enrolled;
  }

  /** Find an organisation again by its address alone, for a wallet that came back from words. `not_enrolled`. */
  async rejoin(address: string): Promise<Holding> {
    const issuer = address.trim().replace(/\/$/, "");
    const did = webDid(/^https?:/.test(issuer) ? issuer : `https://${issuer}`);
    const document = await link.fetched(this.client, did);
    const holding = fresh(did, serviceAt(document, "FieldgrantIssuer"), document);
    const found = await enrol.recover(this.client, holding, await this.signer(holding)).catch((error) => {
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) return null;
      throw error;
    });
    if (found === null) throw new CoreError("not_enrolled", "this organisation does not know this wallet");
    await this.#keep(found);
    await this.catalogue(did).catch(() => undefined);
    await this.refresh(did);
    return this.holding(did);
  }

  /** The open asks of every organisation that answers; those that do not are named. */
  async asks(): Promise<{ offers: Offer[]; rejected: Rejected[]; silent: string[] }> {
    const found = { offers: [] as Offer[], rejected: [] as Rejected[], silent: [] as string[] };
    for (const holding of this.organisations) {
      try {
        const { offers: fine, rejected } = await offers.open(this.client, holding, await this.signer(holding));
        found.offers.push(...fine);
        found.rejected.push(...rejected);
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
        found.silent.push(holding.controller);
      }
    }
    return found;
  }

  /** Consent to exactly what was ticked, until `until` or as long as was asked for. `backup_first` and many others. */
  async consent(offer: Offer, ticked: Ticked, until?: Date): Promise<Receipt> {
    if (this.#content.backup === null) throw new CoreError("backup_first", "make a backup before the first consent");
    const holding = this.holding(offer.controller);
    const told = { id: freshId(), at: this.client.now(), ...(until === undefined ? {} : { until }) };
    const document = await give(offer.ask, ticked, await this.signer(holding), told);
    await this.#with(holding.controller, (now) =>
      holdings.withConsent(now, { document, standing: "sent", notice: offer.notice }),
    );
    return this.#settle(holding.controller, { path: settle.CONSENTS, body: { consent: document } });
  }

  /** Say no to an ask, on record. */
  async refuse(offer: Offer): Promise<Receipt> {
    const holding = this.holding(offer.controller);
    const told = { id: freshId(), at: this.client.now() };
    const document = await refuse(offer.ask, await this.signer(holding), told);
    return this.#settle(holding.controller, { path: settle.REFUSALS, body: { refusal: document } });
  }

  /** Give up part of a consent: what is `kept` goes on, nothing else does. CoreError as of `consent`, `foreign_ask`. */
  async narrow(controller: string, id: string, kept: Ticked, until?: Date): Promise<Receipt> {
    const holding = this.holding(controller);
    const signer = await this.signer(holding);
    const old = await this.given(controller, id);
    const url = at(holding, "FieldgrantIssuer", "/issuer/wallet/narrowings/offers");
    const reply = await this.client.call("POST", url, signer, { body: { consent: id } });
    const ask = await offers.verify(documentIn(reply, "ask"), holding, signer.did, this.client.now());
    if (ask.replaces !== id) throw new CoreError("foreign_ask", "the offer is for another consent", "replaces");
    const notice = await offers.notice(this.client, holding, ask.notice);
    const last = [old.validUntil, ask.latestUntil, until ?? ask.latestUntil].sort((one, two) => +one - +two)[0] as Date;
    const now = this.client.now();
    const document = await give(within(ask, old), kept, signer, { id: freshId(), at: now, until: last });
    const withdrawal = await withdraw(old.document, controller, signer, { id: freshId(), at: now });
    await this.#with(controller, (found) => holdings.withConsent(found, { document, standing: "sent", notice }));
    return this.#settle(controller, { path: settle.NARROWINGS, body: { withdrawal, consent: document } });
  }

  /** End a consent; when this returns, no reading under it is under way any more. */
  async withdraw(controller: string, id: string): Promise<Receipt> {
    const holding = this.holding(controller);
    const old = await this.given(controller, id);
    const told = { id: freshId(), at: this.client.now() };
    const withdrawal = await withdraw(old.document, controller, await this.signer(holding), told);
    return this.#settle(controller, { path: settle.WITHDRAWALS, body: { withdrawal } });
  }

  /** Send again what the network swallowed; what was refused meanwhile is dropped, what still fails waits on. */
  async resume(): Promise<void> {
    for (const holding of this.organisations) {
      for (const pending of holding.pending) {
        await this.#settle(holding.controller, pending).catch((error) => {
          if (!(error instanceof CoreError)) throw error;
        });
      }
    }
  }

  /** Bring the wallet up to what the organisation holds of the owner's own signatures, and to its receipts. */
  async refresh(controller: string): Promise<void> {
    await this.#consents(controller);
    await this.receipts(controller);
  }

  /** A consent of the owner's, its signature checked anew. `unknown_consent`. */
  async given(controller: string, id: string): Promise<Consent> {
    const holding = this.holding(controller);
    const held = holding.consents.find((one) => holdings.consentId(one) === id);
    if (held === undefined) throw new CoreError("unknown_consent", "this wallet holds no such consent");
    return verify.consent(held.document, (await this.signer(holding)).did, holding, this.client.now());
  }

  /** All receipts, those that came while the wallet was closed included, newest first. */
  async receipts(controller: string, online = true): Promise<Receipt[]> {
    const holding = this.holding(controller);
    const { did } = await this.signer(holding);
    const read = (one: JsonObject) => verify.receipt(one, did, holding, this.client.now());
    if (online) {
      const documents = await this.#listed(holding, "FieldgrantIssuer", "/issuer/wallet/receipts", "receipts");
      const fresh = await Promise.all(documents.map(async (one) => ({ one, receipt: await read(one) })));
      await this.#with(controller, (now) =>
        fresh.reduce((after, { one, receipt }) => {
          const ended = receipt.event === "withdrawn" || receipt.event === "revoked" ? receipt.event : null;
          const kept = holdings.withDocument(after, "receipts", one);
          return ended && receipt.consent ? holdings.standing(kept, receipt.consent.id, ended) : kept;
        }, now),
      );
    }
    const found = await Promise.all(this.holding(controller).receipts.map(read));
    return found.sort((one, other) => +other.at - +one.at);
  }

  /** What became of fields that lost their ground, signed; newest first. */
  async certificates(controller: string, online = true): Promise<Certificate[]> {
    const holding = this.holding(controller);
    const { did } = await this.signer(holding);
    const read = (one: JsonObject) => verify.certificate(one, did, holding, this.client.now());
    if (online) {
      const documents = await this.#listed(holding, "FieldgrantRedaction", "/redaction/certificates", "certificates");
      await Promise.all(documents.map(read));
      await this.#with(controller, (now) =>
        documents.reduce((after, one) => holdings.withDocument(after, "certificates", one), now),
      );
    }
    const found = await Promise.all(this.holding(controller).certificates.map(read));
    return found.sort((one, other) => +other.at - +one.at);
  }

  /** The statutory grounds that the organisation claims about the owner, with their standing. */
  grounds = (controller: string): Promise<Ground[]> => this.#about(controller, record.grounds);

  /** What the organisation says became of fields, and who elsewhere was told. */
  state = (controller: string): Promise<record.State> => this.#about(controller, record.state);

  /** One page of what happened, newest first. */
  history = (controller: string, before?: string, limit = 50): Promise<record.Page> =>
    this.#about(controller, (client, holding, signer) => record.history(client, holding, signer, limit, before));

  /** Prove that an event is in the organisation's log; CoreError of `log.prove`, `not_in_log`. */
  prove = (controller: string, event: string): Promise<Proved> =>
    this.#about(controller, (client, holding, signer) => record.prove(client, holding, signer, event));

  /** Fetch the organisation's words for its fields and purposes. */
  async catalogue(controller: string): Promise<void> {
    const catalogue = await this.client.get(at(this.holding(controller), "FieldgrantIssuer", "/issuer/catalogue"));
    await this.#with(controller, (now) => ({ ...now, catalogue }));
  }

  async #about<T>(
    controller: string,
    ask: (client: Client, holding: Holding, signer: Signer) => Promise<T>,
  ): Promise<T> {
    const holding = this.holding(controller);
    return ask(this.client, holding, await this.signer(holding));
  }

  async #consents(controller: string): Promise<void> {
    const holding = this.holding(controller);
    const { did } = await this.signer(holding);
    const url = at(holding, "FieldgrantIssuer", "/issuer/wallet/consents");
    const reply = await this.client.call("GET", url, await this.signer(holding));
    for (const item of itemsIn(reply, "consents")) {
      const document = documentIn(item, "consent");
      if (holding.consents.some((one) => one.document.id === document.id)) continue;
      await verify.consent(document, did, holding, this.client.now());
      const standing = (typeof item.standing === "string" ? item.standing : "living") as holdings.Standing;
      await this.#with(controller, (now) => holdings.withConsent(now, { document, standing, notice: "" }));
    }
  }

  async #settle(controller: string, pending: Pending): Promise<Receipt> {
    // before it is sent: an answer that may have arrived is never forgotten
    await this.#with(controller, (now) =>
      now.pending.some((one) => settle.samePending(one, pending))
        ? now
        : { ...now, pending: [...now.pending, pending] },
    );
    const holding = this.holding(controller);
    try {
      const { receipt, apply } = await settle.send(this.client, holding, pending, await this.signer(holding));
      await this.#with(controller, apply);
      await settle.confirm(this.client, this.holding(controller), pending);
      return receipt;
    } catch (error) {
      if (settle.decided(error)) await this.#with(controller, (now) => settle.dropped(now, pending));
      throw error;
    }
  }

  async #listed(holding: Holding, service: string, path: string, name: string): Promise<JsonObject[]> {
    const reply = await this.client.call("GET", at(holding, service, path), await this.signer(holding));
    return itemsIn(reply, name).map((item) => documentIn(item, name.slice(0, -1)));
  }

  #keep(holding: Holding): Promise<void> {
    return this.change((content) => ({
      ...content,
      organisations: [...content.organisations.filter((one) => one.controller !== holding.controller), holding],
    }));
  }

  #with(controller: string, how: (holding: Holding) => Holding): Promise<void> {
    return this.change((content) => ({
      ...content,
      organisations: content.organisations.map((one) => (one.controller === controller ? how(one) : one)),
    }));
  }
}

/** The ask for narrowing, cut to what the old consent grants: nobody gets more by it than they had. */
function within(ask: Ask, old: Consent): Ask {
  const subject = (old.document.credentialSubject as JsonObject).hasConsent as JsonObject;
  return { ...ask, processes: subject.hasProcess as JsonObject[] };
}
