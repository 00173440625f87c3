/** What the page knows: whether the wallet is open, what it holds, what is asked. Everything personal is in memory. */

import { computed, effect, signal } from "@preact/signals";
import { Client } from "../core/api";
import { CoreError } from "../core/bytes";
import * as deciding from "../core/deciding";
import type { Content } from "../core/holding";
import * as learning from "../core/learning";
import { type AskLink, readAsk } from "../core/link";
import type { Offer, Rejected } from "../core/offer";
import * as session from "../core/session";
import * as store from "../core/store";
import { Wallet } from "../core/wallet";
import { screen, to } from "./route";

export type Phase = "looking" | "new" | "locked" | "open" | "elsewhere" | "broken";

export const phase = signal<Phase>("looking");
export const wallet = signal<Wallet | null>(null);
export const content = signal<Content | null>(null);
/** When somebody tried wrong passphrases since the wallet was open last. */
export const tries = signal<readonly string[]>([]);
export const offers = signal<readonly Offer[] | null>(null);
export const rejected = signal<readonly Rejected[]>([]);
/** Organisations that did not answer just now. */
export const silent = signal<readonly string[]>([]);
/** The ask that is looked at. */
export const chosen = signal<Offer | null>(null);
/** An invitation that came with the address; kept here until the wallet is open, and nowhere else. */
export const invitation = signal("");
/** A link to one ask that came the same way. */
export const asked = signal<AskLink | null>(null);

export const organisations = computed(() => content.value?.organisations.filter((one) => one.enrolment !== null) ?? []);

let release: () => void = () => {};

/** Take an invitation or a link to an ask out of the address: they name things, and do not stay in the history. */
function invited(): void {
  const ask = readAsk(location.hash);
  if (ask !== null) {
    asked.value = ask;
    chosen.value = null;
    history.replaceState(null, "", to("ask"));
    screen.value = "ask";
    return;
  }
  if (!/^#(fieldgrant(:|%3A)|enrol\?)/i.test(location.hash)) return;
  invitation.value = /^#fieldgrant%3A/i.test(location.hash) ? decodeURIComponent(location.hash) : location.hash;
  history.replaceState(null, "", to("enrol"));
  screen.value = "enrol";
}

addEventListener("hashchange", invited);

/** Find out whether there is a wallet, and whether another window has it. */
export async function look(): Promise<void> {
  invited();
  try {
    if (!(await alone())) phase.value = "elsewhere";
    else phase.value = (await session.exists()) ? "locked" : "new";
  } catch {
    phase.value = "broken";
  }
}

/** Take a wallet that was just made, opened or brought back. */
export function opened(found: session.Opened): void {
  const client = new Client();
  const made: Wallet = new Wallet(found.keyring, found.content, client, (changed) => {
    if (wallet.value === made) content.value = changed; // what ends after the lock stays behind it
  });
  wallet.value = made;
  content.value = found.content;
  tries.value = found.tries;
  phase.value = "open";
  void navigator.storage?.persist?.(); // so that the browser does not clear it when it needs room
  void catchUp(made);
}

/** Send what waits, ask what is asked, and learn what happened while the wallet was closed. */
async function catchUp(open: Wallet): Promise<void> {
  await deciding.resume(open).catch(() => undefined);
  for (const { controller, catalogue } of open.organisations) {
    if (catalogue === null) await learning.catalogue(open, controller).catch(() => undefined); // what is asked has names
  }
  await fetchAsks();
  for (const { controller } of open.organisations) {
    if (wallet.value !== open) return;
    await learning.refresh(open, controller).catch(() => undefined);
    await learning.catalogue(open, controller).catch(() => undefined);
  }
}

/** The open wallet, for acts that need one. CoreError `locked` when it was locked meanwhile. */
export function unlocked(): Wallet {
  if (wallet.value === null) throw new CoreError("locked", "the wallet is locked");
  return wallet.value;
}

/** Forget the keys; what is on disk stays sealed. */
export function lock(): void {
  wallet.value = null;
  content.value = null;
  offers.value = null;
  chosen.value = null;
  asked.value = null;
  tries.value = [];
  phase.value = "locked";
}

/** Erase the wallet of this browser. */
export async function erase(): Promise<void> {
  lock();
  await store.erase();
  phase.value = "new";
}

/** Ask every organisation what it asks. */
export async function fetchAsks(): Promise<void> {
  const open = wallet.value;
  if (open === null) return;
  const found = await deciding.asks(open);
  if (wallet.value !== open) return;
  offers.value = found.offers;
  rejected.value = found.rejected;
  silent.value = found.silent;
}

/** Two windows would write over each other: the first keeps a lock for as long as it lives. */
async function alone(): Promise<boolean> {
  for (let tries = 0; tries < 4; tries += 1) {
    if (await claim()) return true;
    await new Promise((later) => setTimeout(later, 250)); // a page that is being loaded anew has just let go
  }
  return false;
}

function claim(): Promise<boolean> {
  return new Promise((done) => {
    void navigator.locks.request("fieldgrant-wallet", { ifAvailable: true }, (held) => {
      done(held !== null);
      if (held === null) return null;
      return new Promise<void>((ended) => {
        release = ended;
      });
    });
  });
}

addEventListener("pagehide", () => release());
addEventListener("pageshow", (event: PageTransitionEvent) => {
  if (event.persisted) location.reload();
});

// ── the wallet locks itself ──

let touched = Date.now();
for (const name of ["pointerdown", "keydown"]) addEventListener(name, () => (touched = Date.now()), { passive: true });

effect(() => {
  const minutes = content.value?.lockAfter;
  if (phase.value !== "open" || minutes === undefined) return;
  touched = Date.now();
  const timer = setInterval(() => {
    if (Date.now() - touched > minutes * 60_000) lock();
  }, 5_000);
  return () => clearInterval(timer);
});
