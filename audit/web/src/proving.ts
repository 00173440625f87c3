// What is verified in this browser about one record: its way into the log, and the signatures of what it rests on.

import { CoreError, concat, fromBase64, sha256 } from "../../../wallet/web/core/bytes";
import { object, text } from "../../../wallet/web/core/credential";
import { Keys, list } from "../../../wallet/web/core/did";
import { digest, type Json, type JsonObject, jcs } from "../../../wallet/web/core/jcs";
import { included, prove } from "../../../wallet/web/core/log";
import { verify } from "../../../wallet/web/core/proof";
import { head } from "../core/growth";
import type { Exhibit, Item, Paper } from "./api";
import { kept, look, tie } from "./watch";

export const STEPS = ["head", "root", "leaf", "shown", "same"] as const;
export type Step = (typeof STEPS)[number];
export interface Outcome {
  readonly good: boolean;
  readonly code: string;
}
export type Outcomes = Readonly<Partial<Record<Step, Outcome>>>;

const GOOD: Outcome = { good: true, code: "" };
/** Check step by step; `told` hears of each, and the first that fails ends it. */
export async function proveRecord(found: Exhibit, told: (outcomes: Outcomes) => void): Promise<void> {
  let done: Outcomes = {};
  const say = (step: Step, outcome: Outcome) => {
    done = { ...done, [step]: outcome };
    told(done);
  };
  let at: Step = "head";
  try {
    if (kept.peek() === null) await look();
    const key = kept.peek()?.key;
    if (!key) throw new CoreError("no_key", "no key of the log is known");
    const signed = await head(found.checkpoint, key);
    say("head", GOOD);
    at = "root";
    const log = object(found.file.log, "log");
    const leaf = fromBase64(text(log.leaf, "leaf"));
    const proof = list(log.proof).map((one) => fromBase64(String(one)));
    const hash = await sha256(concat(Uint8Array.of(0), leaf));
    await included(hash, Number(log.index), signed.size, proof, fromBase64(signed.root));
    say("root", GOOD);
    at = "leaf";
    const reply = { file: found.file, checkpoint: found.checkpoint };
    const proved = await prove(reply, String(found.record.event), key);
    say("leaf", GOOD);
    at = "shown";
    if (!fits(found.record, proved.record, proved.index))
      throw new CoreError("foreign_event", "another record is shown");
    say("shown", GOOD);
    at = "same";
    await tie(signed);
    say("same", GOOD);
  } catch (error) {
    const code = (error as { code?: string }).code ?? "server";
    say(at, { good: false, code });
  }
}

/** Whether what is shown is what was proved. */
function fits(shown: Item, proved: JsonObject, index: number): boolean {
  const told = {
    id: shown.event,
    type: shown.type,
    time: shown.time,
    subject: shown.subject,
    header: shown.header,
    data: shown.data,
  };
  return index === shown.leaf && jcs(told as unknown as Json) === jcs(proved);
}

export type Signed = "good" | "bad" | "rdfc";

/** Whether every proof of a credential holds and it is the one that was named by its digest. */
export async function verifyPaper(paper: Paper, controller: JsonObject, time: string): Promise<Signed> {
  const proofs = list(paper.document.proof);
  if (proofs.some((one) => (one as JsonObject).cryptosuite === "eddsa-rdfc-2022")) return "rdfc";
  // a clock that is behind the organisation's makes no signature wrong
  const at = new Date(Math.max(Date.now(), Date.parse(time)));
  try {
    const verified = await verify(paper.document, new Keys([controller]), { at });
    const issuer = String(paper.document.issuer);
    const named = (await digest(paper.document)) === paper.digest;
    return named && verified.some((one) => one.did === issuer) ? "good" : "bad";
  } catch {
    return "bad";
  }
}
