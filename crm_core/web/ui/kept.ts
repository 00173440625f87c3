// What somebody was typing when their sign-in ended: kept in memory alone, and only for them, until they are back.

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ended, session } from "./session";

const kept = new Map<string, unknown>();
let whose = "";

/** What was kept under a name, once. Another account finds nothing, and nothing is left for the first one either. */
function take(name: string): unknown {
  const account = session.peek()?.account ?? "";
  if (account !== whose) kept.clear();
  whose = account;
  return kept.get(name);
}

/** When the sign-in ends by itself, `what` is kept under a name; whoever leaves a screen leaves nothing. */
function useKeeping(name: string, what: () => unknown): void {
  useEffect(() => {
    kept.delete(name);
    return () => {
      if (session.peek() === null && ended.peek()) kept.set(name, what());
    };
  }, []);
}

/** A signal that outlives the end of a sign-in: it begins with what it was then, or else with `first`. */
export function useKept<T>(name: string, first: () => T): Signal<T> {
  const begun = useRef<{ readonly value: T } | null>(null);
  begun.current ??= { value: (take(name) as T | undefined) ?? first() };
  const made = useSignal<T>(begun.current.value);
  useKeeping(name, () => made.peek());
  return made;
}

/** A form whose inputs outlive the end of a sign-in, as far as they have a name. Passwords and files do not. */
export function useKeptForm(name: string): RefObject<HTMLFormElement | null> {
  const form = useRef<HTMLFormElement>(null);
  const last = useRef<HTMLFormElement | null>(null);
  useEffect(() => {
    last.current = form.current;
    const before = take(name) as Readonly<Record<string, string>> | undefined;
    for (const one of inputs(last.current)) {
      const value = before?.[one.name];
      if (one instanceof HTMLInputElement && one.type === "checkbox") {
        if (before) one.checked = value !== undefined;
      } else if (value !== undefined) one.value = value;
    }
  }, []);
  useKeeping(name, () => Object.fromEntries(told(last.current)));
  return form;
}

type Input = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const inputs = (form: HTMLFormElement | null): Input[] =>
  [...(form?.querySelectorAll<Input>("input[name], select[name], textarea[name]") ?? [])].filter(
    (one) => one.type !== "password" && one.type !== "file",
  );

const told = (form: HTMLFormElement | null): [string, string][] =>
  inputs(form)
    .filter((one) => !(one instanceof HTMLInputElement && one.type === "checkbox" && !one.checked))
    .map((one) => [one.name, one.value]);
