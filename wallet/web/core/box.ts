/**
 * libsodium's sealed boxes: X25519 (the browser's own), HSalsa20, XSalsa20-Poly1305 and BLAKE2b for the nonce, which no
 * browser has. A box is opened at its reader and sealed for one reader with a key that is used once, so nobody measures
 * how long it takes: the arithmetic is plain, not constant in time. Checked against PyNaCl in tests/web.
 */

import { type Bytes, CoreError, concat, same } from "./bytes";

const KEY = 32;
const TAG = 16;
const SIGMA = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);

/** What a sealed box to this receiver holds. CoreError `bad_box`. */
export async function open(receiver: { readonly key: CryptoKey; readonly public: Bytes }, box: Bytes): Promise<Bytes> {
  const refuse = () => new CoreError("bad_box", "this was sealed for somebody else, or changed");
  if (box.length < KEY + TAG) throw refuse();
  const sender = box.slice(0, KEY);
  const { subkey, nonce } = await agreed(receiver.key, sender, sender, receiver.public);
  const sealed = box.slice(KEY + TAG);
  const stream = salsa20(subkey, nonce, KEY + sealed.length);
  if (!same(poly1305(stream.slice(0, KEY), sealed), box.slice(KEY, KEY + TAG))) throw refuse();
  return xor(sealed, stream);
}

/** A sealed box to an X25519 key of 32 bytes. */
export async function seal(reader: Bytes, plain: Bytes): Promise<Bytes> {
  const pair = (await crypto.subtle.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair;
  const own = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const { subkey, nonce } = await agreed(pair.privateKey, reader, own, reader);
  const stream = salsa20(subkey, nonce, KEY + plain.length);
  const sealed = xor(plain, stream);
  return concat(own, poly1305(stream.slice(0, KEY), sealed), sealed);
}

/** The stream's key and nonce for what `sender` seals to `reader`, of whom we have one half and know the other. */
async function agreed(mine: CryptoKey, theirs: Bytes, sender: Bytes, reader: Bytes) {
  let shared: Bytes;
  try {
    const other = await crypto.subtle.importKey("raw", theirs, "X25519", false, []);
    shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: other }, mine, 256));
  } catch {
    throw new CoreError("bad_box", "this is sealed with no key that counts"); // a point of small order, for one
  }
  const nonce = blake2b(concat(sender, reader), 24);
  const first = hsalsa20(words(shared), new Uint32Array(4));
  return { subkey: hsalsa20(first, words(nonce.slice(0, 16))), nonce: words(nonce.slice(16)) };
}

const words = (data: Bytes): Uint32Array => {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return Uint32Array.from({ length: data.length / 4 }, (_, at) => view.getUint32(at * 4, true));
};

/** The plain text or the sealed one: what comes behind the first 32 bytes of the stream. */
function xor(data: Bytes, stream: Bytes): Bytes {
  const found = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at += 1) found[at] = (data[at] as number) ^ (stream[KEY + at] as number);
  return found;
}

/** Places among sixteen words, each a hexadecimal digit. */
const places = (digits: string): number[] => [...digits].map((one) => Number.parseInt(one, 16));

type Quarter = readonly [number, number, number, number];

function quarters(digits: string): readonly Quarter[] {
  return digits.split(" ").map((one) => places(one) as unknown as Quarter);
}

// ── Salsa20 (D. J. Bernstein, "The Salsa20 family of stream ciphers"; "Extending the Salsa20 nonce") ──

/** The sixteen words of a block's beginning: key and what makes the block this one. */
function begin(key: Uint32Array, told: Uint32Array): Uint32Array {
  const state = new Uint32Array(16);
  state.set(key.subarray(0, 4), 1);
  state.set(told, 6);
  state.set(key.subarray(4), 11);
  for (let at = 0; at < 4; at += 1) state[at * 5] = SIGMA[at] as number;
  return state;
}

/** The quarters of a double round: four columns, then four rows. */
const QUARTERS = quarters("048c 59d1 ae26 f37b 0123 5674 ab89 fcde");

function rounds(state: Uint32Array): Uint32Array {
  const x = state.slice();
  const step = (to: number, one: number, other: number, by: number) => {
    const sum = ((x[one] as number) + (x[other] as number)) | 0;
    x[to] = (x[to] as number) ^ ((sum << by) | (sum >>> (32 - by)));
  };
  for (let round = 0; round < 10; round += 1) {
    for (const [a, b, c, d] of QUARTERS) {
      step(b, a, d, 7);
      step(c, b, a, 9);
      step(d, c, b, 13);
      step(a, d, c, 18);
    }
  }
  return x;
}

function hsalsa20(key: Uint32Array, told: Uint32Array): Uint32Array {
  const x = rounds(begin(key, told));
  return Uint32Array.of(...[0, 5, 10, 15, 6, 7, 8, 9].map((at) => x[at] as number));
}

/** `length` bytes of the stream under a key of 8 words and a nonce of 2. */
function salsa20(key: Uint32Array, nonce: Uint32Array, length: number): Bytes {
  const stream = new Uint8Array(Math.ceil(length / 64) * 64);
  const view = new DataView(stream.buffer);
  for (let block = 0; block * 64 < length; block += 1) {
    const state = begin(key, Uint32Array.of(...nonce, block, 0));
    const x = rounds(state);
    for (let at = 0; at < 16; at += 1) {
      view.setUint32(block * 64 + at * 4, (x[at] as number) + (state[at] as number), true);
    }
  }
  return stream.slice(0, length);
}

// ── Poly1305 (RFC 8439, section 2.5) ──

const PRIME = (1n << 130n) - 5n;
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

function little(data: Uint8Array): bigint {
  let hex = "";
  for (let at = data.length - 1; at >= 0; at -= 1) hex += (data[at] as number).toString(16).padStart(2, "0");
  return BigInt(`0x${hex || "0"}`);
}

function poly1305(key: Bytes, data: Bytes): Bytes {
  const r = little(key.slice(0, 16)) & CLAMP;
  let sum = 0n;
  for (let at = 0; at < data.length; at += 16) {
    const part = data.subarray(at, at + 16);
    sum = ((sum + little(part) + (1n << BigInt(part.length * 8))) * r) % PRIME;
  }
  return bytesOf((sum + little(key.slice(16, 32))) & ((1n << 128n) - 1n), 16);
}

const bytesOf = (value: bigint, length: number): Bytes =>
  Uint8Array.from({ length }, (_, at) => Number((value >> BigInt(at * 8)) & 0xffn));

// ── BLAKE2b (RFC 7693), without a key, for what fits one block ──

const MASK = (1n << 64n) - 1n;
const IV = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
];
const ORDER = [
  "0123456789abcdef",
  "ea489fd61c02b753",
  "b8c052fdae367194",
  "7931dcbe265a40f8",
  "905724afe1bc683d",
  "2c6a0b834d75fe19",
  "c51fed4a0763928b",
  "db7ec13950f4862a",
  "6fe9b308c2d714a5",
  "a2847615fb9e3cd0",
];

/** Four columns, then four diagonals. */
const MIXED = quarters("048c 159d 26ae 37bf 05af 16bc 278d 349e");

export function blake2b(data: Bytes, length: number): Bytes {
  if (data.length > 128) throw new RangeError("more than one block");
  const block = concat(data, new Uint8Array(128 - data.length));
  const m = Array.from({ length: 16 }, (_, at) => little(block.slice(at * 8, at * 8 + 8)));
  const h = IV.map((one, at) => (at === 0 ? one ^ 0x01010000n ^ BigInt(length) : one));
  const v = [...h, ...IV];
  v[12] = (v[12] as bigint) ^ BigInt(data.length);
  v[14] = (v[14] as bigint) ^ MASK;
  const turned = (value: bigint, by: bigint) => ((value >> by) | (value << (64n - by))) & MASK;
  const mix = (a: number, b: number, c: number, d: number, x: bigint, y: bigint) => {
    const [A, B, C, D] = [v[a], v[b], v[c], v[d]] as [bigint, bigint, bigint, bigint];
    const a1 = (A + B + x) & MASK;
    const d1 = turned(D ^ a1, 32n);
    const c1 = (C + d1) & MASK;
    const b1 = turned(B ^ c1, 24n);
    v[a] = (a1 + b1 + y) & MASK;
    v[d] = turned(d1 ^ (v[a] as bigint), 16n);
    v[c] = (c1 + (v[d] as bigint)) & MASK;
    v[b] = turned(b1 ^ (v[c] as bigint), 63n);
  };
  for (let round = 0; round < 12; round += 1) {
    const s = places(ORDER[round % 10] as string).map((one) => m[one] as bigint);
    MIXED.forEach(([a, b, c, d], at) => {
      mix(a, b, c, d, s[at * 2] as bigint, s[at * 2 + 1] as bigint);
    });
  }
  return concat(...h.map((one, at) => bytesOf(one ^ (v[at] as bigint) ^ (v[at + 8] as bigint), 8))).slice(0, length);
}
