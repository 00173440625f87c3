/** Pieces that only the wallet has. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button } from "../../../crm_core/web/ui/pieces";
import { CoreError } from "../core/bytes";
import { problem, t } from "./words";

/** What went wrong, read out at once. */
export function Trouble({ error, onAgain }: { readonly error: unknown; readonly onAgain?: () => void }) {
  if (error === null || error === undefined) return null;
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <p>{problem(error)}</p>
      {onAgain && <Button onClick={onAgain}>{t("again")}</Button>}
    </div>
  );
}

/** Something that is fetched: undefined while it is on its way. */
export function useFetched<T>(fetch: () => Promise<T>, keys: readonly unknown[]) {
  const value = useSignal<T | undefined>(undefined);
  const error = useSignal<unknown>(null);
  const load = async (): Promise<void> => {
    error.value = null;
    try {
      value.value = await fetch();
    } catch (found) {
      error.value = found;
    }
  };
  useEffect(() => {
    value.value = undefined;
    void load();
  }, keys);
  return { value, error, load };
}

/** A term and what it says. */
export function Fact({ term, children }: { readonly term: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The headline of a screen, with a word about it. Whoever comes to the screen begins here, unless they type already. */
export function Title({ children, lead }: { readonly children: ComponentChildren; readonly lead?: string }) {
  const line = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const at = document.activeElement;
    if (at === null || at === document.body || !line.current?.closest("main")?.contains(at)) {
      line.current?.focus({ preventScroll: true });
    }
  }, []);
  return (
    <header class="title">
      <h1 ref={line} tabIndex={-1}>
        {children}
      </h1>
      {lead && <p class="soft">{lead}</p>}
    </header>
  );
}

/** Hand a file to the owner. */
export function download(name: string, text: string, type = "application/json"): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A name for a file that says when it was made. */
export const stamped = (name: string, extension: string): string =>
  `${name}-${new Date().toISOString().slice(0, 10)}.${extension}`;

/** What was written into a field of a form. */
export const told = (form: HTMLFormElement, name: string): string => String(new FormData(form).get(name) ?? "");

/** A passphrase that was typed the same way twice. */
export function twice(form: HTMLFormElement): string {
  const passphrase = told(form, "passphrase");
  if (passphrase !== told(form, "again")) throw new CoreError("not_the_same", "not typed the same twice", "again");
  return passphrase;
}
