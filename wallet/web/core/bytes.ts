/** Bytes and the texts that stand for them. */

const encoder = new TextEncoder();

export type Bytes = Uint8Array<ArrayBuffer>;

export const utf8 = (text: string): Bytes => encoder.encode(text);

export function concat(...parts: Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

export const sha256 = async (data: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", data));

export function base64(data: Uint8Array): string {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export const base64url = (data: Uint8Array): string =>
  base64(data).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

/** Throws CoreError `bad_base64`. */
export function fromBase64url(text: string): Bytes {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new CoreError("bad_base64", "not base64url");
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

/** What cannot be believed or read, by a stable code, as EvidenceError has it on the other side. */
export class CoreError extends Error {
  constructor(
    readonly code: string,
    detail: string,
    readonly field?: string,
  ) {
    super(detail);
    this.name = "CoreError";
  }
}

/** Standard base64, with or without line ends around it; throws CoreError `bad_base64`. */
export function fromBase64(text: string): Bytes {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) throw new CoreError("bad_base64", "not base64");
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

export const same = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at]);
