// What is worked on: a draft of the catalogue before it is signed, kept while the page is open; and this screen's words.

import { effect, signal } from "@preact/signals";
import { texts } from "../ui/i18n";
import { ended, session } from "../ui/session";
import en from "./catalogue.en.json";
import zh from "./catalogue.zh-CN.json";
import type { Written } from "./versions";

export const ct = texts(en, zh);

/** A text whose key is made at run time, or the word itself. */
export const csaid = (key: string, otherwise: string): string => (key in en ? ct(key as keyof typeof en) : otherwise);

export const working = signal<{ readonly before: Written; readonly after: Written } | null>(null);

let whose = "";

effect(() => {
  // it outlives a sign-in that ended by itself, for whoever worked on it
  const who = session.value;
  if (who === null && !ended.value) working.value = null;
  if (!who) return;
  if (whose !== who.account) working.value = null;
  whose = who.account;
});
