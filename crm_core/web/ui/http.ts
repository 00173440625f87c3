// Calls to the organisation's API from its own pages: JSON in, JSON out, problem+json (RFC 9457) thrown as `Problem`.

const PATIENCE = 20_000; // ms

/** What went wrong. `status` is 0 where no answer came: `code` is then `unreachable` or `timeout`. */
export class Problem extends Error {
  override name = "Problem";
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly field?: string,
    readonly retryAfter?: number,
  ) {
    super(`${code}: ${detail}`);
  }
}

let csrf: string | null = null;
let signedOut: () => void = () => {};

/** The token that goes along with whatever changes something; null after signing out. */
export const keepCsrf = (token: string | null): void => {
  csrf = token;
};

/** For the few calls that `fetch` cannot make, such as an upload with its progress. */
export const keptCsrf = (): string | null => csrf;

/** What to do when the server says that nobody is signed in (any more). */
export const whenSignedOut = (act: () => void): void => {
  signedOut = act;
};

/** How a call may differ: `stop` ends it early; `quiet` leaves a 401 to the caller; `patience` in milliseconds. */
export interface Way {
  readonly stop?: AbortSignal;
  readonly quiet?: boolean;
  readonly patience?: number;
}

/** Call the API; a `Blob` is sent as it is, by its type. Throws `Problem`; an `AbortError` passes when `way.stop` ended it. */
export async function call<T>(method: string, path: string, body?: unknown, way: Way = {}): Promise<T> {
  const text = await fetched(method, path, body, way, (answer) => answer.text());
  return (text ? read(text) : undefined) as T;
}

/** The file that the API makes of a request. One that breaks off is not whole: `Problem`, and nothing of it is kept. */
export const file = (path: string, body: unknown, way: Way = {}): Promise<Blob> =>
  fetched("POST", path, body, { patience: 10 * 60_000, ...way }, (answer) => answer.blob());

/** Send a file as it is, and hear how much of it went (0 to 1). `fetch` does not tell that, an older way does. */
export function upload<T>(
  path: string,
  body: Blob,
  type: string,
  told: (part: number) => void,
  way: Way = {},
): Promise<T> {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const fail = (problem: unknown) => {
      if (problem instanceof Problem && problem.status === 401 && !way.quiet) signedOut();
      failed(problem);
    };
    request.open("POST", path);
    request.timeout = way.patience ?? 10 * 60_000;
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", type);
    if (csrf !== null) request.setRequestHeader("X-CSRF-Token", csrf);
    request.upload.onprogress = (event) => told(event.total ? event.loaded / event.total : 0);
    request.onerror = () => fail(new Problem(0, "unreachable", "the connection broke"));
    request.ontimeout = () => fail(new Problem(0, "timeout", "no answer in time"));
    request.onabort = () => failed(new DOMException("stopped", "AbortError"));
    request.onload = () => {
      try {
        const headers = new Headers({ "content-type": request.getResponseHeader("content-type") ?? "" });
        if (request.status >= 200 && request.status < 300) done(read(request.responseText) as T);
        else fail(refusal(new Response(null, { status: request.status, headers }), request.responseText));
      } catch (problem) {
        fail(problem);
      }
    };
    way.stop?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

async function fetched<T>(
  method: string,
  path: string,
  body: unknown,
  way: Way,
  take: (answer: Response) => Promise<T>,
): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  const raw = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = raw ? body.type : "application/json";
  if (csrf !== null && method !== "GET") headers["X-CSRF-Token"] = csrf;
  const patience = AbortSignal.timeout(way.patience ?? PATIENCE);
  try {
    const answer = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: way.stop ? AbortSignal.any([way.stop, patience]) : patience,
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    });
    if (answer.ok) return await take(answer);
    throw refusal(answer, await answer.text());
  } catch (error) {
    if (error instanceof Problem) {
      if (error.status === 401 && !way.quiet) signedOut();
      throw error;
    }
    if (way.stop?.aborted) throw error;
    throw new Problem(0, patience.aborted ? "timeout" : "unreachable", String(error));
  }
}

function refusal(answer: Response, text: string): Problem {
  const told = (answer.headers.get("content-type") ?? "").includes("json")
    ? (read(text) as Record<string, unknown>)
    : {};
  const word = (name: string): string | undefined =>
    typeof told?.[name] === "string" ? (told[name] as string) : undefined;
  const wait = Number(answer.headers.get("retry-after"));
  return new Problem(
    answer.status,
    word("code") ?? (answer.status >= 500 ? "server" : "refused"),
    word("detail") ?? word("title") ?? answer.statusText,
    word("field"),
    Number.isFinite(wait) && wait > 0 ? wait : undefined,
  );
}

function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(0, "server", "The answer was not JSON.");
  }
}
