/** Make a consent smaller: untick fields, or choose an earlier day. Never larger: that takes a new request. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { day, moment } from "../../../crm_core/web/ui/i18n";
import { Button, Dialog, Note } from "../../../crm_core/web/ui/pieces";
import type { Ticked } from "../core/consent";
import * as deciding from "../core/deciding";
import type { Holding } from "../core/holding";
import { dayOf, lastDay } from "./days";
import { Consequence } from "./Ending";
import { Trouble } from "./pieces";
import { unlocked } from "./state";
import { byField, type Given } from "./uses";
import { fieldName, purposeName, t } from "./words";

export function ChangeDialog({
  holding,
  all,
  consent,
  onClose,
}: {
  readonly holding: Holding;
  readonly all: readonly Given[];
  readonly consent: Given;
  readonly onClose: (done: boolean) => void;
}) {
  const { busy, error, run } = useAct();
  const kept = useSignal<Ticked>(new Map(consent.processes.map((one, place) => [place, new Set(one.fields)])));
  const until = useSignal(dayOf(consent.until));
  const shut = useSignal<Date | null>(null);
  const count = [...kept.value.values()].reduce((sum, fields) => sum + fields.size, 0);
  const before = consent.processes.reduce((sum, one) => sum + one.fields.length, 0);
  const shorter = lastDay(until.value, consent.until);
  const toggle = (place: number, field: string, on: boolean) => {
    const fields = new Set(kept.value.get(place) ?? []);
    if (on) fields.add(field);
    else fields.delete(field);
    kept.value = new Map(kept.value).set(place, fields);
  };
  const act = () =>
    run(async () => {
      const open = unlocked();
      const left = new Map([...kept.value].filter(([, fields]) => fields.size > 0));
      const receipt =
        left.size === 0
          ? await deciding.withdraw(open, holding.controller, consent.id)
          : await deciding.narrow(open, holding.controller, consent.id, left, shorter);
      shut.value = receipt.shutAt ?? receipt.at;
    });
  if (shut.value !== null) {
    return (
      <Dialog title={t("change.done")} onClose={() => onClose(true)}>
        <Note tone="good" icon="check">
          {t("change.shut", { when: moment(shut.value) })}
        </Note>
        <div class="actions">
          <Button kind="primary" onClick={() => onClose(true)}>
            {t("done")}
          </Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t("change.title")} onClose={() => onClose(false)}>
      <p class="soft">{t("change.lead")}</p>
      {consent.processes.map((one, place) => (
        <fieldset class="ticks" key={one.purpose}>
          <legend class="small">{purposeName(holding, one.purpose)}</legend>
          {one.fields.map((field) => (
            <label key={field}>
              <input
                type="checkbox"
                checked={kept.value.get(place)?.has(field) ?? false}
                onChange={(event) => toggle(place, field, event.currentTarget.checked)}
              />
              <span>{fieldName(holding, field)}</span>
            </label>
          ))}
        </fieldset>
      ))}
      <p class="field">
        <label for="shorter">{t("ask.until")}</label>
        <input
          id="shorter"
          type="date"
          value={until.value}
          min={dayOf(new Date(Date.now() + 86_400_000))}
          max={dayOf(consent.until)}
          onInput={(event) => (until.value = event.currentTarget.value)}
        />
        <span class="hint">{t("ask.until.hint", { last: day(consent.until) })}</span>
      </p>
      {count < before && <Consequence holding={holding} fields={lost(all, consent, kept.value)} />}
      <Trouble error={error.value} />
      <div class="actions">
        <Button kind="quiet" disabled={busy.value} onClick={() => onClose(false)}>
          {t("end.keep")}
        </Button>
        <Button
          kind="primary"
          busy={busy.value}
          disabled={count === before && shorter === undefined}
          onClick={() => void act()}
        >
          {busy.value ? t("end.busy") : t(count === 0 ? "end.consent" : "change.do")}
        </Button>
      </div>
    </Dialog>
  );
}

/** The fields that no consent would cover any more. */
function lost(all: readonly Given[], consent: Given, kept: Ticked): string[] {
  const others = byField(all.filter((one) => one.id !== consent.id));
  const stays = new Set([...others.keys(), ...[...kept.values()].flatMap((fields) => [...fields])]);
  return [...new Set(consent.processes.flatMap((one) => one.fields))].filter((field) => !stays.has(field)).sort();
}
