/**
 * The service worker: the wallet starts without a network. It keeps the page's own files, every part of it included, each
 * only if it has the digest that it had when the page was built; and nothing else, ever.
 */

/** Each file's path and digest. */
declare const __FILES__: Readonly<Record<string, string>>;
declare const __BUILD__: string;

// the library of types knows one global scope per project, the page's
const worker = self as unknown as ServiceWorkerGlobalScope;
const CACHE = `fieldgrant-${__BUILD__}`;
const PAGE = "/";
const FILES = new Map(Object.entries(__FILES__));
FILES.set(PAGE, FILES.get("/index.html") ?? "");
FILES.delete("/index.html");
FILES.set("/build.json", ""); // made last of all, about all of these

worker.addEventListener("install", (event) => {
  const all = [...FILES].map(([path, integrity]) => new Request(path, { cache: "reload", integrity }));
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(all))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener("activate", (event) => {
  const older = async () => (await caches.keys()).filter((name) => name !== CACHE).map((name) => caches.delete(name));
  event.waitUntil(
    older()
      .then((gone) => Promise.all(gone))
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  // organisations' answers never pass here: other origins, and paths of ours that are not files, go their own way
  if (request.method !== "GET" || url.origin !== worker.location.origin || url.search !== "") return;
  if (request.mode === "navigate") event.respondWith(newest(request));
  else if (FILES.has(url.pathname)) event.respondWith(kept(url.pathname, request));
});

/** The page as the server has it, or else as it was kept: whoever mends a fault reaches every wallet that is online. */
async function newest(request: Request): Promise<Response> {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(3000) });
    if (answer.status < 500) return answer;
  } catch {
    // no network, or a server that is down
  }
  return (await caches.match(PAGE, { cacheName: CACHE })) ?? Response.error();
}

async function kept(path: string, request: Request): Promise<Response> {
  return (await caches.match(path, { cacheName: CACHE })) ?? fetch(request);
}

export {};
