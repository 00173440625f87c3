/** What each organisation may do with which field: a switch for each field and purpose, and the end of it all. */

import { useSignal } from "@preact/signals";
import { day } from "../../../crm_core/web/ui/i18n";
import { Button, Chip, Loading, Note } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { Ground } from "../core/verify";
import { ChangeDialog } from "./Change";
import { EndDialog, type Ending } from "./Ending";
import { Fates } from "./Fates";
import { OfOrganisation } from "./Organisations";
import { useFetched } from "./pieces";
import { type Asking, RequestDialog } from "./RequestDialog";
import { go } from "./route";
import { unlocked } from "./state";
import { byField, claimed, type Given, living, type Use } from "./uses";
import { few, fieldName, list, places, problem, purposeName, recipientName, said, t } from "./words";

export const Data = () => (
  <OfOrganisation title={t("place.data")} lead={t("data.lead")} icon="person">
    {(holding) => <Organisation key={holding.controller} holding={holding} />}
  </OfOrganisation>
);

function Organisation({ holding }: { readonly holding: Holding }) {
  const ending = useSignal<Ending | null>(null);
  const ended = useSignal(0);
  const now = useFetched(async () => learning.refresh(unlocked(), holding.controller), [holding.controller]);
  const claims = useFetched(() => learning.grounds(unlocked(), holding.controller), [holding.controller]);
  const changing = useSignal<Given | null>(null);
  const asking = useSignal<Asking | null>(null);
  const given = living(holding);
  const grounds = claims.value.value?.filter(
    (one) => one.standing === "living" && one.validUntil.getTime() > Date.now(),
  );
  const end = (one: Ending) => {
    ending.value = one;
  };
  const object = (ground: Ground) => {
    const [process] = ground.processes;
    asking.value = { kind: "objection", ground: ground.id, ...(process ? { purpose: process.purpose } : {}) };
  };
  return (
    <>
      {now.error.value !== null && (
        <Note tone="warn" icon="alert">
          {t("data.old", { why: problem(now.error.value) })}
        </Note>
      )}
      <Fields holding={holding} given={given} grounds={grounds ?? []} onEnd={end} />
      <Consents holding={holding} given={given} onEnd={end} onChange={(one) => (changing.value = one)} />
      <Fates key={ended.value} holding={holding} lively={ended.value > 0} />
      <Grounds holding={holding} grounds={grounds} error={claims.error.value} onObject={object} />
      <Shared holding={holding} given={given} />
      {ending.value && (
        <EndDialog
          holding={holding}
          all={given}
          ending={ending.value}
          onClose={(done) => {
            ending.value = null;
            if (done) ended.value += 1;
          }}
        />
      )}
      {changing.value && (
        <ChangeDialog
          holding={holding}
          all={given}
          consent={changing.value}
          onClose={(done) => {
            changing.value = null;
            if (done) ended.value += 1;
          }}
        />
      )}
      {asking.value && (
        <RequestDialog
          holding={holding}
          asking={asking.value}
          onClose={(done) => {
            asking.value = null;
            if (done) go("requests");
          }}
        />
      )}
    </>
  );
}

interface Shown {
  readonly holding: Holding;
  readonly given: readonly Given[];
  readonly onEnd: (ending: Ending) => void;
}

function Fields({ holding, given, grounds, onEnd }: Shown & { readonly grounds: readonly Ground[] }) {
  const uses = byField(given);
  const claims = claimed(grounds);
  const fields = [...new Set([...uses.keys(), ...claims.keys()])];
  return (
    <section aria-labelledby="by-field">
      <div class="head">
        <h2 id="by-field">{t("data.fields")}</h2>
      </div>
      <div class="card">
        {uses.size === 0 && <p class="quiet">{t("data.nothing")}</p>}
        <ul class="rows">
          {fields.map((field) => (
            <li key={field} class="field-row">
              <h3>{fieldName(holding, field)}</h3>
              <ul>
                {uses.get(field)?.map((use) => (
                  <li key={`${use.consent.id} ${use.place}`}>
                    <Switch holding={holding} use={use} onOff={() => onEnd({ kind: "use", use })} />
                  </li>
                ))}
                {claims.get(field)?.map((claim) => (
                  <li key={`${claim.ground.id} ${claim.process.purpose}`} class="claim">
                    <span>
                      <span>{purposeName(holding, claim.process.purpose)}</span>
                      <span class="faint">
                        {said("basis", claim.ground.basis)} · {claim.ground.citation} ·{" "}
                        {t("until", { when: day(claim.ground.validUntil) })}
                      </span>
                    </span>
                    <Chip icon="lock">{t("data.claimed")}</Chip>
                  </li>
                ))}
              </ul>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}

/** On while it is allowed. Switching off asks first, and goes off once it is done. */
function Switch({ holding, use, onOff }: { readonly holding: Holding; readonly use: Use; readonly onOff: () => void }) {
  const purpose = purposeName(holding, use.process.purpose);
  return (
    <label class="switch">
      <span>
        <span>{purpose}</span>
        <span class="faint">
          {list(use.process.recipients.map((did) => recipientName(holding, did)))} ·{" "}
          {t("until", { when: day(use.consent.until) })}
        </span>
      </span>
      <input
        type="checkbox"
        role="switch"
        checked
        aria-checked="true"
        aria-label={t("data.switch", { field: fieldName(holding, use.field), purpose })}
        onClick={(event) => {
          event.preventDefault();
          onOff();
        }}
      />
    </label>
  );
}

function Consents({ holding, given, onEnd, onChange }: Shown & { readonly onChange: (consent: Given) => void }) {
  if (given.length === 0) return null;
  return (
    <section aria-labelledby="consents">
      <div class="head">
        <h2 id="consents">{t("data.consents")}</h2>
        {given.length > 1 && (
          <Button kind="danger" onClick={() => onEnd({ kind: "all", consents: given })}>
            {t("data.all")}
          </Button>
        )}
      </div>
      <div class="card">
        <ul class="rows">
          {given.map((one) => (
            <li key={one.id}>
              <div class="row">
                <span>
                  <strong>{list(one.processes.map((each) => purposeName(holding, each.purpose)))}</strong>
                  <span class="soft">
                    {few(one.processes.flatMap((each) => each.fields.map((field) => fieldName(holding, field))))}
                  </span>
                  <span class="faint">{t("until", { when: day(one.until) })}</span>
                </span>
                {one.held.standing === "sent" && <Chip tone="warn">{t("sent")}</Chip>}
                <span class="acts">
                  <Button onClick={() => onChange(one)}>{t("data.change")}</Button>
                  <Button onClick={() => onEnd({ kind: "consent", consent: one })}>{t("data.withdraw")}</Button>
                </span>
              </div>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}

function Grounds({
  holding,
  grounds,
  error,
  onObject,
}: {
  readonly holding: Holding;
  readonly grounds: readonly Ground[] | undefined;
  readonly error: unknown;
  readonly onObject: (ground: Ground) => void;
}) {
  return (
    <section aria-labelledby="grounds">
      <div class="head">
        <h2 id="grounds">{t("data.grounds")}</h2>
      </div>
      <p class="soft small">{t("data.grounds.lead")}</p>
      <div class="card">
        {grounds === undefined && error === null && <Loading lines={3} />}
        {error !== null && <p class="quiet">{problem(error)}</p>}
        {grounds?.length === 0 && <p class="quiet">{t("data.grounds.none")}</p>}
        <ul class="rows">
          {grounds?.map((ground) => (
            <li key={ground.id}>
              <div class="row">
                <span>
                  <strong>{list(ground.processes.map((one) => purposeName(holding, one.purpose)))}</strong>
                  <span class="soft">
                    {list(
                      [...new Set(ground.processes.flatMap((one) => one.fields))].map((f) => fieldName(holding, f)),
                    )}
                  </span>
                  <span class="faint">
                    {said("basis", ground.basis)} · {ground.citation}
                  </span>
                </span>
                <span class="faint when">{t("until", { when: day(ground.validUntil) })}</span>
                <Button onClick={() => onObject(ground)}>{t("object")}</Button>
              </div>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}

/** Who else than the organisation is named in a living consent. */
function Shared({ holding, given }: { readonly holding: Holding; readonly given: readonly Given[] }) {
  const others = new Map<string, { fields: Set<string>; where: Set<string> }>();
  for (const process of given.flatMap((one) => one.processes)) {
    for (const did of process.recipients.filter((one) => one !== holding.controller)) {
      const found = others.get(did) ?? { fields: new Set(), where: new Set() };
      for (const field of process.fields) found.fields.add(field);
      for (const place of process.jurisdictions) found.where.add(place);
      others.set(did, found);
    }
  }
  return (
    <section aria-labelledby="shared">
      <div class="head">
        <h2 id="shared">{t("data.shared")}</h2>
      </div>
      <div class="card">
        {others.size === 0 && <p class="quiet">{t("data.shared.none")}</p>}
        <ul class="rows">
          {[...others].map(([did, { fields, where }]) => (
            <li key={did}>
              <div class="row">
                <span>
                  <strong>{recipientName(holding, did)}</strong>
                  <span class="soft">{list([...fields].map((field) => fieldName(holding, field)))}</span>
                </span>
                <span class="faint when">{places([...where])}</span>
              </div>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
