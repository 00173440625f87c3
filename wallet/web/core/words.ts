/** Recovery words: BIP-39's 24 English words for a secret of 32 bytes, the last one with a checksum in it. */

import { wordlist } from "@scure/bip39/wordlists/english.js";
import { type Bytes, CoreError, sha256 } from "./bytes";

export const COUNT = 24;
const BITS = 11;

/** The words of a secret. */
export async function toWords(secret: Bytes): Promise<string[]> {
  const bits = [...secret, (await sha256(secret))[0] as number]
    .map((byte) => byte.toString(2).padStart(8, "0"))
    .join("");
  return Array.from({ length: COUNT }, (_, at) => word(Number.parseInt(bits.slice(at * BITS, (at + 1) * BITS), 2)));
}

/** The secret of its words, however they are spaced or written large. CoreError `bad_words`. */
export async function fromWords(text: string): Promise<Bytes> {
  const words =
    text
      .normalize("NFKD")
      .toLowerCase()
      .match(/[a-z]+/g) ?? [];
  if (words.length !== COUNT) throw new CoreError("bad_words", `there are ${COUNT} words`, "words");
  const places = words.map((one) => wordlist.indexOf(one));
  const wrong = places.indexOf(-1);
  if (wrong >= 0) throw new CoreError("bad_words", `word ${wrong + 1} is not one of the list`, "words");
  const bits = places.map((place) => place.toString(2).padStart(BITS, "0")).join("");
  const bytes = Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
  const secret = bytes.slice(0, 32);
  if ((await sha256(secret))[0] !== bytes[32]) {
    throw new CoreError("bad_words", "a word is wrong or in the wrong place", "words");
  }
  return secret;
}

const word = (place: number): string => wordlist[place] as string;
