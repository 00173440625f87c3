/** What is behind one entry of the history: who exactly, by which ground, the proof, and what can be done about it. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { day, number } from "../../../crm_core/web/ui/i18n";
import { Button, Chip, Note } from "../../../crm_core/web/ui/pieces";
import { consentId, type Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { Happened } from "../core/record";
import type { Ground } from "../core/verify";
import { EndDialog } from "./Ending";
import { bareRead, touched } from "./Entry";
import { Fact } from "./pieces";
import { type Asking, RequestDialog } from "./RequestDialog";
import { go } from "./route";
import { unlocked } from "./state";
import { type Given, given, living } from "./uses";
import { fieldName, list, places, problem, purposeIri, recipientName, said, t } from "./words";

export function Details({
  holding,
  item,
  grounds,
}: {
  readonly holding: Holding;
  readonly item: Happened;
  /** The statutory grounds; null while they are not known. */
  readonly grounds: readonly Ground[] | null;
}) {
  const why = useSignal(false);
  const ending = useSignal<Given | null>(null);
  const asking = useSignal<Asking | null>(null);
  const behind = Object.entries(item.grounds ?? {}).map(([id, fields]) => ({
    id,
    fields,
    ...named(holding, grounds, id),
  }));
  const lives = living(holding);
  const mine = behind.flatMap(({ id }) => lives.filter((one) => one.id === id));
  const theirs = behind.filter((one) => one.ground !== null);
  const purpose = item.purpose === null ? null : purposeIri(holding, item.purpose);
  const reading = item.kind === "release" || item.kind === "refusal";
  return (
    <div class="more">
      <dl class="facts small">
        {touched(item).length > 0 && (
          <Fact term={t("history.fields")}>{list(touched(item).map((one) => fieldName(holding, one)))}</Fact>
        )}
        {item.recipient && <Fact term={t("ask.who")}>{recipientName(holding, item.recipient)}</Fact>}
        {item.jurisdiction && <Fact term={t("ask.place")}>{places([item.jurisdiction])}</Fact>}
        {item.reader && (
          <Fact term={t("history.by")}>
            <span class="mono">{item.reader}</span>
          </Fact>
        )}
        <Fact term={t("history.event")}>
          <span class="mono">{item.event}</span>
        </Fact>
      </dl>
      <Proof holding={holding} item={item} />
      {reading && why.value && (
        <div class="why stack" role="status">
          {bareRead(item) && <p>{t("why.bare")}</p>}
          {behind.map(({ id, fields, consent, ground }) => (
            <p key={id}>
              {consent && t("why.consent", { when: day(consent.from), until: day(consent.given.until) })}
              {ground && t("why.ground", { basis: said("basis", ground.basis), citation: ground.citation })}
              {!consent && !ground && t("why.other", { id })}{" "}
              <span class="faint">{list(fields.map((one) => fieldName(holding, one)))}</span>
            </p>
          ))}
          {item.released.length > 0 && behind.length === 0 && <p>{t("why.untold")}</p>}
          {[...new Set(Object.values(item.withheld))].map((reason) => (
            <p key={reason}>
              <strong>{said("reason", reason)}:</strong> {said("why", reason)}
            </p>
          ))}
          {item.kind === "refusal" && <p>{t("why.refusal")}</p>}
          <p class="faint">{t("why.ask")}</p>
        </div>
      )}
      {reading && (
        <div class="actions start">
          {!why.value ? (
            <Button icon="info" onClick={() => (why.value = true)}>
              {t("why")}
            </Button>
          ) : (
            <Button icon="send" onClick={() => (asking.value = { kind: "explanation", read: item })}>
              {t("why.formal")}
            </Button>
          )}
          {purpose && (theirs.length > 0 || (behind.length === 0 && item.released.length > 0)) && (
            <Button
              icon="pen"
              onClick={() => {
                const [ground] = theirs;
                asking.value = { kind: "objection", purpose, ...(ground ? { ground: ground.id } : {}) };
              }}
            >
              {t("object")}
            </Button>
          )}
          {mine.map((one) => (
            <Button key={one.id} kind="danger" onClick={() => (ending.value = one)}>
              {t("history.withdraw")}
            </Button>
          ))}
        </div>
      )}
      {ending.value && (
        <EndDialog
          holding={holding}
          all={lives}
          ending={{ kind: "consent", consent: ending.value }}
          onClose={(done) => {
            ending.value = null;
            if (done) go("data");
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
    </div>
  );
}

/** What a ground is: a consent of the owner's own, or one that the organisation declared; neither where it is unknown. */
function named(holding: Holding, grounds: readonly Ground[] | null, id: string) {
  const held = holding.consents.find((one) => consentId(one) === id);
  const consent = held === undefined ? null : { given: given(held), from: String(held.document.validFrom) };
  return { consent, ground: grounds?.find((one) => one.id === id) ?? null };
}

function Proof({ holding, item }: { readonly holding: Holding; readonly item: Happened }) {
  const { busy, error, run } = useAct();
  const proved = useSignal("");
  const prove = () =>
    run(async () => {
      const found = await learning.prove(unlocked(), holding.controller, item.event);
      proved.value = t("history.proved", { n: number(found.index + 1), size: number(found.size) });
    });
  return (
    <>
      {error.value !== null && (
        <Note tone="warn" icon="alert">
          {t("history.unproved", { why: problem(error.value) })}
        </Note>
      )}
      {proved.value ? (
        <Chip tone="good" icon="check">
          {proved.value}
        </Chip>
      ) : (
        <Button busy={busy.value} icon="search" onClick={() => void prove()}>
          {t("history.prove")}
        </Button>
      )}
    </>
  );
}
