// Parts of a page that come when they are wanted, each script checked against its digest (SRI) before it runs.
//
// `import()` takes no digest. So a part's scripts are first put into the page as <script integrity>, which every browser
// refuses when the digest does not fit; `import()` then finds them among the modules that are there, and fetches nothing.

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import en from "./en.json";
import { texts } from "./i18n";
import { Icon } from "./icons";
import { Button, Loading } from "./pieces";
import zh from "./zh-CN.json";

const t = texts(en, zh);

/** One file as the build names it, and its digest. */
interface Script {
  readonly src: string;
  readonly integrity: string;
}

/** Filled in by tools/build_web.mjs: the scripts of each part, in the order in which they need one another. */
declare const __PARTS__: Readonly<Record<string, readonly Script[]>>;
/** Likewise: the digest of each other file that a script of ours fetches, by its path. */
declare const __DIGESTS__: Readonly<Record<string, string>>;

export const POLICY = "fieldgrant-parts";
const parts: Readonly<Record<string, readonly Script[]>> = import.meta.env.PROD ? __PARTS__ : {};
const digests: Readonly<Record<string, string>> = import.meta.env.PROD ? __DIGESTS__ : {};

interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): { createScriptURL(url: string): unknown };
}

const known = new Set(Object.values(parts).flatMap((scripts) => scripts.map((one) => one.src)));
const policy = (globalThis as { trustedTypes?: Policies }).trustedTypes?.createPolicy(POLICY, {
  createScriptURL: (url) => {
    if (!known.has(url)) throw new TypeError("no script of this page");
    return url;
  },
});
const there = new Map<string, Promise<void>>();

/** The digest that a file of this page must have, for `fetch`; undefined where the page was not built. */
export const digestOf = (path: string): string | undefined => digests[path];

/**
 * A part by the name of its file: `loaded("Scan", () => import("./Scan"))`, written exactly so (the build looks at it).
 * Throws where a script cannot be had, or is not what it was when the page was built.
 */
export async function loaded<T>(name: string, load: () => Promise<T>): Promise<T> {
  for (const script of parts[name] ?? []) {
    let coming = there.get(script.src);
    if (coming === undefined) {
      coming = put(script);
      there.set(script.src, coming);
    }
    await coming;
  }
  return load();
}

function put({ src, integrity }: Script): Promise<void> {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.type = "module";
    script.crossOrigin = "anonymous";
    script.integrity = integrity;
    script.onload = () => done();
    script.onerror = () => failed(new Error("a part of this page is missing, or is not what it should be"));
    script.src = (policy?.createScriptURL(src) ?? src) as string;
    document.head.append(script);
  });
}

/** A screen that comes when it is first shown: `part("History", () => import("./History"), (all) => all.History)`. */
export function part<All, Props>(
  name: string,
  load: () => Promise<All>,
  pick: (all: All) => ComponentType<Props>,
): ComponentType<Props> {
  const found = signal<ComponentType<Props> | null>(null);
  const failed = signal(false);
  const fetch = () => {
    loaded(name, load).then(
      (all) => {
        const Screen = pick(all);
        found.value = Screen;
      },
      () => {
        failed.value = true;
      },
    );
  };
  return function Part(props: Props) {
    useEffect(() => {
      if (found.value === null) fetch();
    }, []);
    const Screen = found.value;
    if (Screen !== null) return <Screen {...(props as Props & object)} />;
    return failed.value ? <Missing /> : <Loading lines={6} />;
  };
}

/** A script that failed stays failed until the page is loaded anew: so the browsers have it. */
function Missing() {
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <p>{t("part.missing")}</p>
      <Button onClick={() => location.reload()}>{t("part.reload")}</Button>
    </div>
  );
}
