/** The backup file: the secret and what the wallet holds, sealed under the passphrase that the wallet has when it is made. */

import { type Bytes, base64, CoreError, fromBase64, utf8 } from "./bytes";
import { isObject } from "./did";
import type { Json, JsonObject } from "./jcs";
import { SECRET_SIZE } from "./keystore";
import { ITERATIONS, seal, unseal } from "./sealed";

export const BACKUP = "fieldgrant-web-backup";
export const MAX_FILE = 64 * 1024 * 1024;

export interface Restored {
  readonly secret: Bytes;
  readonly content: JsonObject;
}

/** The file's text. */
export async function write(
  secret: Bytes,
  content: JsonObject,
  passphrase: string,
  iterations = ITERATIONS,
): Promise<string> {
  const plain = utf8(JSON.stringify({ secret: base64(secret), content }));
  return `${JSON.stringify(await seal(BACKUP, passphrase, plain, iterations))}\n`;
}

/** What is in a file. CoreError `bad_wallet`, `wrong_passphrase`. */
export async function read(text: string, passphrase: string): Promise<Restored> {
  const plain = await unseal(BACKUP, passphrase, parsed(text));
  const inside = parsed(new TextDecoder().decode(plain));
  if (!isObject(inside) || typeof inside.secret !== "string" || !isObject(inside.content)) throw bad();
  const secret = fromBase64(inside.secret);
  if (secret.length !== SECRET_SIZE) throw bad();
  return { secret, content: inside.content };
}

function parsed(text: string): Json {
  if (text.length > MAX_FILE) throw bad();
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw bad();
  }
}

const bad = () => new CoreError("bad_wallet", "this is not a backup of a wallet, or it is damaged");
