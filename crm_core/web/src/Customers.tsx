import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../ui/icons";
import { Button, Empty, ErrorNote, Loading, Table } from "../ui/pieces";
import { to } from "../ui/route";
import type { Customer, FieldEntry, Page, PurposeEntry } from "./api";
import * as api from "./api";
import { field, fieldsOf } from "./desk";
import { type Asked, ask, askedBefore, clear, NAMES, question } from "./listing";
import { useReading } from "./reading";
import { PurposePicker } from "./Shell";
import { Tools } from "./Tools";
import { lock, named, nameOf, short, shown, t } from "./words";

/** The customers of a purpose. Rendered anew (by key) for another purpose. */
export function Customers({ of }: { readonly of: PurposeEntry }) {
  const fields = fieldsOf(of);
  const asked = askedBefore(of, fields);
  const names = NAMES.filter((id) => of.fields.includes(id));
  const reading = useReading<Page>((stop) => api.customers(question(of, names, asked), { stop }), "values");
  const filtered = asked.search.value !== "" || asked.filters.value.length > 0 || asked.granted.value;
  return (
    <>
      <header class="top">
        <h1>{t("customers")}</h1>
        <PurposePicker />
      </header>
      <Tools asked={asked} fields={fields} query={() => question(of, names, asked)} />
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {reading.data.value ? (
        <div class={`card list people ${reading.busy.value ? "waiting" : ""}`}>
          {reading.data.value.items.length > 0 ? (
            <Rows page={reading.data.value} asked={asked} names={names} busy={reading.busy.value} />
          ) : (
            <Empty title={t("none")} icon="search">
              <p>{t("none.more")}</p>
              {filtered && <Button onClick={() => clear(asked)}>{t("clear")}</Button>}
            </Empty>
          )}
          <Pages page={reading.data.value} asked={asked} />
        </div>
      ) : (
        reading.error.value === null && (
          <div class="card list">
            <Loading lines={12} />
          </div>
        )
      )}
    </>
  );
}

interface RowsProps {
  readonly page: Page;
  readonly asked: Asked;
  readonly names: readonly string[];
  readonly busy: boolean;
}

function Rows({ page, asked, names, busy }: RowsProps) {
  const columns = asked.columns.value.map((id): Column => ({ id, name: named(id), entry: field(id) }));
  const locks: Locks = new Map();
  const body = useRef<HTMLTableSectionElement>(null);
  useEffect(() => body.current?.classList.remove("first"), []); // once painted: until then only what is in sight is
  return (
    <Table label={t("customers")} busy={busy} columns={columns.length + 1}>
      <thead>
        <tr>
          <Heading id={names[0]} text={t("customer")} asked={asked} />
          {columns.map(({ id, name }) => (
            <Heading key={id} id={id} text={name} asked={asked} />
          ))}
        </tr>
      </thead>
      <tbody ref={body} class="first">
        {page.items.map((customer, at) => row(customer, columns, locks, at * ROW > innerHeight))}
      </tbody>
    </Table>
  );
}

/** The least that a row is high, in pixels: what is below the window is not drawn at first. */
const ROW = 40;

/** What a lock says, by the reason: hundreds of them have a few. */
type Locks = Map<string, string>;

/** A text of more letters may be cut off in its column. */
const LONG = 14;

interface Column {
  readonly id: string;
  readonly name: string;
  readonly entry: FieldEntry | undefined;
}

/** A customer's row. It and its cells are no components: a list has a thousand, and each would listen to signals. */
function row(customer: Customer, columns: readonly Column[], locks: Locks, below: boolean) {
  const name = nameOf(customer);
  const held = columns.filter(({ id }) => id in customer.withheld).length;
  return (
    <tr key={customer.subject} class={below ? "below" : undefined}>
      <th scope="row">
        <a href={to(["customers", customer.subject])} class={name ? "" : "mono"}>
          {name || short(customer.subject)}
        </a>
        {held > 0 && (
          <span class="held">{held === columns.length ? t("withheld.all") : t("withheld.count", { n: held })}</span>
        )}
      </th>
      {columns.map((column) => cell(customer, column, locks))}
    </tr>
  );
}

function cell(customer: Customer, { id, name, entry }: Column, locks: Locks) {
  const reason = customer.withheld[id];
  if (reason) {
    const text = locks.get(reason) ?? t("withheld", { reason: lock(reason) });
    locks.set(reason, text);
    return (
      <td key={id} data-label={name} class="withheld">
        <span class="locked" title={text}>
          {text}
        </span>
      </td>
    );
  }
  const text = shown(customer.fields[id] ?? null, entry);
  if (text === "")
    return (
      <td key={id} data-label={name} class="absent faint">
        <span class="unseen">{t("absent")}</span>
      </td>
    );
  return (
    <td
      key={id}
      data-label={name}
      class={entry?.type === "number" ? "tabular" : undefined}
      title={text.length > LONG ? text : undefined}
    >
      {text}
    </td>
  );
}

function Heading({
  id,
  text,
  asked,
}: {
  readonly id: string | undefined;
  readonly text: string;
  readonly asked: Asked;
}) {
  if (!id) return <th scope="col">{text}</th>;
  const now = asked.sort.value === id ? "ascending" : asked.sort.value === `-${id}` ? "descending" : "none";
  const next = now === "none" ? id : now === "ascending" ? `-${id}` : "";
  return (
    <th scope="col" aria-sort={now}>
      <button type="button" title={t("sort", { field: text })} onClick={() => ask(asked, asked.sort, next)}>
        {text}
        {now !== "none" && <Icon name={now === "ascending" ? "rising" : "falling"} />}
      </button>
    </th>
  );
}

function Pages({ page, asked }: { readonly page: Page; readonly asked: Asked }) {
  const cursors = asked.cursors.value;
  const next = page.next;
  return (
    <footer class="pages">
      <p class="faint tabular">
        {t("shown", { n: page.items.length })} · {t("page", { n: cursors.length + 1 })}
      </p>
      <Button
        kind="quiet"
        icon="previous"
        disabled={cursors.length === 0}
        onClick={() => turnTo(asked, cursors.slice(0, -1))}
      >
        {t("previous")}
      </Button>
      <Button kind="quiet" disabled={next === null} onClick={() => next && turnTo(asked, [...cursors, next])}>
        {t("next")}
        <Icon name="next" />
      </Button>
    </footer>
  );
}

function turnTo(asked: Asked, cursors: readonly string[]) {
  asked.cursors.value = cursors;
  document.getElementById("content")?.scrollIntoView();
}
