/**
 * An open wallet: the keys, what it holds, and how that changes on disk. The owner's verbs are beside it: `entering`,
 * `deciding`, `learning`, `requests`.
 */

import type { Client } from "./api";
import { CoreError, utf8 } from "./bytes";
import type { Signer } from "./did";
import type { Backup, Content, Holding } from "./holding";
import type { Keyring } from "./keystore";
import * as store from "./store";

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

  /** Add an organisation, or put it in the place of its older state. */
  keep(holding: Holding): Promise<void> {
    return this.change((content) => ({
      ...content,
      organisations: [...content.organisations.filter((one) => one.controller !== holding.controller), holding],
    }));
  }

  /** Change what is held of one organisation. */
  with(controller: string, how: (holding: Holding) => Holding): Promise<void> {
    return this.change((content) => ({
      ...content,
      organisations: content.organisations.map((one) => (one.controller === controller ? how(one) : one)),
    }));
  }
}
