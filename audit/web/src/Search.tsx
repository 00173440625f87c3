import { useComputed } from "@preact/signals";
import { Button, Chip, Empty, Heads, Loading, Table } from "../../../crm_core/web/ui/pieces";
import { go, route, to } from "../../../crm_core/web/ui/route";
import type { JsonObject } from "../../../wallet/web/core/jcs";
import type { Item } from "./api";
import * as api from "./api";
import en from "./en.json";
import { Filters, Head, Trouble, words, Zone } from "./parts";
import { useReading } from "./reading";
import { event, exact, named, purposeName, short, t, who } from "./words";

const NAMES = ["person", "field", "type", "actor", "purpose", "from", "to"] as const;
const TYPES = Object.keys(en)
  .filter((key) => key.startsWith("type.") && key !== "type.other")
  .map((key) => key.slice("type.".length));
const SHOWN = 3;

/** Events by person, field, type, actor, purpose and time; what is looked for stays in the address. */
export function Search() {
  const looked = useComputed(() => Object.fromEntries(route.value.words));
  const reading = useReading((stop) => {
    const { person, ...rest } = looked.value;
    return api.events({ ...rest, ...(person ? { subject: person } : {}) }, { stop });
  });
  const found = reading.data.value;
  const { before, ...filters } = looked.value;
  const narrowed = Object.keys(filters).length > 0;
  return (
    <>
      <Head title={t("search")} lead={t("search.lead")} />
      <search>
        <form
          class="card padded stack tight"
          key={JSON.stringify(filters)}
          onSubmit={(event) => {
            event.preventDefault();
            go(to(["search"], words(event.currentTarget)));
          }}
        >
          <details open={narrowed || matchMedia("(min-width: 48rem)").matches}>
            <summary>{t("filters")}</summary>
            <Filters words={filters} names={NAMES} types={TYPES} />
          </details>
          <div class="actions">
            <Zone />
            {narrowed && (
              <Button kind="quiet" onClick={() => go(to(["search"]))}>
                {t("do.clear")}
              </Button>
            )}
            <Button kind="primary" type="submit" icon="search" busy={false}>
              {t("do.search")}
            </Button>
          </div>
        </form>
      </search>
      {reading.error.value !== null && <Trouble error={reading.error.value} onAgain={reading.again} />}
      <div class={`card list events ${reading.busy.value ? "waiting" : ""}`}>
        {!found && reading.error.value === null && <Loading lines={9} />}
        {found && found.items.length === 0 && (
          <Empty title={t(narrowed ? "none" : "none.log")} icon="search">
            {narrowed && <p>{t("none.more")}</p>}
          </Empty>
        )}
        {found && found.items.length > 0 && <Rows items={found.items} busy={reading.busy.value} />}
        {found && (found.next !== null || before) && (
          <footer class="pages">
            <p class="faint" role="status">
              {t("found.page", { n: found.items.length })}
            </p>
            {before && (
              <a class="button quiet" href={to(["search"], filters)}>
                {t("newest")}
              </a>
            )}
            {found.next !== null && (
              <a class="button quiet" href={to(["search"], { ...filters, before: String(found.next) })}>
                {t("older")}
              </a>
            )}
          </footer>
        )}
      </div>
    </>
  );
}

function Rows({ items, busy }: { readonly items: readonly Item[]; readonly busy: boolean }) {
  return (
    <Table label={t("search")} busy={busy}>
      <Heads all={(["what", "when", "whom", "fields", "purpose", "actor", "result"] as const).map((key) => t(key))} />
      <tbody>
        {items.map((one) => (
          <tr key={`${one.leaf} ${one.place}`}>
            <th scope="row">
              <a href={to(["record", String(one.leaf), String(one.place)])}>{event(one.type)}</a>
            </th>
            <td data-label={t("when")} class="tabular">
              <time dateTime={one.time}>{exact(one.time)}</time>
            </td>
            <td data-label={t("whom")}>{persons(one)}</td>
            <td data-label={t("fields")} title={fieldsOf(one).map(named).join(", ")}>
              {few(fieldsOf(one))}
            </td>
            <td data-label={t("purpose")}>{purpose(one)}</td>
            <td data-label={t("actor")}>{actor(one)}</td>
            <td data-label={t("result")}>
              <Result item={one} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function persons(one: Item) {
  if (!one.subject) return "";
  const others = (one.records ?? 1) - 1;
  return (
    <>
      <code>{short(one.subject)}</code>
      {others > 0 && <span class="faint"> {t("more.persons", { n: others })}</span>}
    </>
  );
}

function few(fields: readonly string[]): string {
  const first = fields.slice(0, fields.length > SHOWN ? SHOWN - 1 : SHOWN).map(named);
  const rest = fields.length - first.length;
  return [...first, ...(rest ? [t("more.fields", { n: rest })] : [])].join(" · ");
}

const keys = (node: unknown): string[] =>
  node && typeof node === "object" && !Array.isArray(node) ? Object.keys(node) : [];
const list = (node: unknown): string[] => (Array.isArray(node) ? node.map(String) : []);
const text = (node: JsonObject | undefined, name: string): string => String(node?.[name] ?? "");

/** The fields that a record names: released, withheld, or concerned otherwise. */
export function fieldsOf(one: Item): readonly string[] {
  const data = one.data ?? {};
  const all = [
    ...list(data.released),
    ...keys(data.withheld),
    ...list(data.fields),
    ...(data.field ? [String(data.field)] : []),
  ];
  return [...new Set(all)];
}

function purpose(one: Item): string {
  const iri = text(one.header, "purpose") || text(one.data, "purpose");
  return iri && purposeName(iri);
}

/** Who did it; what a wallet signed nobody of the organisation did. */
function actor(one: Item): string {
  const did = text(one.header, "reader") || text(one.header, "importer");
  if (did) return who(did);
  return /^consent\.(given|narrowed|refused|withdrawn)$|^enrolment\.completed$/.test(one.type) ? t("customer") : "";
}

export function Result({ item }: { readonly item: Item }) {
  if (!item.event) return <Chip tone="warn">{t("gone")}</Chip>;
  const released = list(item.data?.released).length;
  const withheld = keys(item.data?.withheld).length;
  if (item.type === "refusal" && !withheld) return <Chip tone="warn">{t("refused.chip")}</Chip>;
  if (released + withheld === 0) return null;
  return (
    <>
      {released > 0 && <Chip tone="good">{t("released.n", { n: released })}</Chip>}{" "}
      {withheld > 0 && <Chip>{t("withheld.n", { n: withheld })}</Chip>}
    </>
  );
}
