/** Calls to an organisation: signed one by one (RFC 9421), bounded, without cookies, redirects or a cache. */

import { type Bytes, base64url, CoreError, concat, random, utf8 } from "./bytes";
import { isObject, type Signer } from "./did";
import { type Json, type JsonObject, jcs } from "./jcs";
import { signedHeaders } from "./request";

const MAX_ANSWER = 8 * 1024 * 1024;
/** A withdrawal is acknowledged only when the last read in flight has ended, so answers may take a while. */
const PATIENCE = 45_000;
const LOCAL = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** What an organisation or the network says no with; `status` is the HTTP status of a refusal. */
export class Refused extends CoreError {
  constructor(
    code: string,
    detail: string,
    readonly status?: number,
    field?: string,
  ) {
    super(code, detail, field);
    this.name = "Refused";
  }
}

export interface Asking {
  readonly body?: JsonObject;
  readonly params?: Readonly<Record<string, string>>;
}

/** HTTP to organisations. `now` is this machine's clock, set right by the organisation's where the two disagree. */
export class Client {
  readonly #send: typeof fetch;
  readonly #clock: () => number;
  #ahead = 0;

  constructor(send: typeof fetch = (...told) => fetch(...told), clock: () => number = Date.now) {
    this.#send = send;
    this.#clock = clock;
  }

  now = (): Date => new Date(this.#clock() + this.#ahead);

  /** The text at a public address. Refused: `insecure_url`, `unreachable`, `answer_too_large`, what it is refused with. */
  async text(url: string): Promise<string> {
    return decoded(await this.#exchange(safe(url), { method: "GET", headers: { Accept: "*/*" } }));
  }

  /** The JSON at a public address; also `bad_answer`. */
  async get(url: string): Promise<JsonObject> {
    return parsed(await this.text(url));
  }

  /** Send JSON without a signature (only before enrolment). */
  async post(url: string, body: JsonObject): Promise<JsonObject> {
    const headers = { "Content-Type": "application/json" };
    return parsed(decoded(await this.#exchange(safe(url), { method: "POST", headers, body: utf8(jcs(body)) })));
  }

  /** Send a request signed by the pairwise key, each with a nonce of its own. */
  async call(method: "GET" | "POST", url: string, signer: Signer, asking: Asking = {}): Promise<JsonObject> {
    const target = new URL(safe(url));
    for (const [name, value] of Object.entries(asking.params ?? {})) target.searchParams.set(name, value);
    try {
      return await this.#signed(method, target.href, signer, asking.body);
    } catch (error) {
      if (!(error instanceof Refused && error.code === "stale_signature" && this.#learned)) throw error;
      this.#learned = false;
      return this.#signed(method, target.href, signer, asking.body);
    }
  }

  #learned = false;

  async #signed(method: string, url: string, signer: Signer, body: JsonObject | undefined): Promise<JsonObject> {
    const data = body === undefined ? new Uint8Array() : utf8(jcs(body));
    const told = { created: this.now(), nonce: base64url(random(18)) };
    const headers = await signedHeaders(method, url, data, signer, told);
    if (body === undefined) return parsed(decoded(await this.#exchange(url, { method, headers })));
    const init = { method, headers: { ...headers, "Content-Type": "application/json" }, body: data };
    return parsed(decoded(await this.#exchange(url, init)));
  }

  async #exchange(url: string, init: RequestInit): Promise<Bytes> {
    const how: RequestInit = {
      ...init,
      mode: "cors",
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE),
    };
    let response: Response;
    let data: Bytes;
    try {
      response = await this.#send(url, how);
      data = await bounded(response);
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new Refused("unreachable", "the organisation does not answer");
    }
    if (response.ok) return data;
    if (response.status === 401) this.#correct(response.headers.get("Date"));
    throw problem(response.status, data);
  }

  /** A signature counts for two minutes: learn by how much the clocks differ, once. */
  #correct(date: string | null): void {
    const theirs = date === null ? Number.NaN : Date.parse(date);
    if (Number.isNaN(theirs) || Math.abs(theirs - this.now().getTime()) < 20_000) return;
    this.#ahead = theirs - this.#clock();
    this.#learned = true;
  }
}

function safe(url: string): string {
  const parts = URL.canParse(url) ? new URL(url) : null;
  if (parts?.protocol === "https:" || (parts?.protocol === "http:" && LOCAL.has(parts.hostname))) return url;
  throw new Refused("insecure_url", "only https addresses are called");
}

async function bounded(response: Response): Promise<Bytes> {
  const reader = response.body?.getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (let piece = await reader?.read(); piece !== undefined && !piece.done; piece = await reader?.read()) {
    pieces.push(piece.value);
    length += piece.value.length;
    if (length > MAX_ANSWER) {
      await reader?.cancel();
      throw new Refused("answer_too_large", "the organisation's answer is too large to be honest");
    }
  }
  return concat(...pieces);
}

function decoded(data: Bytes): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    throw new Refused("bad_answer", "the organisation's answer cannot be read");
  }
}

function parsed(text: string): JsonObject {
  try {
    const found = JSON.parse(text) as Json;
    if (isObject(found)) return found;
  } catch {
    // said below
  }
  throw new Refused("bad_answer", "the organisation's answer cannot be read");
}

/** RFC 9457: code and detail of a refusal; a stranger's answer becomes `refused`. */
function problem(status: number, data: Bytes): Refused {
  let told: JsonObject = {};
  try {
    told = parsed(decoded(data));
  } catch {
    // a stranger's answer
  }
  const { code, detail, field } = told;
  return new Refused(
    typeof code === "string" && /^[a-z0-9_]{1,64}$/.test(code) ? code : "refused",
    typeof detail === "string" ? detail.slice(0, 500) : `the organisation said no (${status})`,
    status,
    typeof field === "string" ? field.slice(0, 200) : undefined,
  );
}
