// The log as this browser has seen it. Whatever head the server shows has to continue the one that was seen before; one
// that does not is kept beside it, for two signed heads that do not fit prove a fork to anybody.

import { effect, signal } from "@preact/signals";
import { Problem } from "../../../crm_core/web/ui/http";
import { CoreError } from "../../../wallet/web/core/bytes";
import { grew, type Head, head } from "../core/growth";
import * as api from "./api";
import { allowed } from "./audit";

const KEPT = "fieldgrant.audit.log";
const PAUSE = 30_000;
const TRIES = 4;

export type Fault = "log_forked" | "log_shorter" | "key" | "signature";

/** What this browser keeps of the log. `given`: the key came from whoever uses it, not from the server. */
interface Kept {
  readonly key: string;
  readonly given: boolean;
  readonly head: Head | null;
  readonly at: string;
  readonly fault: { readonly code: Fault; readonly now: string; readonly key: string; readonly at: string } | null;
}

export interface View {
  readonly state: "wait" | "good" | "bad" | "empty" | "unreachable";
  /** The head that was seen before this page was opened, and when. */
  readonly before: { readonly head: Head; readonly at: string } | null;
}

export const kept = signal<Kept | null>(read());
export const view = signal<View>({ state: "wait", before: null });

function read(): Kept | null {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "null") as Kept | null;
  } catch {
    return null;
  }
}

function keep(what: Kept): void {
  kept.value = what;
  localStorage.setItem(KEPT, JSON.stringify(what));
}

let turn: Promise<void> = Promise.resolve();

/** Look at the log now; one look at a time. Never throws: what came of it is in `view` and `kept`. */
export function look(): Promise<void> {
  turn = turn.then(once, once);
  return turn;
}

async function once(): Promise<void> {
  const before = kept.peek();
  const seen = before?.head ?? null;
  try {
    const told = await asked(seen);
    const key = before?.key ?? told.key;
    if (told.key !== key) return accuse("key", told.checkpoint, told.key);
    const now = await signed(told.checkpoint, key);
    if (now === null) return accuse("signature", told.checkpoint, told.key);
    if (seen) await grew(seen, now, told.consistency);
    if (before?.fault) return mark("bad");
    const last = view.peek().state === "wait" && seen && before ? { head: seen, at: before.at } : view.peek().before;
    keep({ key, given: before?.given ?? false, head: now, at: new Date().toISOString(), fault: null });
    view.value = { state: "good", before: last };
  } catch (error) {
    if (error instanceof CoreError)
      return accuse(error.code === "log_shorter" ? "log_shorter" : "log_forked", shown, "");
    mark(before?.fault ? "bad" : error instanceof Problem && error.code === "log_empty" ? "empty" : "unreachable");
  }
}

let shown = "";

/** The head of now, with the proof since then. A log that is shorter than it was shows its head without one. */
async function asked(since: Head | null): Promise<api.Growth> {
  try {
    const told = await api.growth(since?.size ?? null);
    shown = told.checkpoint;
    return told;
  } catch (error) {
    const code = error instanceof Problem ? error.code : "";
    if (code === "log_empty" && since) throw new CoreError("log_shorter", "the log is empty");
    if (code !== "log_shorter") throw error;
    shown = (await api.growth(null)).checkpoint;
    throw new CoreError("log_shorter", "the log is shorter");
  }
}

const signed = (note: string, key: string): Promise<Head | null> => head(note, key).catch(() => null);

function mark(state: View["state"]): void {
  view.value = { ...view.peek(), state };
}

/** Keep what was seen and what is shown now: the first pair that did not fit stays. */
function accuse(code: Fault, now: string, key: string): void {
  const before = kept.peek();
  if (before && !before.fault) keep({ ...before, fault: { code, now, key, at: new Date().toISOString() } });
  mark("bad");
}

/**
 * Check that another signed head is one of the same log. Throws CoreError `bad_note`, `log_forked`, `log_shorter`, and
 * then the log as a whole is doubted; `Problem` where the server does not answer.
 */
export async function tie(other: Head): Promise<void> {
  try {
    for (let tries = 0; tries < TRIES; tries += 1) {
      await look();
      const mine = kept.peek();
      if (!mine?.head || mine.fault)
        throw new CoreError(mine?.fault?.code ?? "log_forked", "the log is doubted already");
      const [old, now] = other.size <= mine.head.size ? [other, mine.head] : [mine.head, other];
      if (old.size === now.size) return await grew(old, now, []);
      const told = await api.growth(old.size);
      const shownNow = await head(told.checkpoint, mine.key);
      await grew(old, shownNow, told.consistency);
      if (shownNow.size === now.size) return await grew(shownNow, now, []);
    }
  } catch (error) {
    if (error instanceof CoreError) accuse(error.code === "log_shorter" ? "log_shorter" : "log_forked", other.note, "");
    throw error;
  }
  throw new Problem(0, "timeout", "the log grows too fast to be compared");
}

/** From now on only heads under this key count. CoreError `bad_vkey`. */
export async function use(key: string): Promise<void> {
  const text = key.trim();
  await head("", text).catch((error: unknown) => {
    if (error instanceof CoreError && error.code === "bad_vkey") throw error;
  });
  const before = kept.peek();
  const same = before?.key === text;
  keep({
    key: text,
    given: true,
    head: same ? before.head : null,
    at: before?.at ?? new Date().toISOString(),
    fault: same ? (before?.fault ?? null) : null,
  });
  await look();
}

/** Forget key, head and doubt: the next look is the first. */
export async function forget(): Promise<void> {
  localStorage.removeItem(KEPT);
  kept.value = null;
  view.value = { state: "wait", before: null };
  await look();
}

effect(() => {
  if (!allowed.value) return;
  void look();
  const timer = setInterval(() => !document.hidden && void look(), PAUSE);
  return () => clearInterval(timer);
});
