/** Multibase base58btc (Multibase, `z`): how keys, signatures and digests are written. */

import { type Bytes, CoreError } from "./bytes";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/** Longer texts than any key, signature or digest has are refused: reading takes time by the square of the length. */
const MAX = 256;

/** `z` and the base58btc form. */
export function encode(data: Uint8Array): string {
  let number = 0n;
  for (const byte of data) number = number * 256n + BigInt(byte);
  let text = "";
  for (; number > 0n; number /= 58n) text = ALPHABET.charAt(Number(number % 58n)) + text;
  const zeros = data.findIndex((byte) => byte !== 0);
  return `z${"1".repeat(zeros < 0 ? data.length : zeros)}${text}`;
}

/** The bytes of such a text; CoreError `bad_multibase` when it is none, or not of `length` bytes. */
export function decode(text: string, length: number): Bytes {
  const refuse = () => new CoreError("bad_multibase", "not base58btc of the right length");
  if (!text.startsWith("z") || text.length > MAX) throw refuse();
  const digits = text.slice(1);
  let number = 0n;
  for (const digit of digits) {
    const value = ALPHABET.indexOf(digit);
    if (value < 0) throw refuse();
    number = number * 58n + BigInt(value);
  }
  const zeros = digits.match(/^1*/)?.[0].length ?? 0;
  const bytes: number[] = [];
  for (; number > 0n; number >>= 8n) bytes.unshift(Number(number & 255n));
  const whole = new Uint8Array(zeros + bytes.length);
  whole.set(bytes, zeros);
  if (whole.length !== length) throw refuse();
  return whole;
}
