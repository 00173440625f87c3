/** A record in the organisation's log, proved to the log's signed head (RFC 6962 hashes, C2SP notes and checkpoints). */

import { type Bytes, base64, CoreError, concat, fromBase64, same, sha256, utf8 } from "./bytes";
import { object, text } from "./credential";
import { list } from "./did";
import { canonical, type Json, type JsonObject } from "./jcs";

const MARK = "\u2014 ";

/** What the log proves: the record as it was written, its leaf, and the size of the log. */
export interface Proved {
  readonly record: JsonObject;
  readonly index: number;
  readonly size: number;
  /** The head that it was proved to, base64. */
  readonly root: string;
}

/**
 * Verify the answer of `/audit/proofs` against the verifier key that the wallet pinned. CoreError `bad_note`, `bad_leaf`, `foreign_event`,
 * `bad_inclusion_proof`.
 */
export async function prove(reply: JsonObject, event: string, vkey: string): Promise<Proved> {
  const head = checkpoint(await openNote(text(reply.checkpoint, "checkpoint"), vkey));
  const file = object(reply.file, "file");
  const record = object(file.record, "record");
  if (record.id !== event) throw new CoreError("foreign_event", "the log's record is about something else");
  const chain = object(file.chain, "chain");
  const tree = object(file.tree, "tree");
  const log = object(file.log, "log");
  const commitment = await sha256(concat(raw(file.salt), canonical(record)));
  const link = await sha256(concat(Uint8Array.of(2), eight(number(chain.sequence)), raw(chain.previous), commitment));
  const leaf = new TextDecoder().decode(raw(log.leaf));
  const root = raw(object(JSON.parse(leaf) as Json, "leaf").root);
  const told: JsonObject = { v: 1, type: record.type as Json, time: record.time as Json, root: base64(root) };
  if (new TextDecoder().decode(canonical(told)) !== leaf) throw new CoreError("bad_leaf", "leaf and record differ");
  await included(await leafHash(link), number(tree.place), number(tree.records), paths(tree.path), root);
  const index = number(log.index);
  await included(await leafHash(utf8(leaf)), index, head.size, paths(log.proof), head.root);
  return { record, index, size: head.size, root: base64(head.root) };
}

/** Check that `leaf` is number `index` of a tree of `size` (RFC 9162, section 2.1.3.2). */
export async function included(leaf: Bytes, index: number, size: number, proof: Bytes[], root: Bytes): Promise<void> {
  const refuse = () => new CoreError("bad_inclusion_proof", "the leaf is not in the tree as the proof says");
  if (!(index >= 0 && index < size) || proof.some((one) => one.length !== 32)) throw refuse();
  let at = BigInt(index);
  let last = BigInt(size) - 1n;
  let found = leaf;
  for (const sibling of proof) {
    if (last === 0n) throw refuse();
    if (at % 2n === 1n || at === last) {
      found = await nodeHash(sibling, found);
      while (at % 2n === 0n && at !== 0n) {
        at >>= 1n;
        last >>= 1n;
      }
    } else {
      found = await nodeHash(found, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n || !same(found, root)) throw refuse();
}

/** The text of a note that the key signed. CoreError `bad_vkey`, `bad_note`. */
export async function openNote(note: string, vkey: string): Promise<string> {
  const [name = "", hash = "", encoded = ""] = [...split(vkey.trim())];
  const key = base64ed(encoded, "bad_vkey");
  if (key.length !== 33 || key[0] !== 1) throw new CoreError("bad_vkey", "not an Ed25519 verifier key");
  const id = (await sha256(concat(utf8(`${name}\n`), key))).slice(0, 4);
  const hex = [...id].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== hash) throw new CoreError("bad_vkey", "the verifier key's hash does not fit it");
  const end = note.lastIndexOf("\n\n");
  if (end < 0 || !note.endsWith("\n")) throw new CoreError("bad_note", "the note has no signatures");
  const signed = note.slice(0, end + 1);
  const imported = await crypto.subtle.importKey("raw", key.slice(1), "Ed25519", false, ["verify"]);
  for (const line of note.slice(end + 2, -1).split("\n")) {
    if (!line.startsWith(`${MARK}${name} `)) continue;
    const blob = base64ed(line.slice(MARK.length + name.length + 1), "bad_note");
    if (!same(blob.slice(0, 4), id)) continue;
    if (await crypto.subtle.verify("Ed25519", imported, blob.slice(4), utf8(signed))) return signed;
  }
  throw new CoreError("bad_note", "the note is not signed by the key expected");
}

function checkpoint(note: string): { size: number; root: Bytes } {
  const [origin, size = "", root = ""] = note.split("\n");
  const bytes = base64ed(root, "bad_checkpoint");
  if (!origin || !/^(0|[1-9]\d{0,14})$/.test(size) || bytes.length !== 32) {
    throw new CoreError("bad_checkpoint", "a checkpoint has an origin, a size and a root");
  }
  return { size: Number(size), root: bytes };
}

/** `name+hash+base64`: base64 may hold a plus itself. */
function split(vkey: string): string[] {
  const [name = "", hash = "", ...rest] = vkey.split("+");
  return [name, hash, rest.join("+")];
}

function base64ed(value: string, code: string): Bytes {
  try {
    return fromBase64(value);
  } catch {
    throw new CoreError(code, "not base64");
  }
}

const raw = (value: Json | undefined): Bytes => base64ed(text(value, "proof"), "bad_leaf");
const paths = (value: Json | undefined): Bytes[] => list(value).map(raw);
const leafHash = (data: Bytes): Promise<Bytes> => sha256(concat(Uint8Array.of(0), data));
const nodeHash = (left: Bytes, right: Bytes): Promise<Bytes> => sha256(concat(Uint8Array.of(1), left, right));

function number(value: Json | undefined): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new CoreError("bad_leaf", "a member of the proof is wrong");
  }
  return value;
}

function eight(value: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
