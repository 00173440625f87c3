// Builds each page into fieldgrant/_pages/: one script and one stylesheet with hashed names, named in index.html with
// their digests (SRI); nothing inline. `build.json` tells what a page is made of, and one digest over all of it.
//
//     node tools/build_web.mjs [wallet|crm|audit …]     without a name: every page
//
// A page may bring `public/` (copied as it is) and `sw.ts` (its service worker, built to `sw.js` at the page's root,
// with `__FILES__`, the paths to keep, and `__BUILD__`, the digest of the page without the worker).

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUT = join(ROOT, "fieldgrant", "_pages");
const PAGES = {
  wallet: { root: "wallet/web", base: "/" },
  crm: { root: "crm_core/web", base: "/desk/" },
  audit: { root: "audit/web", base: "/auditor/" },
};
const FIRST_LOAD = 40_000; // bytes of script, compressed

/** The digest of a file as SRI writes it. */
const digest = (bytes) => `sha384-${createHash("sha384").update(bytes).digest("base64")}`;

/** Adds the digest of each script and stylesheet to the index.html that names it. */
function integrity(base) {
  return {
    name: "integrity",
    enforce: "post",
    generateBundle(_options, bundle) {
      const page = bundle["index.html"];
      page.source = String(page.source).replace(/<(?:script|link rel="stylesheet")[^>]*>/g, (tag) => {
        const path = /(?:src|href)="([^"]+)"/.exec(tag)?.[1];
        const file = bundle[path?.slice(base.length)];
        if (!file) throw new Error(`index.html names what was not built: ${tag}`);
        const bare = tag.replace(/ crossorigin(="[^"]*")?/, "").slice(0, -1);
        return `${bare} integrity="${digest(file.code ?? file.source)}" crossorigin="anonymous">`;
      });
    },
  };
}

const output = {
  target: ["chrome137", "firefox130", "safari18"],
  assetsInlineLimit: 0,
  modulePreload: { polyfill: false },
};
const common = {
  configFile: false,
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
};

/** Every file below a folder, by its path within it, in order. */
function files(folder) {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return found.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/** What a folder holds: each file's digest, and one over all of them. */
function inventory(folder) {
  const each = Object.fromEntries(files(folder).map((name) => [name, digest(readFileSync(join(folder, name)))]));
  const lines = Object.entries(each).map(([name, sum]) => `${name} ${sum}\n`);
  return { digest: createHash("sha256").update(lines.join("")).digest("hex"), files: each };
}

/** Builds a page beside the old one, and puts it in its place when all of it is there. */
async function buildPage(name) {
  const made = `${OUT}.${process.pid}.${name}`;
  try {
    const size = await make(name, made);
    mkdirSync(OUT, { recursive: true });
    rmSync(join(OUT, name), { recursive: true, force: true });
    renameSync(made, join(OUT, name));
    console.log(`${name.padEnd(6)} ${(size / 1000).toFixed(1)} kB of script, compressed`);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

async function make(name, made) {
  const { root, base } = PAGES[name];
  const from = join(ROOT, root);
  await build({
    ...common,
    root: from,
    base,
    publicDir: "public",
    plugins: [integrity(base)],
    build: {
      ...output,
      outDir: made,
      emptyOutDir: true,
      cssCodeSplit: false,
      rolldownOptions: { output: { codeSplitting: false }, checks: { pluginTimings: false } },
    },
  });
  const scripts = files(made).filter((file) => file.endsWith(".js"));
  const size = scripts.reduce((sum, file) => sum + gzipSync(readFileSync(join(made, file)), { level: 9 }).length, 0);
  if (size > FIRST_LOAD) throw new Error(`${name}: ${size} bytes of script compressed, at most ${FIRST_LOAD}`);
  const worker = join(from, "sw.ts");
  if (existsSync(worker)) await buildWorker(worker, made, base);
  writeFileSync(join(made, "build.json"), `${JSON.stringify(inventory(made), null, 1)}\n`);
  return size;
}

async function buildWorker(source, made, base) {
  const kept = inventory(made);
  await build({
    ...common,
    publicDir: false,
    define: {
      __FILES__: JSON.stringify([base, ...Object.keys(kept.files).map((file) => base + file)]),
      __BUILD__: JSON.stringify(kept.digest),
    },
    build: {
      ...output,
      outDir: made,
      emptyOutDir: false,
      rolldownOptions: { input: source, output: { codeSplitting: false, entryFileNames: "sw.js" } },
    },
  });
}

const asked = process.argv.slice(2);
for (const name of asked.length ? asked : Object.keys(PAGES)) {
  if (!(name in PAGES)) throw new Error(`no such page: ${name}`);
  if (!existsSync(join(ROOT, PAGES[name].root, "index.html"))) continue;
  await buildPage(name).catch((error) => {
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  });
}
