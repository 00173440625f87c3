/** That a log only grew: its signed heads (C2SP tlog-checkpoint), and the proof between two of them (RFC 9162, 2.1.4). */

import { type Bytes, CoreError, concat, fromBase64, same, sha256 } from "../../../wallet/web/core/bytes";
import { openNote } from "../../../wallet/web/core/log";

/** A head of the log, as its signed note says it. `root` is base64. */
export interface Head {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly note: string;
}

/** The head in a note that the key signed. CoreError `bad_vkey`, `bad_note`, `bad_checkpoint`. */
export async function head(note: string, vkey: string): Promise<Head> {
  const [origin = "", size = "", root = ""] = (await openNote(note, vkey)).split("\n");
  const sized = /^[1-9]\d{0,14}$/.test(size);
  if (!sized || origin !== vkey.split("+")[0] || hash(root).length !== 32) {
    throw new CoreError("bad_checkpoint", "not a head of this log");
  }
  return { origin, size: Number(size), root, note };
}

/**
 * Check that the log of the first head is the beginning of that of the second. CoreError `log_shorter`, `log_forked`.
 */
export async function grew(old: Head, now: Head, proof: readonly string[]): Promise<void> {
  const forked = () => new CoreError("log_forked", "what was seen before is not the beginning of this log");
  if (old.origin !== now.origin) throw forked();
  if (now.size < old.size) throw new CoreError("log_shorter", "the log is shorter than the one that was seen before");
  if (now.size === old.size) {
    if (now.root !== old.root) throw forked();
    return;
  }
  const path = proof.map(hash);
  if (path.length > 64 || path.some((one) => one.length !== 32)) throw forked();
  const whole = powerOfTwo(old.size);
  const nodes = whole ? [hash(old.root), ...path] : path;
  const [first, ...rest] = nodes;
  if (first === undefined) throw forked();
  let at = BigInt(old.size) - 1n;
  let last = BigInt(now.size) - 1n;
  while (at % 2n === 1n) {
    at >>= 1n;
    last >>= 1n;
  }
  let before = first;
  let after = first;
  for (const sibling of rest) {
    if (last === 0n) throw forked();
    if (at % 2n === 1n || at === last) {
      before = await node(sibling, before);
      after = await node(sibling, after);
      while (at % 2n === 0n && at !== 0n) {
        at >>= 1n;
        last >>= 1n;
      }
    } else {
      after = await node(after, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n || !same(before, hash(old.root)) || !same(after, hash(now.root))) throw forked();
}

/** SHA-256 of the log's public key, in groups of four: short enough to be read out over the telephone. */
export async function fingerprint(vkey: string): Promise<string> {
  const key = hash(vkey.trim().split("+").slice(2).join("+"));
  const hex = [...(await sha256(key.slice(1)))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.match(/.{4}/g)?.join(" ") ?? hex;
}

const powerOfTwo = (size: number): boolean => (BigInt(size) & (BigInt(size) - 1n)) === 0n;

const node = (left: Bytes, right: Bytes): Promise<Bytes> => sha256(concat(Uint8Array.of(1), left, right));

function hash(text: string): Bytes {
  try {
    return fromBase64(text);
  } catch {
    throw new CoreError("bad_checkpoint", "not base64");
  }
}
