import { Icon } from "../ui/icons";
import { Button, Empty, ErrorNote, Loading, Table } from "../ui/pieces";
import { to } from "../ui/route";
import type { Customer, Page, PurposeEntry } from "./api";
import * as api from "./api";
import { fieldsOf } from "./desk";
import { Granted, Locked } from "./Held";
import { type Asked, ask, askedBefore, clear, NAMES, question } from "./listing";
import { useReading } from "./reading";
import { PurposePicker } from "./Shell";
import { Tools } from "./Tools";
import { named, nameOf, short, t } from "./words";

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
