import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const ORIGIN = "https://wallet.example.com";
const FILES = {
  "/index.html": "sha384-page",
  "/assets/index-aaaaaaaa.js": "sha384-script",
  "/assets/History-bbbbbbbb.js": "sha384-part",
  "/words.txt": "sha384-words",
};

/** A browser's caches, as far as the worker uses them. */
class Caches {
  readonly all = new Map<string, Map<string, Response>>();
  readonly added: Request[] = [];

  open = async (name: string) => {
    const kept = this.all.get(name) ?? new Map<string, Response>();
    this.all.set(name, kept);
    const addAll = async (requests: Request[]) => {
      this.added.push(...requests);
      const answers = await Promise.all(requests.map((one) => fetch(one)));
      if (answers.some((one) => !one.ok)) throw new TypeError("one of them failed");
      for (const [at, one] of requests.entries()) kept.set(new URL(one.url).pathname, answers[at] as Response);
    };
    return { addAll };
  };
  keys = async () => [...this.all.keys()];
  delete = async (name: string) => this.all.delete(name);
  match = async (path: string, how: { cacheName: string }) => this.all.get(how.cacheName)?.get(path)?.clone();
}

type Listener = (event: unknown) => void;

let listeners: Map<string, Listener>;
let kept: Caches;
let network: (request: Request | string) => Promise<Response>;
let skipped: number;

class RequestHere extends Request {
  constructor(input: string | Request, init?: RequestInit) {
    super(typeof input === "string" && input.startsWith("/") ? ORIGIN + input : input, init);
  }
}

beforeEach(async () => {
  listeners = new Map();
  kept = new Caches();
  skipped = 0;
  network = async (request) =>
    new Response(`fresh ${new URL(typeof request === "string" ? request : request.url).pathname}`);
  vi.stubGlobal("__FILES__", FILES);
  vi.stubGlobal("__BUILD__", "b2");
  vi.stubGlobal("caches", kept);
  vi.stubGlobal("Request", RequestHere);
  vi.stubGlobal("fetch", (request: Request | string) => network(request));
  vi.stubGlobal("self", {
    addEventListener: (name: string, act: Listener) => listeners.set(name, act),
    location: { origin: ORIGIN },
    skipWaiting: async () => {
      skipped += 1;
    },
    clients: { claim: async () => undefined },
  });
  vi.resetModules();
  await import("../../wallet/web/sw");
});

afterEach(() => vi.unstubAllGlobals());

async function happens(name: "install" | "activate"): Promise<void> {
  let work: Promise<unknown> = Promise.resolve();
  listeners.get(name)?.({
    waitUntil: (promise: Promise<unknown>) => {
      work = promise;
    },
  });
  await work;
}

/** What the worker answers; undefined where it lets the browser do as it would. */
async function asks(url: string, how: { method?: string; mode?: string } = {}): Promise<Response | undefined> {
  const request = new RequestHere(url, { method: how.method ?? "GET" });
  if (how.mode) Object.defineProperty(request, "mode", { value: how.mode });
  let answer: Promise<Response> | undefined;
  listeners.get("fetch")?.({
    request,
    respondWith: (promise: Promise<Response>) => {
      answer = promise;
    },
  });
  return answer;
}

const offline = async () => {
  throw new TypeError("no network");
};

describe("the service worker", () => {
  it("keeps every file of the page, each only with the digest of the build, past the browser's cache", async () => {
    await happens("install");
    const told = Object.fromEntries(kept.added.map((one) => [new URL(one.url).pathname, [one.integrity, one.cache]]));
    expect(told).toEqual({
      "/": ["sha384-page", "reload"],
      "/assets/index-aaaaaaaa.js": ["sha384-script", "reload"],
      "/assets/History-bbbbbbbb.js": ["sha384-part", "reload"],
      "/words.txt": ["sha384-words", "reload"],
      "/build.json": ["", "reload"],
    });
    expect(skipped).toBe(1);
  });

  it("is not installed when one of them cannot be had", async () => {
    network = async (request) => new Response("", { status: (request as Request).url.endsWith(".txt") ? 404 : 200 });
    await expect(happens("install")).rejects.toThrow();
    expect(skipped).toBe(0);
  });

  it("forgets what older builds kept", async () => {
    await kept.open("fieldgrant-b1");
    await happens("install");
    await happens("activate");
    expect(await kept.keys()).toEqual(["fieldgrant-b2"]);
  });

  it("gives the page as the server has it, and as it was kept when there is no network or the server is down", async () => {
    await happens("install");
    expect(await (await asks(`${ORIGIN}/`, { mode: "navigate" }))?.text()).toBe("fresh /");
    network = async () => new Response("broken", { status: 503 });
    expect(await (await asks(`${ORIGIN}/`, { mode: "navigate" }))?.text()).toBe("fresh /");
    network = offline;
    expect(await (await asks(`${ORIGIN}/anything`, { mode: "navigate" }))?.text()).toBe("fresh /");
  });

  it("gives every part without a network", async () => {
    await happens("install");
    network = offline;
    for (const path of Object.keys(FILES).filter((one) => one !== "/index.html")) {
      expect(await (await asks(ORIGIN + path))?.text()).toBe(`fresh ${path}`);
    }
  });

  it("asks the network for a file of the page that it lost", async () => {
    expect(await (await asks(`${ORIGIN}/words.txt`))?.text()).toBe("fresh /words.txt");
  });

  it("never touches what goes to organisations, what is sent, or what is no file of the page", async () => {
    await happens("install");
    expect(await asks("https://crm.example.com/issuer/catalogue")).toBeUndefined();
    expect(await asks(`${ORIGIN}/words.txt`, { method: "POST" })).toBeUndefined();
    expect(await asks(`${ORIGIN}/words.txt?x=1`)).toBeUndefined();
    expect(await asks(`${ORIGIN}/issuer/wallet/asks`)).toBeUndefined();
    expect([...(kept.all.get("fieldgrant-b2")?.keys() ?? [])]).not.toContain("/issuer/wallet/asks");
  });
});
