/** Before a right is asked for: what that means; then the request, signed, and the organisation's signed word for it. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { day, moment } from "../../../crm_core/web/ui/i18n";
import { Button, Dialog, Field, Note, Select } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { Happened } from "../core/record";
import type { Asked, Kind } from "../core/requests";
import * as requests from "../core/requests";
import { Line } from "./Entry";
import { Trouble, useFetched } from "./pieces";
import { unlocked } from "./state";
import { correctable, fieldName, list, organisation, purposeName, said, t } from "./words";

/** What is to be asked for; what is left out the dialog asks. */
export interface Asking {
  readonly kind: Kind;
  readonly purpose?: string;
  readonly ground?: string;
  /** The read that is to be explained. */
  readonly read?: Happened;
  /** The field that a correction begins with. */
  readonly field?: string;
}

export function RequestDialog({
  holding,
  asking,
  onClose,
}: {
  readonly holding: Holding;
  readonly asking: Asking;
  readonly onClose: (done: Asked | null) => void;
}) {
  const { busy, error, run } = useAct();
  const done = useSignal<Asked | null>(null);
  const sure = useSignal(false);
  const { kind } = asking;
  const send = (about: requests.About = {}) =>
    run(async () => {
      done.value = await requests.ask(unlocked(), holding.controller, kind, about);
    });
  if (done.value !== null) return <Sent holding={holding} asked={done.value} onClose={() => onClose(done.value)} />;
  const who = organisation(holding.controller);
  return (
    <Dialog title={t(`right.${kind}`)} onClose={() => onClose(null)}>
      <p>{t(`right.${kind}.more`, { who })}</p>
      <p class="faint small">{t(`right.${kind}.law`)}</p>
      {asking.read && (
        <ul class="rows named">
          <Line holding={holding} item={asking.read} />
        </ul>
      )}
      {kind === "rectification" && (
        <Correcting holding={holding} first={asking.field} busy={busy.value} onSend={send} />
      )}
      {kind === "objection" && <Objecting holding={holding} asking={asking} busy={busy.value} onSend={send} />}
      {kind === "erasure" && (
        <label class="tick">
          <input
            type="checkbox"
            checked={sure.value}
            onChange={(event) => (sure.value = event.currentTarget.checked)}
          />
          <span>{t("right.erasure.sure")}</span>
        </label>
      )}
      <Trouble error={error.value} />
      {kind !== "rectification" && kind !== "objection" && (
        <div class="actions">
          <Button
            kind={kind === "erasure" ? "danger" : "primary"}
            busy={busy.value}
            disabled={kind === "erasure" && !sure.value}
            onClick={() => void send(asking.read && { event: asking.read.event })}
          >
            {busy.value ? t("right.busy") : t("right.send")}
          </Button>
        </div>
      )}
    </Dialog>
  );
}

/** What the organisation signed for it at once. */
function Sent({
  holding,
  asked,
  onClose,
}: {
  readonly holding: Holding;
  readonly asked: Asked;
  readonly onClose: () => void;
}) {
  const { last } = asked;
  return (
    <Dialog title={t(`right.${asked.kind}`)} onClose={onClose}>
      <Note tone="good" icon="check">
        {t("right.sent", { state: said("state", last.state), due: day(last.due) })}
      </Note>
      {last.shutAt && <p>{t("right.shut", { when: moment(last.shutAt) })}</p>}
      {last.kept.map((one) => (
        <p key={`${one.citation} ${one.fields}`}>
          {t("right.stays", { fields: list(one.fields.map((field) => fieldName(holding, field))), why: one.citation })}
          {one.reason && ` ${one.reason}`}
        </p>
      ))}
      <div class="actions">
        <Button kind="primary" onClick={onClose}>
          {t("done")}
        </Button>
      </div>
    </Dialog>
  );
}

interface Form {
  readonly holding: Holding;
  readonly busy: boolean;
  readonly onSend: (about: requests.About) => void;
}

/** Right values, one field after the other. */
function Correcting({ holding, first, busy, onSend }: Form & { readonly first: string | undefined }) {
  const fields = correctable(holding);
  const rows = useSignal<readonly string[]>([first ?? fields[0] ?? ""]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const values = rows.value.map((field, at): [string, string] => [field, String(given.get(`value-${at}`)).trim()]);
    onSend({ values: Object.fromEntries(values) });
  };
  const left = fields.filter((one) => !rows.value.includes(one));
  return (
    <form class="stack" onSubmit={submit}>
      {rows.value.map((field, at) => (
        <div class="pair" key={field}>
          <Select
            label={t("right.field")}
            value={field}
            onChange={(event) => {
              rows.value = rows.value.with(at, event.currentTarget.value);
            }}
          >
            {[field, ...left].map((one) => (
              <option key={one} value={one}>
                {fieldName(holding, one)}
              </option>
            ))}
          </Select>
          <Field label={t("right.value")} name={`value-${at}`} autocomplete="off" maxLength={500} required />
        </div>
      ))}
      <p class="faint small">{t("right.sealed")}</p>
      <div class="actions">
        {left.length > 0 && (
          <Button icon="plus" onClick={() => (rows.value = [...rows.value, left[0] as string])}>
            {t("right.another")}
          </Button>
        )}
        <Button kind="primary" type="submit" busy={busy}>
          {t("right.send")}
        </Button>
      </div>
    </form>
  );
}

/** Which use without a consent is objected to. */
function Objecting({ holding, asking, busy, onSend }: Form & { readonly asking: Asking }) {
  const grounds = useFetched(() => learning.grounds(unlocked(), holding.controller), [holding.controller]);
  const living = (grounds.value.value ?? []).filter((one) => one.standing === "living");
  const choices = [
    ...new Set([
      ...(asking.purpose ? [asking.purpose] : []),
      ...living.flatMap((one) => one.processes.map((p) => p.purpose)),
    ]),
  ];
  const purpose = useSignal(asking.purpose ?? "");
  const chosen = purpose.value || choices[0] || "";
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        const ground = chosen === asking.purpose ? asking.ground : undefined;
        onSend({ purpose: chosen, ...(ground === undefined ? {} : { ground }) });
      }}
    >
      {grounds.value.value !== undefined && choices.length === 0 ? (
        <Note>{t("data.grounds.none")}</Note>
      ) : (
        <Select
          label={t("right.purpose")}
          value={chosen}
          onChange={(event) => (purpose.value = event.currentTarget.value)}
        >
          {choices.map((one) => (
            <option key={one} value={one}>
              {purposeName(holding, one)}
            </option>
          ))}
        </Select>
      )}
      <Trouble error={grounds.error.value} />
      <div class="actions">
        <Button kind="primary" type="submit" busy={busy} disabled={chosen === ""}>
          {t("right.send")}
        </Button>
      </div>
    </form>
  );
}
