import { useSignal } from "@preact/signals";
import { day, label, moment } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { Button, Chip, Dialog, ErrorNote, Loading, Note } from "../ui/pieces";
import { to } from "../ui/route";
import { session } from "../ui/session";
import { Activity } from "./Activity";
import { AsksTo } from "./AsksTo";
import type { Customer, FieldEntry, PurposeEntry } from "./api";
import * as api from "./api";
import { fieldsOf } from "./desk";
import { Granted, LockChip } from "./Held";
import { useReading } from "./reading";
import { PurposePicker } from "./Shell";
import { named, nameOf, said, short, t } from "./words";

const GLANCE = ["contact.email", "contact.phone", "employment.company", "address.city", "identity.customer_number"];
const TILES = 4;
const INVITERS = ["sales", "service", "marketing", "dpo"];

/** One customer as a purpose shows them. Rendered anew (by key) for another purpose. */
export function CustomerScreen({ subject, of }: { readonly subject: string; readonly of: PurposeEntry }) {
  const reading = useReading((stop) => api.customer(subject, of.key, { stop }), "values");
  const wallet = useReading(() => api.enrolled(subject));
  const customer = reading.data.value;
  const enrolled = wallet.data.value;
  const name = customer ? nameOf(customer) : "";
  return (
    <>
      <a class="back" href={to(["customers"])}>
        <Icon name="back" />
        {t("back")}
      </a>
      <header class="top">
        <div class="title">
          <h1 class={name ? "" : "mono"}>{name || short(subject)}</h1>
          <p class="facts">
            {enrolled && (
              <Chip tone={enrolled.enrolled ? "good" : "plain"} icon="wallet">
                {enrolled.since ? t("wallet.since", { day: day(enrolled.since) }) : t("wallet.no")}
              </Chip>
            )}
            <Reference subject={subject} bare={!name} />
          </p>
        </div>
        <PurposePicker />
        <div class="acts">
          {enrolled?.enrolled === false && INVITERS.includes(session.value?.role ?? "") && <Invite subject={subject} />}
          {session.value?.role === "dpo" && (
            <a class="button" href={to(["grounds"], { subject })}>
              {t("grounds.declare")}
            </a>
          )}
          <a class="button primary" href={to(["customers", subject, "ask"], { purpose: of.key })}>
            <Icon name="send" />
            {t("ask")}
          </a>
        </div>
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      <div class="columns">
        <div class="stack">
          {customer && <Record customer={customer} of={of} />}
          {!customer && reading.error.value === null && (
            <div class="card">
              <Loading lines={9} />
            </div>
          )}
        </div>
        <div class="stack">
          <Activity subject={subject} of={of} />
          <AsksTo subject={subject} />
        </div>
      </div>
    </>
  );
}

function Record({ customer, of }: { readonly customer: Customer; readonly of: PurposeEntry }) {
  const fields = fieldsOf(of);
  const glance = GLANCE.filter((id) => of.fields.includes(id)).slice(0, TILES);
  return (
    <>
      {glance.length > 1 && (
        <section class="card glance" aria-label={t("at_a_glance")}>
          <dl>
            {glance.map((id) => (
              <div key={id}>
                <dt>{named(id)}</dt>
                <dd>
                  <Held customer={customer} id={id} />
                </dd>
              </div>
            ))}
          </dl>
        </section>
      )}
      {grouped(fields).map(([group, entries]) => {
        const granted = entries.filter((entry) => !(entry.id in customer.withheld)).length;
        return (
          <section key={group} class="card group" aria-labelledby={`group-${group}`}>
            <header>
              <h2 id={`group-${group}`}>{said(`group.${group}`, "group.other")}</h2>
              <span class="faint tabular">{t("granted_of", { granted, all: entries.length })}</span>
            </header>
            <dl>
              {entries.map((entry) => (
                <div key={entry.id}>
                  <dt>{label(entry.labels)}</dt>
                  <dd>
                    <Held customer={customer} id={entry.id} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        );
      })}
    </>
  );
}

function Held({ customer, id }: { readonly customer: Customer; readonly id: string }) {
  const reason = customer.withheld[id];
  if (reason) return <LockChip subject={customer.subject} id={id} reason={reason} />;
  if (customer.unreadable?.includes(id)) return <Chip tone="bad">{t("unreadable")}</Chip>;
  return <Granted id={id} value={customer.fields[id] ?? null} linked />;
}

function grouped(fields: readonly FieldEntry[]): [string, FieldEntry[]][] {
  const groups = new Map<string, FieldEntry[]>();
  for (const entry of fields) {
    const group = entry.id.split(".")[0] ?? "other";
    groups.set(group, [...(groups.get(group) ?? []), entry]);
  }
  return [...groups];
}

function Reference({ subject, bare }: { readonly subject: string; readonly bare: boolean }) {
  const copied = useSignal(false);
  async function copy() {
    await navigator.clipboard.writeText(subject);
    copied.value = true;
    setTimeout(() => (copied.value = false), 2000);
  }
  return (
    <button type="button" class="reference" title={t("copy")} onClick={() => void copy()}>
      <span class="unseen">{t("copy")}</span>
      {!bare && <span class="mono">{short(subject)}</span>}
      <Icon name={copied.value ? "check" : "copy"} />
      <span class="unseen" role="status">
        {copied.value ? t("copied") : ""}
      </span>
    </button>
  );
}

function Invite({ subject }: { readonly subject: string }) {
  const open = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const until = useSignal("");
  async function send() {
    busy.value = true;
    error.value = null;
    try {
      until.value = (await api.invite(subject)).expires_at;
    } catch (problem) {
      error.value = problem;
    } finally {
      busy.value = false;
    }
  }
  return (
    <>
      <Button icon="mail" aria-haspopup="dialog" onClick={() => (open.value = true)}>
        {t("invite")}
      </Button>
      {open.value && (
        <Dialog title={t("invite.title")} onClose={() => (open.value = false)}>
          {until.value ? (
            <Note tone="good" icon="check">
              {t("invite.done", { until: moment(until.value) })}
            </Note>
          ) : (
            <>
              <p>{t("invite.more")}</p>
              {error.value !== null && <ErrorNote error={error.value} />}
              <p class="actions">
                <Button kind="primary" icon="mail" busy={busy.value} onClick={() => void send()}>
                  {t("invite.do")}
                </Button>
              </p>
            </>
          )}
        </Dialog>
      )}
    </>
  );
}
