import { useSignal } from "@preact/signals";
import { useAct } from "../ui/act";
import { ago, day, moment } from "../ui/i18n";
import { Button, Dialog, Empty, ErrorNote, Heads, Loading, Select, Table } from "../ui/pieces";
import { to } from "../ui/route";
import { session } from "../ui/session";
import { fieldsOf, purposeOf, request, State } from "./AsksTo";
import type { Ask, AskStanding } from "./api";
import * as api from "./api";
import { catalogue, purposes } from "./desk";
import { HandOver } from "./dialogs";
import { useReading } from "./reading";
import { named, said, short, t } from "./words";

const STATES: readonly AskStanding[] = ["living", "answered", "refused", "expired", "revoked", "superseded"];
const AGAIN: readonly AskStanding[] = ["expired", "refused", "superseded", "revoked"];

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
        {shown.length > 0 && <Rows asks={shown} busy={reading.busy.value} onDone={reading.again} />}
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

interface RowsProps {
  readonly asks: readonly Ask[];
  readonly busy: boolean;
  readonly onDone: () => void;
}

function Rows({ asks, busy, onDone }: RowsProps) {
  const ending = useSignal<Ask | null>(null);
  const handing = useSignal<Ask | null>(null);
  return (
    <>
      {handing.value && <HandOver id={handing.value.id} onClose={() => (handing.value = null)} />}
      {ending.value && <EndDialog ask={ending.value} onClose={() => (ending.value = null)} onDone={onDone} />}
      <Table label={t("asks")} busy={busy}>
        <Heads
          all={(["asks.what", "asks.whom", "asks.which", "asks.when", "asks.state"] as const).map((key) => t(key))}
        >
          <th class="plain">
            <span class="unseen">{t("asks.do")}</span>
          </th>
        </Heads>
        <tbody>
          {asks.map((one) => (
            <tr key={one.id}>
              <th scope="row">
                <a href={to(["customers", one.subject ?? ""])}>{purposeOf(one)}</a>
              </th>
              <td data-label={t("asks.whom")} class="mono">
                {short(one.subject ?? "")}
              </td>
              <td data-label={t("asks.which")} title={fieldsOf(one).map(named).join(", ")}>
                {t("asks.fields", { n: fieldsOf(one).length })}
              </td>
              <td data-label={t("asks.when")} title={moment(one.at)}>
                {ago(one.at)}
              </td>
              <td data-label={t("asks.state")}>
                <State ask={one} />
                {one.standing === "living" && one.valid_until && (
                  <small class="faint"> {t("asks.until.short", { day: day(one.valid_until) })}</small>
                )}
              </td>
              <td class="do">
                {again(one)}
                {one.standing === "living" && actsFor(one) && (
                  <Button kind="quiet" icon="send" aria-haspopup="dialog" onClick={() => (handing.value = one)}>
                    {t("asks.hand")}
                  </Button>
                )}
                {one.standing === "living" && (actsFor(one) || session.value?.role === "dpo") && (
                  <Button kind="quiet" class="danger" aria-haspopup="dialog" onClick={() => (ending.value = one)}>
                    {t("asks.end")}
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
    </>
  );
}

/** May who is signed in act for all that a request asks? */
const actsFor = (ask: Ask): boolean =>
  request(ask).hasProcess.every((one) =>
    catalogue.value?.purposes.some((of) => of.iri === one.hasPurpose && of.roles.includes(session.value?.role ?? "")),
  );

interface EndProps {
  readonly ask: Ask;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function EndDialog({ ask, onClose, onDone }: EndProps) {
  const { busy, error, run } = useAct();
  const end = () =>
    run(async () => {
      await api.endAsk(ask.id);
      onClose();
      onDone();
    });
  return (
    <Dialog title={t("asks.end.title")} onClose={onClose}>
      <p>{t("asks.end.more", { purpose: purposeOf(ask) })}</p>
      {error.value !== null && <ErrorNote error={error.value} />}
      <p class="actions">
        <Button kind="danger" busy={busy.value} onClick={() => void end()}>
          {t("asks.end.do")}
        </Button>
      </p>
    </Dialog>
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
      href={to(["customers", ask.subject ?? "", "ask"], { purpose: key ?? "", fields: fieldsOf(ask).join(",") })}
    >
      {t("asks.again")}
    </a>
  );
}
