// The pieces that all pages are made of: native elements with a class, a label and the right states.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import en from "./en.json";
import { Problem } from "./http";
import { choose, LANGUAGES, type Language, language, texts } from "./i18n";
import { Icon, type IconName } from "./icons";
import zh from "./zh-CN.json";

const t = texts(en, zh);
type Children = { readonly children?: ComponentChildren };

/** A button. `kind`: one `primary` at most per view; `quiet` has no border; `danger` ends something. */
export function Button({
  kind = "plain",
  icon,
  busy = false,
  type = "button",
  class: extra = "",
  children,
  ...rest
}: Omit<JSX.IntrinsicElements["button"], "icon"> & {
  readonly kind?: "primary" | "plain" | "quiet" | "danger";
  readonly icon?: IconName;
  readonly busy?: boolean;
}) {
  return (
    <button
      {...rest}
      type={type}
      class={`button ${kind} ${extra as string}`}
      aria-busy={busy}
      disabled={busy || rest.disabled}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A labelled input. `hint` explains, `problem` says what is wrong; both are read out with the input. */
export function Field({
  label,
  hint,
  problem,
  optional = false,
  ...rest
}: Omit<JSX.IntrinsicElements["input"], "type"> & {
  readonly type?: string;
  readonly label: string;
  readonly hint?: string;
  readonly problem?: string | undefined;
  readonly optional?: boolean;
}) {
  const id = useId();
  return (
    <p class="field">
      <label for={id}>
        {label}
        {optional && <small>{t("optional")}</small>}
      </label>
      <input
        {...(rest as JSX.IntrinsicElements["input"])}
        id={id}
        aria-invalid={problem ? "true" : undefined}
        aria-describedby={`${id}-more`}
      />
      <span id={`${id}-more`} class={problem ? "hint bad" : "hint"}>
        {problem ?? hint}
      </span>
    </p>
  );
}

/** A labelled choice out of a few; `quietly` hides the label from eyes alone. */
export function Select({
  label,
  quietly = false,
  children,
  ...rest
}: JSX.IntrinsicElements["select"] & { readonly label: string; readonly quietly?: boolean }) {
  const id = useId();
  return (
    <span class="field select">
      <label for={id} class={quietly ? "unseen" : ""}>
        {label}
      </label>
      <select {...rest} id={id}>
        {children}
      </select>
    </span>
  );
}

/** A modal dialog, open while it is rendered; Escape, the cross and a click beside it close it. */
export function Dialog({
  title,
  onClose,
  children,
}: Children & { readonly title: string; readonly onClose: () => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    ref.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a modal dialog by itself
    <dialog
      ref={ref}
      class="dialog"
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === ref.current && ref.current?.close()}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" class="square" aria-label={t("close")} onClick={() => ref.current?.close()}>
          <Icon name="cross" />
        </Button>
      </header>
      <div class="body">{children}</div>
    </dialog>
  );
}

/** A word in a capsule. `tone` never says alone what the word does not. */
export function Chip({
  tone = "plain",
  icon,
  children,
}: Children & { readonly tone?: "plain" | "good" | "warn" | "bad"; readonly icon?: IconName }) {
  return (
    <span class={`chip ${tone}`}>
      {icon && <Icon name={icon} />}
      {children}
    </span>
  );
}

/** Nothing there: what that means, and what could be done. */
export function Empty({
  title,
  icon = "empty",
  children,
}: Children & { readonly title: string; readonly icon?: IconName }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <p class="title">{title}</p>
      {children}
    </div>
  );
}

/** Lines in the place of what is on its way, so that nothing jumps when it comes. */
export function Loading({ lines = 4 }: { readonly lines?: number }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const timer = setTimeout(() => ref.current?.classList.add("slow"), 400); // what comes at once need not move
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class="loading" role="status" ref={ref}>
      <span class="unseen">{t("loading")}</span>
      {Array.from({ length: lines }, (_, at) => (
        <span class="bar" key={at} />
      ))}
    </div>
  );
}

/** A problem in the words of the page. */
export function told(error: unknown): string {
  if (!(error instanceof Problem)) return t("problem.server");
  const key = `problem.${error.code}`;
  if (key in en) return t(key as keyof typeof en);
  return error.status >= 500 ? t("problem.server") : t("problem.other", { detail: error.detail });
}

/** What went wrong, read out at once, with a way to try again where there is one. */
export function ErrorNote({ error, onAgain }: { readonly error: unknown; readonly onAgain?: () => void }) {
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <p>{told(error)}</p>
      {onAgain && <Button onClick={onAgain}>{t("again")}</Button>}
    </div>
  );
}

/** A quiet remark. */
export function Note({
  tone = "plain",
  icon = "info",
  children,
}: Children & { readonly tone?: "plain" | "good" | "warn"; readonly icon?: IconName }) {
  return (
    <div class={`note ${tone}`}>
      <Icon name={icon} />
      <div>{children}</div>
    </div>
  );
}

/** Each language by its own name. */
export function LanguageSwitch() {
  return (
    <Select
      label={t("language")}
      quietly
      class="small"
      value={language.value}
      onChange={(event) => choose(event.currentTarget.value as Language)}
    >
      {Object.entries(LANGUAGES).map(([code, name]) => (
        <option key={code} value={code} lang={code}>
          {name}
        </option>
      ))}
    </Select>
  );
}

/** The headings of a table's columns. */
export const Heads = ({ all, children }: Children & { readonly all: readonly string[] }) => (
  <thead>
    <tr>
      {all.map((one) => (
        <th key={one} scope="col" class="plain">
          {one}
        </th>
      ))}
      {children}
    </tr>
  </thead>
);

/** A table that scrolls sideways within itself, reachable by keyboard. */
export function Table({
  label,
  busy = false,
  columns,
  children,
}: Children & { readonly label: string; readonly busy?: boolean; readonly columns?: number }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="table" aria-label={label} aria-busy={busy} tabIndex={0}>
      <table style={columns === undefined ? undefined : { "--columns": columns }}>
        <caption class="unseen">{label}</caption>
        {children}
      </table>
    </section>
  );
}
