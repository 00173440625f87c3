// Builds each page into fieldgrant/_pages/: one script and one stylesheet with hashed names, named in index.html with
// their digests (SRI); nothing inline. Parts that come later (crm_core/web/ui/parts.tsx) are scripts of their own, whose
// digests the first one holds. `build.json` tells what a page is made of, and one digest over all of it.
//
//     node tools/build_web.mjs [wallet|crm|audit …]     without a name: every page
//
// A page may bring `public/` (copied as it is) and `sw.ts` (its service worker, built to `sw.js` at the page's root,
// with `__FILES__`, the paths to keep with their digests, and `__BUILD__`, the digest of the page without the worker).

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
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
const WHOLE = 120_000; // likewise, with every part

/** The digest of a file as SRI writes it. */
const digest = (bytes) => `sha384-${createHash("sha384").update(bytes).digest("base64")}`;

/**
 * Gives the first script the digest of every other file, and index.html those of the script and stylesheet that it names.
 * What would come without a digest breaks the build: an `import()` that is not written as crm_core/web/ui/parts.tsx
 * wants it.
 */
function integrity(base) {
  const wanted = new Set();
  return {
    name: "integrity",
    enforce: "pre",
    transform(code, id) {
      if (id.includes("node_modules") || !/\.tsx?$/.test(id)) return null;
      const bare = code.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
      const all = bare.match(/\bimport\(/g) ?? [];
      const checked = [...bare.matchAll(/\b(?:part|loaded)\(\s*"(\w+)",\s*\(\) =>\s*import\("[./\w-]+\/\1"\)/g)];
      for (const [, name] of checked) wanted.add(name);
      if (all.length !== checked.length)
        throw new Error(`${id}: import() only as in part("Name", () => import("./Name"))`);
      return null;
    },
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const files = Object.values(bundle);
        const entry = files.find((file) => file.isEntry);
        const page = bundle["index.html"];
        const first = inOrder(bundle, entry.fileName, new Set()).map((one) => bundle[one]);
        const rest = files.filter((file) => !first.includes(file) && file !== page);
        const digests = Object.fromEntries(rest.map((file) => [base + file.fileName, digestOf(file)]));
        const parts = partsOf(bundle, base, digests, new Set(first.map((file) => file.fileName)));
        const missing = [...wanted].filter((one) => !(one in parts));
        if (missing.length > 0) throw new Error(`needed at first and no part of its own: ${missing}`);
        const fetched = Object.entries(digests).filter(([path]) => path.endsWith(".json"));
        const filled = { __PARTS__: parts, __DIGESTS__: Object.fromEntries(fetched) };
        for (const [name, value] of Object.entries(filled)) {
          const text = JSON.stringify(JSON.stringify(value));
          for (const file of first)
            file.code = file.code.replaceAll(new RegExp(`["'\`]${name}["'\`]`, "g"), () => text);
        }
        page.source = String(page.source).replace(/<(?:script|link rel="stylesheet")[^>]*>/g, (tag) => {
          const path = /(?:src|href)="([^"]+)"/.exec(tag)?.[1];
          const file = bundle[path?.slice(base.length)];
          if (!file) throw new Error(`index.html names what was not built: ${tag}`);
          const bare = tag.replace(/ crossorigin(="[^"]*")?/, "").slice(0, -1);
          const whole = (text, one) => `${text} integrity="${digestOf(one)}" crossorigin="anonymous">`;
          if (file !== entry) return whole(bare, file);
          // what it needs comes before it: so the digest is known when the import wants it
          const needed = first.slice(0, -1).map((one) => whole(bare.replace(path, base + one.fileName), one));
          return [...needed.map((one) => `${one}</script>\n    `), whole(bare, file)].join("");
        });
      },
    },
  };
}

const digestOf = (file) => digest(file.code ?? file.source);

/** A script and all that it imports, what is needed first in front; without those that are `there` already. */
function inOrder(bundle, name, there) {
  if (there.has(name)) return [];
  there.add(name);
  return [...bundle[name].imports.flatMap((one) => inOrder(bundle, one, there)), name];
}

/** The scripts of each part by the name of its file, what it needs before itself; those of the start are there. */
function partsOf(bundle, base, digests, first) {
  const parts = {};
  for (const chunk of Object.values(bundle)) {
    if (!chunk.isDynamicEntry) continue;
    const name = basename(chunk.facadeModuleId).replace(/\.\w+$/, "");
    if (name in parts) throw new Error(`two parts of the name ${name}`);
    const order = inOrder(bundle, chunk.fileName, new Set(first));
    parts[name] = order.map((one) => ({ src: base + one, integrity: digests[base + one] }));
  }
  return parts;
}

const output = {
  target: ["chrome137", "firefox130", "safari18"],
  assetsInlineLimit: 0,
  modulePreload: false, // parts.tsx puts a part's scripts into the page, with their digests
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
    const { first, whole } = await make(name, made);
    mkdirSync(OUT, { recursive: true });
    rmSync(join(OUT, name), { recursive: true, force: true });
    renameSync(made, join(OUT, name));
    const [at, all] = [first, whole].map((size) => (size / 1000).toFixed(1));
    console.log(`${name.padEnd(6)} ${at} kB of script at first, ${all} kB with all parts, compressed`);
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
    // filled in once the digests are known; through JSON.parse, so that nothing is made of the stand-in before
    define: { __PARTS__: 'JSON.parse("__PARTS__")', __DIGESTS__: 'JSON.parse("__DIGESTS__")' },
    build: {
      ...output,
      outDir: made,
      emptyOutDir: true,
      cssCodeSplit: false,
      rolldownOptions: { checks: { pluginTimings: false } },
    },
  });
  const sizes = files(made)
    .filter((file) => file.endsWith(".js"))
    .map((file) => ({ file, size: gzipSync(readFileSync(join(made, file)), { level: 9 }).length }));
  const page = readFileSync(join(made, "index.html"), "utf8");
  const total = (some) => some.reduce((sum, one) => sum + one.size, 0);
  const [first, whole] = [total(sizes.filter((one) => page.includes(`"${base}${one.file}"`))), total(sizes)];
  for (const [size, most, what] of [
    [first, FIRST_LOAD, "at first"],
    [whole, WHOLE, "with all parts"],
  ]) {
    if (size === 0 || size > most) throw new Error(`${name}: ${size} bytes of script ${what}, at most ${most}`);
  }
  const worker = join(from, "sw.ts");
  if (existsSync(worker)) await buildWorker(worker, made, base);
  writeFileSync(join(made, "build.json"), `${JSON.stringify(inventory(made), null, 1)}\n`);
  return { first, whole };
}

async function buildWorker(source, made, base) {
  const kept = inventory(made);
  await build({
    ...common,
    publicDir: false,
    define: {
      __FILES__: JSON.stringify(
        Object.fromEntries(Object.entries(kept.files).map(([file, sum]) => [base + file, sum])),
      ),
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
