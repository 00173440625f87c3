/** Before something ends: what that means, named field by field; then the act, acknowledged once nothing reads any more. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { moment } from "../../../crm_core/web/ui/i18n";
import { Button, Dialog, Note } from "../../../crm_core/web/ui/pieces";
import * as deciding from "../core/deciding";
import type { Holding } from "../core/holding";
import type { Receipt } from "../core/verify";
import { Trouble } from "./pieces";
import { unlocked } from "./state";
import { bare, type Given, type Use, without } from "./uses";
import { fateOf, fieldName, list, organisation, purposeName, t } from "./words";

/** One field for one purpose, one consent, or every consent with an organisation. */
export type Ending =
  | { readonly kind: "use"; readonly use: Use }
  | { readonly kind: "consent"; readonly consent: Given }
  | { readonly kind: "all"; readonly consents: readonly Given[] };

export function EndDialog({
  holding,
  all,
  ending,
  onClose,
}: {
  readonly holding: Holding;
  readonly all: readonly Given[];
  readonly ending: Ending;
  readonly onClose: (done: boolean) => void;
}) {
  const { busy, error, run } = useAct();
  const shut = useSignal<Date | null>(null);
  const act = () =>
    run(async () => {
      const receipts = await end(holding, ending);
      shut.value = receipts.map((one) => one.shutAt ?? one.at).reduce((one, other) => (one > other ? one : other));
    });
  if (shut.value !== null) {
    return (
      <Dialog title={t("end.done")} onClose={() => onClose(true)}>
        <Note tone="good" icon="check">
          {t("end.shut", { when: moment(shut.value) })}
        </Note>
        <p class="soft">{t("end.after")}</p>
        <div class="actions">
          <Button kind="primary" onClick={() => onClose(true)}>
            {t("done")}
          </Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t(`end.${ending.kind}.title`)} onClose={() => onClose(false)}>
      <p>{lead(holding, ending)}</p>
      <Consequence holding={holding} fields={lost(all, ending)} />
      <p class="soft">{t("end.past")}</p>
      <Trouble error={error.value} />
      <div class="actions">
        <Button kind="quiet" disabled={busy.value} onClick={() => onClose(false)}>
          {t("end.keep")}
        </Button>
        <Button kind="primary" busy={busy.value} onClick={() => void act()}>
          {busy.value ? t("end.busy") : t(`end.${ending.kind}`)}
        </Button>
      </div>
    </Dialog>
  );
}

/** What becomes of the fields that no consent covers any more, as the organisation's catalogue has it. */
export function Consequence({ holding, fields }: { readonly holding: Holding; readonly fields: readonly string[] }) {
  if (fields.length === 0) return <Note>{t("end.covered")}</Note>;
  const names = (how: string) =>
    fields.filter((field) => fateOf(holding, field).how === how).map((field) => fieldName(holding, field));
  const [sealed, shredded] = [names("seal"), names("shred")];
  const grounds = [...new Set(fields.map((field) => fateOf(holding, field).ground))].filter((one) => one !== "");
  return (
    <ul class="consequence">
      {shredded.length > 0 && (
        <li>
          <strong>{t("end.shred")}</strong> {list(shredded)}
        </li>
      )}
      {sealed.length > 0 && (
        <li>
          <strong>{t("end.seal")}</strong> {list(sealed)}
          <span class="faint">{grounds.join("; ")}</span>
        </li>
      )}
      <li class="faint">{t("end.unless")}</li>
    </ul>
  );
}

function lead(holding: Holding, ending: Ending): string {
  const who = organisation(holding.controller);
  if (ending.kind === "use") {
    const purpose = purposeName(holding, ending.use.process.purpose);
    return t("end.use.lead", { who, field: fieldName(holding, ending.use.field), purpose });
  }
  const consents = ending.kind === "consent" ? [ending.consent] : ending.consents;
  const fields = new Set(consents.flatMap((one) => one.processes.flatMap((process) => process.fields)));
  const named = list([...fields].map((field) => fieldName(holding, field)));
  return t(ending.kind === "consent" ? "end.consent.lead" : "end.all.lead", { who, fields: named });
}

function lost(all: readonly Given[], ending: Ending): string[] {
  if (ending.kind === "use") return bare(all, [ending.use.consent], ending.use.field, ending.use.place);
  return bare(all, ending.kind === "consent" ? [ending.consent] : ending.consents);
}

/** A use that is the last of its consent ends the consent; any other narrows it. */
async function end(holding: Holding, ending: Ending): Promise<Receipt[]> {
  const open = unlocked();
  if (ending.kind === "use") {
    const kept = without(ending.use);
    const { id } = ending.use.consent;
    return [
      await (kept === null
        ? deciding.withdraw(open, holding.controller, id)
        : deciding.narrow(open, holding.controller, id, kept)),
    ];
  }
  const receipts: Receipt[] = [];
  for (const one of ending.kind === "consent" ? [ending.consent] : ending.consents) {
    receipts.push(await deciding.withdraw(open, holding.controller, one.id));
  }
  return receipts;
}
