import { useSignal } from "@preact/signals";
import { ago, day, moment } from "../ui/i18n";
import { Button, Chip, Empty, ErrorNote, Loading, Select, Table } from "../ui/pieces";
import { to } from "../ui/route";
import type { Ask, AskStanding } from "./api";
import * as api from "./api";
import { catalogue, purposeLabel, purposes } from "./desk";
import { useReading } from "./reading";
import { named, said, short, t } from "./words";

const TONES: Readonly<Partial<Record<AskStanding, "good" | "warn">>> = { living: "warn", answered: "good" };
const STATES: readonly AskStanding[] = ["living", "answered", "refused", "expired", "superseded"];
const AGAIN: readonly AskStanding[] = ["expired", "refused", "superseded"];

const request = (ask: Ask) => ask.credential.credentialSubject.requestsConsent;
const fields = (ask: Ask): string[] => [...new Set(request(ask).hasProcess.flatMap((one) => one.hasPersonalData))];
const purposeOf = (ask: Ask): string =>
  request(ask)
    .hasProcess.map((one) => purposeLabel(one.hasPurpose))
    .join(" · ");

function State({ ask }: { readonly ask: Ask }) {
  return <Chip tone={TONES[ask.standing] ?? "plain"}>{said(`standing.${ask.standing}`, "standing.expired")}</Chip>;
}

/** What one customer was asked, newest first. */
export function AsksTo({ subject }: { readonly subject: string }) {
  const reading = useReading(() => api.asksTo(subject));
  const asks = [...(reading.data.value?.items ?? [])].reverse();
  return (
    <section class="card side-card" aria-labelledby="asks">
      <header>
        <h2 id="asks">{t("asks.to")}</h2>
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {!reading.data.value && reading.error.value === null && <Loading lines={3} />}
      {reading.data.value && asks.length === 0 && <p class="nothing faint">{t("asks.none")}</p>}
      <ul class="asks">
        {asks.map((one) => (
          <li key={one.id}>
            <p>
              <b>{purposeOf(one)}</b>
              <State ask={one} />
            </p>
            <p class="faint" title={moment(one.at)}>
              {t("asks.fields", { n: fields(one).length })} · {t("asks.sent", { ago: ago(one.at) })}
              {one.standing === "living" && one.valid_until && (
                <>
                  <br />
                  {t("asks.until", { day: day(one.valid_until) })}
                </>
              )}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What all customers were asked, newest first: state, age, and the way to ask again. */
export function Asks() {
  const pages = useSignal(1);
  const state = useSignal<AskStanding | "">("");
  const reading = useReading((stop) => first(pages.value, stop));
  const found = reading.data.value;
  const shown = found?.items.filter((one) => !state.value || one.standing === state.value) ?? [];
  return (
    <>
      <header class="top">
        <div class="title">
          <h1>{t("asks")}</h1>
          <p class="soft">{t("asks.lead")}</p>
        </div>
        <Select
          label={t("asks.state")}
          quietly
          class="small"
          value={state.value}
          onChange={(event) => (state.value = event.currentTarget.value as AskStanding | "")}
        >
          <option value="">{t("asks.every")}</option>
          {STATES.map((one) => (
            <option key={one} value={one}>
              {said(`standing.${one}`, "standing.expired")}
            </option>
          ))}
        </Select>
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      <div class="card list">
        {!found && reading.error.value === null && <Loading lines={8} />}
        {found && shown.length === 0 && (
          <Empty title={t(found.items.length ? "asks.empty.state" : "asks.empty")} icon="send">
            {found.items.length === 0 && <p>{t("asks.empty.more")}</p>}
          </Empty>
        )}
        {shown.length > 0 && <Rows asks={shown} busy={reading.busy.value} />}
        {found?.next && (
          <footer class="pages">
            <Button kind="quiet" busy={reading.busy.value} onClick={() => (pages.value += 1)}>
              {t("items.more")}
            </Button>
          </footer>
        )}
      </div>
    </>
  );
}

async function first(count: number, stop: AbortSignal): Promise<{ items: readonly Ask[]; next: string | null }> {
  let found = await api.asks(null, { stop });
  for (let at = 1; at < count && found.next; at += 1) {
    const more = await api.asks(found.next, { stop });
    found = { items: [...found.items, ...more.items], next: more.next };
  }
  return found;
}

function Rows({ asks, busy }: { readonly asks: readonly Ask[]; readonly busy: boolean }) {
  return (
    <Table label={t("asks")} busy={busy}>
      <thead>
        <tr>
          {(["asks.what", "asks.whom", "asks.which", "asks.when", "asks.state"] as const).map((key) => (
            <th key={key} scope="col" class="plain">
              {t(key)}
            </th>
          ))}
          <th class="plain">
            <span class="unseen">{t("asks.again")}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {asks.map((one) => (
          <tr key={one.id}>
            <th scope="row">
              <a href={to(["customers", one.subject ?? ""])}>{purposeOf(one)}</a>
            </th>
            <td data-label={t("asks.whom")} class="mono">
              {short(one.subject ?? "")}
            </td>
            <td data-label={t("asks.which")} title={fields(one).map(named).join(", ")}>
              {t("asks.fields", { n: fields(one).length })}
            </td>
            <td data-label={t("asks.when")} title={moment(one.at)}>
              {ago(one.at)}
            </td>
            <td data-label={t("asks.state")}>
              <State ask={one} />
            </td>
            <td class="do">{again(one)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** The way to the same request once more, for whoever may act for its purpose. */
function again(ask: Ask) {
  const iri = request(ask).hasProcess[0]?.hasPurpose;
  const key = catalogue.value?.purposes.find((one) => one.iri === iri)?.key;
  if (!AGAIN.includes(ask.standing) || !purposes.value.some((one) => one.key === key)) return null;
  return (
    <a
      class="button quiet"
      href={to(["customers", ask.subject ?? "", "ask"], { purpose: key ?? "", fields: fields(ask).join(",") })}
    >
      {t("asks.again")}
    </a>
  );
}
