/** Asks before the owner sees them: verified, meant for this wallet, with the words of the notice. */

import type { Client } from "./api";
import { CoreError, utf8 } from "./bytes";
import { type Ask, readAsk } from "./consent";
import * as credential from "./credential";
import { text } from "./credential";
import type { Signer } from "./did";
import { at, documentIn, domains, type Holding, itemsIn, keysOf } from "./holding";
import { digestOf, type JsonObject } from "./jcs";

const SKEW = 60_000;

/** An ask that may be answered. `notice` is the text whose digest the ask, and so the consent, carries. */
export interface Offer {
  readonly controller: string;
  readonly ask: Ask;
  readonly notice: string;
}

/** An ask that is not shown, because it is not what it should be. */
export interface Rejected {
  readonly controller: string;
  readonly id: string;
  readonly code: string;
}

/** All open asks of one organisation: those that can be answered, and those that are not fit to be shown. */
export async function open(
  client: Client,
  holding: Holding,
  signer: Signer,
): Promise<{ offers: Offer[]; rejected: Rejected[] }> {
  const reply = await client.call("GET", at(holding, "FieldgrantIssuer", "/issuer/wallet/asks"), signer);
  const offers: Offer[] = [];
  const rejected: Rejected[] = [];
  for (const item of itemsIn(reply, "asks")) {
    const document = documentIn(item, "ask");
    try {
      const ask = await verify(document, holding, signer.did, client.now());
      if (ask.replaces !== null) continue; // an offer to narrow; whoever asked for it answers it
      offers.push({ controller: holding.controller, ask, notice: await notice(client, holding, ask.notice) });
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      if (error.code === "unreachable") throw error;
      rejected.push({ controller: holding.controller, id: String(document.id).slice(0, 80), code: error.code });
    }
  }
  return { offers, rejected };
}

/** An ask that the pinned organisation signed, for this wallet, still open. CoreError `foreign_ask`, `wrong_domain` … */
export async function verify(document: JsonObject, holding: Holding, did: string, now: Date): Promise<Ask> {
  const found = await credential.verify(document, keysOf(holding), {
    type: "ConsentRequestCredential",
    issuer: holding.controller,
    at: new Date(now.getTime() + SKEW),
  });
  const ask = readAsk(found);
  if (ask.subjectDid !== did) throw new CoreError("foreign_ask", "the ask is meant for another wallet");
  if (!domains(holding).has(ask.domain)) throw new CoreError("wrong_domain", "the answer would be good elsewhere");
  if (ask.challenge.length < 16) throw new CoreError("wrong_challenge", "the challenge can be guessed");
  return ask;
}

/** The notice's text, exactly as the digest says; CoreError `notice_mismatch`. */
export async function notice(client: Client, holding: Holding, reference: JsonObject): Promise<string> {
  const id = text(reference.id, "hasNotice.id");
  if (!id.startsWith(`${holding.issuer}/`)) throw mismatch();
  const url = new URL(id);
  url.searchParams.set("lang", text(reference.language, "hasNotice.language"));
  const words = (await client.get(url.href)).text;
  if (typeof words !== "string") throw mismatch();
  if ((await digestOf(utf8(words))) !== reference.digestMultibase) throw mismatch();
  return words;
}

const mismatch = () => new CoreError("notice_mismatch", "the notice's words are not those that the ask names");
