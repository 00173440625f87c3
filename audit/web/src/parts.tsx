// Small pieces that several screens of this page share.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import uiEn from "../../../crm_core/web/ui/en.json";
import { Problem } from "../../../crm_core/web/ui/http";
import { label, texts } from "../../../crm_core/web/ui/i18n";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, ErrorNote, Field, Select } from "../../../crm_core/web/ui/pieces";
import uiZh from "../../../crm_core/web/ui/zh-CN.json";
import { actors, catalogue } from "./audit";
import { event, known, short, t, who, zone } from "./words";

/** An id, shortened for the eyes and whole in the clipboard. */
export function Id({
  id,
  what,
  whole = false,
}: {
  readonly id: string;
  readonly what: string;
  readonly whole?: boolean;
}) {
  const done = useSignal(false);
  return (
    <span class="id">
      <code title={id}>{whole ? id : short(id)}</code>
      <button
        type="button"
        aria-label={done.value ? t("copied") : t("copy.what", { what })}
        title={t("copy")}
        onClick={() => void navigator.clipboard.writeText(id).then(() => (done.value = true))}
        onBlur={() => (done.value = false)}
      >
        <Icon name={done.value ? "check" : "copy"} />
      </button>
    </span>
  );
}

/** Who somebody is: the name of staff with their account, else as much as is known. */
export function Who({ did, role }: { readonly did: string; readonly role?: string }) {
  const staff = actors.value.get(did);
  return (
    <span class="person">
      <b>{who(did)}</b>
      {staff && <span class="faint">{staff.account}</span>}
      {role && <span class="faint">{t("record.role", { role: roleName(role) })}</span>}
    </span>
  );
}

const shared = texts(uiEn, uiZh);
const roleName = (role: string): string =>
  `role.${role}` in uiEn ? shared(`role.${role}` as keyof typeof uiEn) : role === "mailer" ? t("mailer") : role;

/** What went wrong, in the words of this page where it has any. */
export function Trouble({ error, onAgain }: { readonly error: unknown; readonly onAgain?: () => void }) {
  const key = error instanceof Problem ? `problem.${error.code}` : "";
  if (!known(key)) return <ErrorNote error={error} {...(onAgain ? { onAgain } : {})} />;
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <p>{t(key)}</p>
    </div>
  );
}

export interface Scope {
  readonly [name: string]: string;
}

interface FilterProps {
  readonly words: Scope;
  readonly names: readonly ("person" | "field" | "type" | "actor" | "purpose" | "from" | "to")[];
  readonly types?: readonly string[];
  readonly problem?: string | undefined;
}

/** The inputs of a filter, each under its name in the address. */
export function Filters({ words, names, types = [], problem }: FilterProps) {
  const value = (name: string): string => words[name] ?? "";
  return (
    <div class="filters">
      {names.map((name) => {
        if (name === "person")
          return (
            <Field
              key={name}
              label={t("person")}
              name={name}
              defaultValue={value(name)}
              placeholder={t("person.hint")}
              maxLength={200}
              spellcheck={false}
              autocapitalize="none"
              problem={problem}
            />
          );
        if (name === "from" || name === "to")
          return (
            <Field
              key={name}
              label={t(name)}
              name={name}
              type="datetime-local"
              step="1"
              defaultValue={local(value(name))}
            />
          );
        if (name === "actor") return <Actors key={name} value={value(name)} />;
        const options =
          name === "field" ? fields() : name === "purpose" ? purposes() : types.map((one): Option => [one, event(one)]);
        return <Choice key={name} name={name} value={value(name)} options={options} other={value(name)} />;
      })}
    </div>
  );
}

function Actors({ value }: { readonly value: string }) {
  const all = [...actors.value.values()].map((one): Option => [one.did, `${one.name} (${one.account})`]);
  return <Choice name="actor" value={value} options={all} other={who(value)} />;
}

type Option = readonly [id: string, text: string];

interface ChoiceProps {
  readonly name: "actor" | "field" | "purpose" | "type";
  readonly value: string;
  readonly options: readonly Option[];
  /** What to call a value that is not among the options. */
  readonly other: string;
}

/** One of these, or any. The first choice is the option's: a `value` of the whole would undo what somebody has chosen
 * whenever the screen is drawn anew. */
function Choice({ name, value, options, other }: ChoiceProps) {
  return (
    <Select label={t(name)} name={name}>
      <option value="">{t("any")}</option>
      {options.map(([id, text]) => (
        <option key={id} value={id} selected={id === value}>
          {text}
        </option>
      ))}
      {value && !options.some(([id]) => id === value) && (
        <option value={value} selected>
          {other}
        </option>
      )}
    </Select>
  );
}

export const fields = (): [string, string][] =>
  (catalogue.value?.fields ?? []).map((one): [string, string] => [one.id, label(one.labels)]).sort(byText);
const purposes = (): [string, string][] =>
  (catalogue.value?.purposes ?? []).map((one): [string, string] => [one.iri, label(one.labels)]).sort(byText);
const byText = (one: [string, string], other: [string, string]): number => one[1].localeCompare(other[1]);

/** What a form of `Filters` says, without what is empty; times in UTC, as the address and the API have them. */
export function words(form: HTMLFormElement): Record<string, string> {
  const given = [...new FormData(form)].map(([name, value]): [string, string] => {
    const text = String(value).trim();
    const time = name === "from" || name === "to";
    return [name, time && text ? new Date(text).toISOString() : text];
  });
  return Object.fromEntries(given.filter(([, value]) => value !== ""));
}

/** A moment as `datetime-local` wants it, in the zone of whoever looks. */
function local(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** Which zone the times of a screen are in. */
export function Zone() {
  return <p class="faint zone">{t("times", { zone: zone() })}</p>;
}

export function Head({ title, lead, children }: { title: string; lead?: string; children?: ComponentChildren }) {
  return (
    <header class="top">
      <div class="title">
        <h1>{title}</h1>
        {lead && <p class="soft">{lead}</p>}
      </div>
      {children}
    </header>
  );
}

/** A line of facts: what, and what it is. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Facts one below the other, and which zone their times are in. */
export function Facts({ children }: { readonly children: ComponentChildren }) {
  return (
    <div class="card facts-card">
      <dl class="facts-list">{children}</dl>
      <Zone />
    </div>
  );
}

/** A file made of what is on the page. */
export function save(content: unknown, name: string): void {
  const blob = new Blob([JSON.stringify(content, null, 2)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A button that saves. */
export function Save({ content, name, children }: { content: unknown; name: string; children: ComponentChildren }) {
  return (
    <Button icon="download" onClick={() => save(content, name)}>
      {children}
    </Button>
  );
}

/** A text as it is, which scrolls within itself, reachable by keyboard. */
export function Raw({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a text is no set of inputs, and no landmark either
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <div class="raw" role="group" aria-label={label} tabIndex={0}>
      <pre>{children}</pre>
    </div>
  );
}
