import { useSignal } from "@preact/signals";
import { Problem } from "../ui/http";
import { label } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { Button, Chip, Dialog, ErrorNote, Field, Note, Select } from "../ui/pieces";
import { EntryForm } from "./CatalogueEntry";
import { Changes } from "./CatalogueReview";
import { csaid, ct, working } from "./catalogue";
import { BEGINNINGS, type Fault, faultAt, SECTIONS, type Section } from "./shapes";
import { declare, differences, type Entry, type Written } from "./versions";

/** The next version, put together entry by entry; nothing is sent before it is signed as a draft. */
export function Editor({ onDone }: { readonly onDone: () => void }) {
  const section = useSignal<Section>("fields");
  const chosen = useSignal("");
  const fault = useSignal<Fault | null>(null);
  const error = useSignal<unknown>(null);
  const busy = useSignal(false);
  const looking = useSignal(false);
  const now = working.value;
  if (!now) return null;
  const { before, after } = now;
  const changes = differences(before, after).filter((one) => one.place !== "version");

  const write = (part: Partial<Written>) => {
    working.value = { before, after: { ...after, ...part } };
  };

  async function sign(event: SubmitEvent) {
    event.preventDefault();
    busy.value = true;
    error.value = null;
    fault.value = null;
    try {
      await declare(after);
      working.value = null;
      onDone();
    } catch (problem) {
      const found =
        problem instanceof Problem && problem.field ? faultAt(problem.field, problem.detail, { ...after }) : null;
      fault.value = found;
      if (found === null) error.value = problem;
      else if (found.section !== "version") {
        section.value = found.section;
        chosen.value = found.key;
      }
      busy.value = false;
    }
  }

  return (
    <>
      <header class="top">
        <div class="title">
          <h1>{ct("editor")}</h1>
          <p class="soft">{ct("editor.lead", { version: before.version })}</p>
        </div>
        <Button onClick={() => (working.value = null)}>{ct("discard")}</Button>
      </header>
      <form class="card sign" onSubmit={sign}>
        <Field
          label={ct("name")}
          hint={ct("name.hint")}
          maxLength={64}
          required
          value={after.version}
          problem={
            fault.value?.section === "version" ? csaid(`said.${fault.value.detail}`, fault.value.detail) : undefined
          }
          onInput={(event) => write({ version: event.currentTarget.value })}
        />
        <p class="actions">
          <Button disabled={changes.length === 0} aria-haspopup="dialog" onClick={() => (looking.value = true)}>
            {ct("changes.n", { n: changes.length })}
          </Button>
          <Button kind="primary" icon="pen" type="submit" busy={busy.value} disabled={changes.length === 0}>
            {ct("sign")}
          </Button>
        </p>
      </form>
      {error.value !== null && <ErrorNote error={error.value} />}
      {fault.value && fault.value.section !== "version" && (
        <div class="note bad" role="alert">
          <Icon name="alert" />
          <p>
            <b>
              {[ct(`section.${fault.value.section}`), fault.value.key, member(fault.value.member)]
                .filter(Boolean)
                .join(" › ")}
            </b>
            <br />
            {csaid(`said.${fault.value.detail}`, fault.value.detail)}
          </p>
        </div>
      )}
      <div class="columns editor">
        <Entries
          section={section.value}
          chosen={chosen.value}
          written={after}
          before={before}
          onSection={(one) => {
            section.value = one;
            chosen.value = "";
          }}
          onChoose={(key) => (chosen.value = key)}
          onAdd={(key) => {
            const of = section.value;
            if (of === "notices") return;
            const notice =
              of === "purposes" && !(key in after.notices) ? { [key]: { "1": { en: "", "zh-CN": "" } } } : {};
            write({
              [of]: { ...after[of], [key]: begun(of, after) },
              notices: { ...after.notices, ...notice },
            } as Partial<Written>);
            chosen.value = key;
          }}
        />
        {chosen.value ? (
          <EntryForm
            key={`${section.value} ${chosen.value}`}
            section={section.value}
            name={chosen.value}
            written={after}
            before={before}
            fault={fault.value?.section === section.value && fault.value.key === chosen.value ? fault.value : null}
            onWrite={(part) => {
              if (fault.value) fault.value = null;
              write(part);
            }}
            onRemoved={() => (chosen.value = "")}
          />
        ) : (
          <Note icon="info">{ct("editor.choose")}</Note>
        )}
      </div>
      {looking.value && (
        <Dialog title={ct("changes")} onClose={() => (looking.value = false)}>
          <Changes changes={changes} />
        </Dialog>
      )}
    </>
  );
}

const member = (name: string): string => (name ? csaid(`member.${name}`, name) : "");

/** A new entry; a field gets the lowest place that none has. The server knows those of fields that are no more. */
function begun(of: Exclude<Section, "notices">, written: Written): Entry {
  if (of !== "fields") return BEGINNINGS[of];
  const taken = new Set(Object.values(written.fields).map((one) => one.bit));
  const bit = Array.from({ length: 128 }, (_, at) => at).find((one) => !taken.has(one)) ?? 0;
  return { ...BEGINNINGS.fields, bit };
}

interface EntriesProps {
  readonly section: Section;
  readonly chosen: string;
  readonly written: Written;
  readonly before: Written;
  readonly onSection: (one: Section) => void;
  readonly onChoose: (key: string) => void;
  readonly onAdd: (key: string) => void;
}

function Entries({ section, chosen, written, before, onSection, onChoose, onAdd }: EntriesProps) {
  const wanted = useSignal("");
  const all = Object.entries((written[section] ?? {}) as Readonly<Record<string, Entry>>);
  const shown = all.filter(([key, one]) => `${key} ${titleOf(one)}`.toLowerCase().includes(wanted.value.toLowerCase()));
  const was = (before[section] ?? {}) as Readonly<Record<string, unknown>>;

  function add(event: SubmitEvent) {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const key = String(new FormData(form).get("key")).trim();
    if (!key || all.some(([one]) => one === key)) return onChoose(key);
    form.reset();
    onAdd(key);
  }

  return (
    <section class="card entries" aria-label={ct(`section.${section}`)}>
      <Select
        label={ct("section")}
        value={section}
        onChange={(event) => {
          wanted.value = "";
          onSection(event.currentTarget.value as Section);
        }}
      >
        {SECTIONS.map((one) => (
          <option key={one} value={one}>
            {ct(`section.${one}`)}
          </option>
        ))}
      </Select>
      <Field
        label={ct("find")}
        type="search"
        value={wanted.value}
        onInput={(event) => (wanted.value = event.currentTarget.value)}
      />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <ul tabIndex={0} aria-label={ct(`section.${section}`)}>
        {shown.map(([key, one]) => (
          <li key={key}>
            <button type="button" aria-pressed={key === chosen} onClick={() => onChoose(key)}>
              <span>{section === "notices" ? key : titleOf(one) || key}</span>
              <small class="faint mono">{section === "notices" ? "" : key}</small>
              {JSON.stringify(was[key]) !== JSON.stringify(one) && (
                <Chip tone="warn">{ct(key in was ? "kind.changed" : "kind.added")}</Chip>
              )}
            </button>
          </li>
        ))}
      </ul>
      {section !== "notices" && (
        <form class="add" onSubmit={add}>
          <Field
            label={ct(`new.${section}`)}
            hint={ct(section === "fields" ? "new.hint.fields" : "new.hint")}
            name="key"
            autocapitalize="none"
            spellcheck={false}
            required
          />
          <Button type="submit" icon="plus">
            {ct("add")}
          </Button>
        </form>
      )}
    </section>
  );
}

const titleOf = (one: Entry): string =>
  typeof one.labels === "object" && one.labels ? label(one.labels as Record<string, string>) : "";
