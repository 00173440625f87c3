/** Recovery words: BIP-39's 24 English words for a secret of 32 bytes, the last one with a checksum in it. */

import { type Bytes, CoreError, sha256, utf8 } from "./bytes";

export const COUNT = 24;
const BITS = 11;
/** The list is fetched when it is wanted: few people ever do, and it would be a sixth of the page. */
const LIST = "/words.txt";
/** SHA-256 of BIP-39's english.txt: words out of another list would bring nothing back. */
const DIGEST = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";

/** The words of a secret. CoreError `no_words` when the list cannot be had. */
export async function toWords(secret: Bytes): Promise<string[]> {
  const list = await wordList();
  const bits = [...secret, (await sha256(secret))[0] as number]
    .map((byte) => byte.toString(2).padStart(8, "0"))
    .join("");
  return Array.from(
    { length: COUNT },
    (_, at) => list[Number.parseInt(bits.slice(at * BITS, (at + 1) * BITS), 2)] as string,
  );
}

/** The secret of its words, however they are spaced or written large. CoreError `bad_words`, `no_words`. */
export async function fromWords(text: string): Promise<Bytes> {
  const list = await wordList();
  const words =
    text
      .normalize("NFKD")
      .toLowerCase()
      .match(/[a-z]+/g) ?? [];
  if (words.length !== COUNT) throw new CoreError("bad_words", `there are ${COUNT} words`, "words");
  const places = words.map((one) => list.indexOf(one));
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

async function wordList(): Promise<readonly string[]> {
  const text = await fetch(LIST).then(
    (answer) => answer.text(),
    () => "",
  );
  const digest = [...(await sha256(utf8(text)))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (digest !== DIGEST) throw new CoreError("no_words", "the list of words cannot be had");
  return text.trimEnd().split("\n");
}
