import { type Signal, useSignal } from "@preact/signals";
import { Icon } from "../ui/icons";
import { Button, Empty, ErrorNote, Loading, Table } from "../ui/pieces";
import type { Condition, Customer, FieldEntry, Page, PurposeEntry } from "./api";
import * as api from "./api";
import { ColumnsDialog } from "./ColumnsDialog";
import { fieldsOf } from "./desk";
import { FilterDialog, inWords } from "./FilterDialog";
import { Granted, Locked } from "./Held";
import { useReading } from "./reading";
import { to } from "./route";
import { PurposePicker } from "./Shell";
import { named, nameOf, short, t } from "./words";

const ROWS = 100;
const NAMES = ["contact.family_name", "contact.given_name"];
/** What a list is wanted for first, where the purpose has it. */
const FIRST = [
  "contact.email",
  "employment.company",
  "address.city",
  "contact.phone",
  "interaction.status",
  "identity.customer_number",
  "contract.product",
  "vehicle.model",
];
const MOST_COLUMNS = 5;
const MOST_ASKED = 10; // conditions that the API joins by "any"
const MOST_SORTS = 3;

/** What is asked of the list: one signal each, so that every change reads anew. */
interface Asked {
  readonly search: Signal<string>;
  readonly filters: Signal<readonly Condition[]>;
  readonly sort: Signal<string>;
  readonly columns: Signal<readonly string[]>;
  readonly granted: Signal<boolean>;
  /** The cursors of the pages so far; the last is that of the page in sight. */
  readonly cursors: Signal<readonly string[]>;
}

/** The customers of a purpose. Rendered anew (by key) for another purpose. */
export function Customers({ of }: { readonly of: PurposeEntry }) {
  const fields = fieldsOf(of);
  const asked = useAsked(fields);
  const names = NAMES.filter((id) => of.fields.includes(id));
  const reading = useReading<Page>((stop) => api.customers(question(of, names, asked), { stop }));
  const filtered = asked.search.value !== "" || asked.filters.value.length > 0 || asked.granted.value;
  return (
    <>
      <header class="top">
        <h1>{t("customers")}</h1>
        <PurposePicker />
      </header>
      <Tools asked={asked} fields={fields} />
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {reading.data.value ? (
        <div class={`card list ${reading.busy.value ? "waiting" : ""}`}>
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

function useAsked(fields: readonly FieldEntry[]): Asked {
  const ids = fields.map((entry) => entry.id).filter((id) => !NAMES.includes(id));
  const wished = [...FIRST.filter((id) => ids.includes(id)), ...ids.filter((id) => !FIRST.includes(id))];
  return {
    search: useSignal(""),
    filters: useSignal<readonly Condition[]>([]),
    sort: useSignal(""),
    columns: useSignal<readonly string[]>(wished.slice(0, MOST_COLUMNS)),
    granted: useSignal(false),
    cursors: useSignal<readonly string[]>([]),
  };
}

function question(of: PurposeEntry, names: readonly string[], asked: Asked): api.Query {
  const select = [...names, ...asked.columns.value];
  const some = select.slice(0, MOST_ASKED).map((id) => ({ field: id, operator: "present" }));
  const filters = [...asked.filters.value, ...(asked.granted.value ? [{ any: some }] : [])];
  const cursor = asked.cursors.value.at(-1);
  const search = asked.search.value;
  // Customers with something granted come first: what is withheld is absent, and sorts last.
  const sort = asked.sort.value ? [asked.sort.value] : search ? [] : select.slice(0, MOST_SORTS);
  return {
    purpose: of.key,
    select,
    limit: ROWS,
    ...(filters.length ? { filters } : {}),
    ...(sort.length ? { sort } : {}),
    ...(search ? { search } : {}),
    ...(cursor ? { cursor } : {}),
  };
}

/** Another question begins at the first page. */
function ask<T>(asked: Asked, signal: Signal<T>, value: T): void {
  asked.cursors.value = [];
  signal.value = value;
}

function clear(asked: Asked): void {
  asked.cursors.value = [];
  asked.search.value = "";
  asked.filters.value = [];
  asked.granted.value = false;
}

function Tools({ asked, fields }: { readonly asked: Asked; readonly fields: readonly FieldEntry[] }) {
  const open = useSignal<"filter" | "columns" | null>(null);
  const close = () => (open.value = null);
  return (
    <>
      <div class="tools">
        <search>
          <form onSubmit={(event) => search(event, asked)}>
            <Icon name="search" />
            <input
              type="search"
              name="search"
              aria-label={t("search")}
              placeholder={t("search.hint")}
              maxLength={200}
              enterkeyhint="search"
              key={asked.search.value}
              defaultValue={asked.search.value}
              onInput={(event) =>
                event.currentTarget.value === "" && asked.search.value && ask(asked, asked.search, "")
              }
            />
          </form>
        </search>
        <label class="check">
          <input
            type="checkbox"
            checked={asked.granted.value}
            onChange={(event) => ask(asked, asked.granted, event.currentTarget.checked)}
          />
          {t("granted_only")}
        </label>
        <span class="push" />
        <Button icon="filter" aria-haspopup="dialog" onClick={() => (open.value = "filter")}>
          {t("filter")}
        </Button>
        <Button icon="columns" aria-haspopup="dialog" onClick={() => (open.value = "columns")}>
          {t("columns")}
        </Button>
      </div>
      {asked.filters.value.length > 0 && (
        <ul class="chips">
          {asked.filters.value.map((one) => (
            <li key={inWords(one)} class="chip">
              {inWords(one)}
              <button
                type="button"
                aria-label={t("filter.remove", { what: inWords(one) })}
                onClick={() =>
                  ask(
                    asked,
                    asked.filters,
                    asked.filters.value.filter((other) => other !== one),
                  )
                }
              >
                <Icon name="cross" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {open.value === "filter" && (
        <FilterDialog
          fields={fields}
          onClose={close}
          onAdd={(condition) => ask(asked, asked.filters, [...asked.filters.value, condition])}
        />
      )}
      {open.value === "columns" && (
        <ColumnsDialog
          fields={fields.filter((entry) => !NAMES.includes(entry.id))}
          shown={asked.columns.value}
          onClose={close}
          onShow={(columns) => ask(asked, asked.columns, columns)}
        />
      )}
    </>
  );
}

function search(event: SubmitEvent, asked: Asked) {
  event.preventDefault();
  const given = new FormData(event.currentTarget as HTMLFormElement);
  ask(asked, asked.search, String(given.get("search")).trim());
}

interface RowsProps {
  readonly page: Page;
  readonly asked: Asked;
  readonly names: readonly string[];
  readonly busy: boolean;
}

function Rows({ page, asked, names, busy }: RowsProps) {
  const columns = asked.columns.value;
  return (
    <Table label={t("customers")} busy={busy}>
      <thead>
        <tr>
          <Heading id={names[0]} text={t("customer")} asked={asked} />
          {columns.map((id) => (
            <Heading key={id} id={id} text={named(id)} asked={asked} />
          ))}
        </tr>
      </thead>
      <tbody>
        {page.items.map((customer) => (
          <Row key={customer.subject} customer={customer} columns={columns} />
        ))}
      </tbody>
    </Table>
  );
}

function Row({ customer, columns }: { readonly customer: Customer; readonly columns: readonly string[] }) {
  const name = nameOf(customer);
  const held = columns.filter((id) => id in customer.withheld).length;
  return (
    <tr>
      <th scope="row">
        <a href={to(["customers", customer.subject])} class={name ? "" : "mono"}>
          {name || short(customer.subject)}
        </a>
        {held > 0 && (
          <span class="held">{held === columns.length ? t("withheld.all") : t("withheld.count", { n: held })}</span>
        )}
      </th>
      {columns.map((id) => {
        const reason = customer.withheld[id];
        return (
          <td key={id} data-label={named(id)} class={reason ? "withheld" : undefined}>
            {reason ? <Locked reason={reason} /> : <Granted id={id} value={customer.fields[id] ?? null} />}
          </td>
        );
      })}
    </tr>
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
