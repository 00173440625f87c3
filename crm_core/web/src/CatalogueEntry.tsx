import { useSignal } from "@preact/signals";
import { label } from "../ui/i18n";
import { Button, Dialog, Field, Select } from "../ui/pieces";
import { csaid, ct } from "./catalogue";
import { type Fault, type Member, ROLES, type Section, SHAPES } from "./shapes";
import type { Entry, Written } from "./versions";

const LANGUAGES = { en: "English", "zh-CN": "简体中文" } as const;
const NEEDS = ["", "optional", "required"] as const;

interface Props {
  readonly section: Section;
  readonly name: string;
  readonly written: Written;
  readonly before: Written;
  readonly fault: Fault | null;
  readonly onWrite: (part: Partial<Written>) => void;
  readonly onRemoved: () => void;
}

/** One entry of the catalogue, member by member. */
export function EntryForm(props: Props) {
  return props.section === "notices" ? <NoticeForm {...props} /> : <MembersForm {...props} section={props.section} />;
}

function MembersForm({
  section,
  name,
  written,
  before,
  fault,
  onWrite,
  onRemoved,
}: Props & { readonly section: Exclude<Section, "notices"> }) {
  const entry: Entry = written[section]?.[name] ?? {};
  const removing = useSignal(false);
  const known = name in (before[section] ?? {});
  const put = (member: string, value: unknown) => {
    const { [member]: _gone, ...rest } = entry;
    const changed = value === undefined ? rest : { ...rest, [member]: value };
    onWrite({ [section]: { ...written[section], [name]: changed } } as Partial<Written>);
  };
  function remove() {
    const { [name]: _gone, ...rest } = written[section] ?? {};
    const part: Partial<Written> = { [section]: rest };
    if (section === "purposes" && !(name in before.purposes)) {
      const { [name]: _notice, ...notices } = written.notices;
      onWrite({ ...part, notices });
    } else onWrite(part);
    onRemoved();
  }
  return (
    <section class="card stack padded" aria-labelledby="entry">
      <header class="file">
        <div>
          <h2 id="entry">{label((entry.labels as Record<string, string>) ?? {}) || name}</h2>
          <p class="faint mono">{name}</p>
        </div>
        <Button
          kind="quiet"
          class="danger"
          aria-haspopup={known ? "dialog" : undefined}
          onClick={() => {
            if (known) removing.value = true;
            else remove();
          }}
        >
          {ct("remove")}
        </Button>
      </header>
      {fault?.member === "" && <p class="hint bad">{csaid(`said.${fault.detail}`, fault.detail)}</p>}
      {SHAPES[section].map((member) => (
        <Entered
          key={member.name}
          member={member}
          value={entry[member.name]}
          fixed={member.fixed === true && known}
          problem={fault?.member === member.name ? csaid(`said.${fault.detail}`, fault.detail) : undefined}
          written={written}
          onPut={(value) => put(member.name, value)}
        />
      ))}
      {removing.value && (
        <Dialog title={ct("remove.title", { name })} onClose={() => (removing.value = false)}>
          <p>{ct(`remove.${section}`)}</p>
          <p class="actions">
            <Button kind="danger" onClick={remove}>
              {ct("remove")}
            </Button>
          </p>
        </Dialog>
      )}
    </section>
  );
}

interface EnteredProps {
  readonly member: Member;
  readonly value: unknown;
  readonly fixed: boolean;
  readonly problem: string | undefined;
  readonly written: Written;
  readonly onPut: (value: unknown) => void;
}

function Entered({ member, value, fixed, problem, written, onPut }: EnteredProps) {
  const name = csaid(`member.${member.name}`, member.name);
  const hint = csaid(`hint.${member.name}`, "");
  const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
  const given = (typed: string) => (typed === "" && member.optional ? undefined : typed);
  switch (member.way) {
    case "labels":
      return <Labels name={name} value={value} problem={problem} onPut={onPut} />;
    case "flag":
      return (
        <label class="check">
          <input
            type="checkbox"
            checked={value === true}
            disabled={fixed}
            onChange={(event) => onPut(event.currentTarget.checked || (member.optional ? undefined : false))}
          />
          <span>
            {name} <small class={problem ? "bad" : "faint"}>{problem ?? hint}</small>
          </span>
        </label>
      );
    case "choice":
      return (
        <div class="stack tight">
          <Select
            label={name}
            value={text}
            disabled={fixed}
            onChange={(event) => onPut(given(event.currentTarget.value))}
          >
            {member.optional && <option value="">{ct("nothing")}</option>}
            {member.among?.map((one) => (
              <option key={one} value={one}>
                {csaid(`${member.name}.${one}`, one)}
              </option>
            ))}
          </Select>
          {problem && <span class="hint bad">{problem}</span>}
        </div>
      );
    case "roles":
      return <Roles name={name} value={value} problem={problem} onPut={onPut} />;
    case "needs":
      return <Needs name={name} value={value} problem={problem} written={written} onPut={onPut} />;
    case "list":
      return (
        <Field
          label={name}
          hint={hint || ct("hint.list")}
          problem={problem}
          optional={member.optional === true}
          value={Array.isArray(value) ? value.join(", ") : ""}
          onChange={(event) => {
            const found = event.currentTarget.value
              .split(/[,，]/)
              .map((one) => one.trim())
              .filter(Boolean);
            onPut(found.length === 0 && member.optional ? undefined : found);
          }}
        />
      );
    default:
      return (
        <Field
          label={name}
          hint={hint}
          problem={problem}
          optional={member.optional === true}
          disabled={fixed}
          type={member.way === "number" ? "number" : "text"}
          value={text}
          onChange={(event) =>
            onPut(member.way === "number" ? event.currentTarget.valueAsNumber : given(event.currentTarget.value.trim()))
          }
        />
      );
  }
}

interface PartProps {
  readonly name: string;
  readonly value: unknown;
  readonly problem: string | undefined;
  readonly onPut: (value: unknown) => void;
}

function Labels({ name, value, problem, onPut }: PartProps) {
  const labels = (value ?? {}) as Readonly<Record<string, string>>;
  return (
    <div class="pair">
      {Object.entries(LANGUAGES).map(([code, language]) => (
        <Field
          key={code}
          label={`${name} (${language})`}
          lang={code}
          problem={problem}
          value={labels[code] ?? ""}
          onChange={(event) => onPut({ ...labels, [code]: event.currentTarget.value.trim() })}
        />
      ))}
    </div>
  );
}

function Roles({ name, value, problem, onPut }: PartProps) {
  const roles = Array.isArray(value) ? (value as string[]) : [];
  return (
    <fieldset class="stack tight">
      <legend>{name}</legend>
      <div class="ticks">
        {ROLES.map((one) => (
          <label key={one} class="check">
            <input
              type="checkbox"
              checked={roles.includes(one)}
              onChange={(event) => {
                const on = event.currentTarget.checked;
                onPut(on ? [...roles, one] : roles.filter((other) => other !== one));
              }}
            />
            {one}
          </label>
        ))}
      </div>
      {problem && <span class="hint bad">{problem}</span>}
    </fieldset>
  );
}

/** Which fields a purpose needs: not at all, perhaps, or always. */
function Needs({ name, value, problem, written, onPut }: PartProps & { readonly written: Written }) {
  const needs = (value ?? {}) as Readonly<Record<string, string>>;
  const wanted = useSignal("");
  const found = Object.entries(written.fields).filter(([id, one]) => {
    const title = label((one.labels as Record<string, string>) ?? {});
    return wanted.value ? `${id} ${title}`.toLowerCase().includes(wanted.value.toLowerCase()) : id in needs;
  });
  function put(id: string, need: string) {
    const { [id]: _gone, ...rest } = needs;
    onPut(need ? { ...rest, [id]: need } : rest);
  }
  return (
    <fieldset class="stack tight needs">
      <legend>
        {name}
        <span class="faint">{ct("needs.more")}</span>
      </legend>
      {problem && <span class="hint bad">{problem}</span>}
      <Field
        label={ct("needs.find")}
        type="search"
        value={wanted.value}
        onInput={(event) => (wanted.value = event.currentTarget.value)}
      />
      <ul>
        {found.map(([id, one]) => {
          const title = label((one.labels as Record<string, string>) ?? {}) || id;
          return (
            <li key={id}>
              <Select
                label={title}
                class="small"
                value={needs[id] ?? ""}
                onChange={(event) => put(id, event.currentTarget.value)}
              >
                {NEEDS.map((need) => (
                  <option key={need} value={need}>
                    {ct(need === "" ? "need.not" : need === "optional" ? "need.optional" : "need.required")}
                  </option>
                ))}
              </Select>
            </li>
          );
        })}
      </ul>
    </fieldset>
  );
}

/** The notices of a purpose: what people answered stays as it is; a new version goes beside it. */
function NoticeForm({ name, written, before, fault, onWrite }: Props) {
  const versions = written.notices[name] ?? {};
  const signed = before.notices[name] ?? {};
  const newest = Object.keys(versions).reduce((most, one) => Math.max(most, Number(one)), 0);
  const put = (version: string, texts: Readonly<Record<string, string>>) =>
    onWrite({ notices: { ...written.notices, [name]: { ...versions, [version]: texts } } });
  return (
    <section class="card stack padded" aria-labelledby="entry">
      <header class="file">
        <div>
          <h2 id="entry">{ct("notice.of", { name })}</h2>
          <p class="faint">{ct("notice.more")}</p>
        </div>
        {newest === Object.keys(signed).length && (
          <Button icon="plus" onClick={() => put(String(newest + 1), versions[String(newest)] ?? {})}>
            {ct("notice.add")}
          </Button>
        )}
      </header>
      {fault && <p class="hint bad">{csaid(`said.${fault.detail}`, fault.detail)}</p>}
      {Object.entries(versions)
        .sort(([one], [other]) => Number(other) - Number(one))
        .map(([version, texts]) => (
          <fieldset key={version} class="stack tight">
            <legend>{ct("notice.version", { version })}</legend>
            {Object.entries(LANGUAGES).map(([code, language]) => (
              <label key={code} class="text">
                <span>{language}</span>
                <textarea
                  lang={code}
                  rows={version in signed ? 4 : 10}
                  readOnly={version in signed}
                  value={texts[code] ?? ""}
                  onChange={(event) => put(version, { ...texts, [code]: event.currentTarget.value })}
                />
              </label>
            ))}
          </fieldset>
        ))}
    </section>
  );
}
