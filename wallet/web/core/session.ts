/** The way into the wallet of this browser: made, opened, brought back, taken along, erased. */

import * as backup from "./backup";
import { type Bytes, CoreError, utf8 } from "./bytes";
import { type Content, EMPTY, readContent } from "./holding";
import type { Json, JsonObject } from "./jcs";
import { freshSecret, Keyring, lock, unlock } from "./keystore";
import * as passkey from "./passkey";
import { ITERATIONS } from "./sealed";
import * as store from "./store";
import { fromWords, toWords } from "./words";

const MOST_TRIES = 50;

/** An open wallet's keys and what it holds. `tries`: when somebody tried wrong passphrases since it was open last. */
export interface Opened {
  readonly keyring: Keyring;
  readonly content: Content;
  readonly tries: readonly string[];
}

/** Whether there is a wallet in this browser. */
export const exists = async (): Promise<boolean> => (await store.get("key")) !== undefined;

/** Make a wallet. CoreError `weak_passphrase`, `wallet_exists`. */
export const create = (passphrase: string, iterations = ITERATIONS): Promise<Opened> =>
  made(freshSecret(), EMPTY, passphrase, iterations);

/** Open the wallet. CoreError `no_wallet`, `wrong_passphrase`, `bad_wallet`. */
export const open = async (passphrase: string): Promise<Opened> => openWith(await secretOf(passphrase));

/** Open it with the passkey of this device. CoreError `passkey_refused`, `bad_wallet`. */
export const openByPasskey = async (): Promise<Opened> => openWith(await passkey.unlock(await store.get("passkey")));

/** Whether a passkey opens the wallet of this browser. */
export const hasPasskey = async (): Promise<boolean> => (await store.get("passkey")) !== undefined;

/** Let a passkey open it as well; the passphrase goes on. */
export async function addPasskey(passphrase: string): Promise<void> {
  const secret = await secretOf(passphrase);
  try {
    await store.put({ passkey: await passkey.lock(secret) });
  } finally {
    secret.fill(0);
  }
}

/** No passkey opens it any more. */
export const removePasskey = (): Promise<void> => store.remove("passkey");

async function openWith(secret: Bytes): Promise<Opened> {
  const keyring = await Keyring.open(secret);
  const plain = await keyring.open(await store.get("content"));
  const content = readContent(JSON.parse(new TextDecoder().decode(plain)) as Json);
  const tries = await noted();
  await store.remove("tries");
  return { keyring, content, tries };
}

/** A wallet out of a backup file, where there is none yet; the passphrase is the file's. */
export async function fromFile(text: string, passphrase: string, iterations = ITERATIONS): Promise<Opened> {
  const found = await backup.read(text, passphrase);
  return made(found.secret, readContent(found.content), passphrase, iterations);
}

/** A wallet out of its recovery words: its keys; what it held has to be fetched from each organisation. */
export async function fromRecovery(words: string, passphrase: string, iterations = ITERATIONS): Promise<Opened> {
  const content: Content = { ...EMPTY, backup: { at: new Date().toISOString(), how: "words" } };
  return made(await fromWords(words), content, passphrase, iterations);
}

/** The backup file's text; the passphrase is asked for again, so that an open wallet does not give itself away. */
export async function toFile(content: Content, passphrase: string, iterations = ITERATIONS): Promise<string> {
  const secret = await secretOf(passphrase);
  try {
    return await backup.write(secret, content as unknown as JsonObject, passphrase, iterations);
  } finally {
    secret.fill(0);
  }
}

/** The recovery words, likewise. */
export async function words(passphrase: string): Promise<string[]> {
  const secret = await secretOf(passphrase);
  try {
    return await toWords(secret);
  } finally {
    secret.fill(0);
  }
}

/** Change the passphrase; backups made before keep theirs. */
export async function change(old: string, passphrase: string, iterations = ITERATIONS): Promise<void> {
  const secret = await secretOf(old);
  try {
    await store.put({ key: await lock(secret, passphrase, iterations) });
  } finally {
    secret.fill(0);
  }
}

async function made(secret: Bytes, content: Content, passphrase: string, iterations: number): Promise<Opened> {
  if (await exists()) throw new CoreError("wallet_exists", "there is a wallet here already; it is left untouched");
  const key = await lock(secret, passphrase, iterations);
  const keyring = await Keyring.open(secret);
  await store.put({ key, content: await keyring.seal(utf8(JSON.stringify(content))) });
  return { keyring, content, tries: [] };
}

async function secretOf(passphrase: string): Promise<Bytes> {
  const sealed = await store.get("key");
  if (sealed === undefined) throw new CoreError("no_wallet", "there is no wallet in this browser");
  try {
    return await unlock(sealed, passphrase);
  } catch (error) {
    if (error instanceof CoreError && error.code === "wrong_passphrase") {
      await store.put({ tries: [...(await noted()), new Date().toISOString()].slice(-MOST_TRIES) });
    }
    throw error;
  }
}

async function noted(): Promise<string[]> {
  const found = await store.get("tries");
  return Array.isArray(found) ? found.map(String) : [];
}
