/** The owner's rights: what can be asked for, what was asked, where it stands, and the copies, opened here alone. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { day, moment } from "../../../crm_core/web/ui/i18n";
import { Icon, type IconName } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Loading, Note } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import type { JsonObject } from "../core/jcs";
import type { Asked, Kind, Step } from "../core/requests";
import * as requests from "../core/requests";
import { CopyDialog } from "./Copy";
import { Line } from "./Entry";
import { OfOrganisation } from "./Organisations";
import { download, Trouble, useFetched } from "./pieces";
import { type Asking, RequestDialog } from "./RequestDialog";
import { go } from "./route";
import { unlocked } from "./state";
import { fieldName, list, purposeName, said, t } from "./words";

const RIGHTS: readonly (readonly [Kind, IconName])[] = [
  ["access", "copy"],
  ["explanation", "info"],
  ["portability", "download"],
  ["rectification", "pen"],
  ["restriction", "lock"],
  ["objection", "alert"],
  ["erasure", "cross"],
];
const OPEN = new Set(["received", "identified", "in_work", "extended"]);
const COPIES = new Set(["access", "portability"]);
const WEEK = 7 * 86_400_000;
const TONES: Readonly<Record<string, "good" | "warn" | "plain" | "bad">> = { answered: "good", refused: "bad" };

export const Requests = () => (
  <OfOrganisation title={t("place.requests")} lead={t("requests.lead")} icon="pen">
    {(holding) => <Rights key={holding.controller} holding={holding} />}
  </OfOrganisation>
);

function Rights({ holding }: { readonly holding: Holding }) {
  const { value, error, load } = useFetched(
    () => requests.listing(unlocked(), holding.controller),
    [holding.controller],
  );
  const asking = useSignal<Asking | null>(null);
  const copy = useSignal<JsonObject | null>(null);
  const opening = useAct();
  const open = (asked: Asked) =>
    opening.run(async () => {
      copy.value = await requests.fetched(unlocked(), holding.controller, asked);
      await load();
    });
  return (
    <>
      <section aria-labelledby="asked">
        <div class="head">
          <h2 id="asked">{t("requests.asked")}</h2>
        </div>
        <Trouble error={opening.error.value} />
        <div class="card">
          {value.value === undefined && error.value === null && <Loading lines={2} />}
          <Trouble error={error.value} onAgain={() => void load()} />
          {value.value?.length === 0 && <p class="quiet">{t("requests.none")}</p>}
          <ul class="rows">
            {value.value?.map((asked) => (
              <RequestRow key={asked.id} holding={holding} asked={asked} busy={opening.busy.value} onOpen={open} />
            ))}
          </ul>
        </div>
      </section>
      <section aria-labelledby="rights">
        <div class="head">
          <h2 id="rights">{t("requests.rights")}</h2>
        </div>
        <ul class="card rows">
          {RIGHTS.map(([kind, icon]) => (
            <li key={kind}>
              <button
                type="button"
                class="row"
                onClick={() => {
                  if (kind === "explanation") go("history");
                  else asking.value = { kind };
                }}
              >
                <Icon name={icon} />
                <span>
                  <strong>{t(`right.${kind}`)}</strong>
                  <span class="soft">{t(`right.${kind}.short`)}</span>
                </span>
                <Icon name="next" />
              </button>
            </li>
          ))}
        </ul>
      </section>
      {asking.value && (
        <RequestDialog
          holding={holding}
          asking={asking.value}
          onClose={(done) => {
            asking.value = null;
            if (done === null) return;
            if (COPIES.has(done.kind)) void open(done);
            else void load();
          }}
        />
      )}
      {copy.value && (
        <CopyDialog
          holding={holding}
          copy={copy.value}
          onClose={() => (copy.value = null)}
          onCorrect={(field) => {
            copy.value = null;
            asking.value = { kind: "rectification", field };
          }}
        />
      )}
    </>
  );
}

function RequestRow({
  holding,
  asked,
  busy,
  onOpen,
}: {
  readonly holding: Holding;
  readonly asked: Asked;
  readonly busy: boolean;
  readonly onOpen: (asked: Asked) => void;
}) {
  const { last } = asked;
  const open = OPEN.has(last.state);
  const late = open && last.due.getTime() < Date.now();
  const fetchable =
    COPIES.has(asked.kind) &&
    (last.state === "answered" ? firstAnswered(asked) + WEEK > Date.now() : open && last.state !== "received");
  const about = asked.purpose
    ? purposeName(holding, asked.purpose)
    : asked.read
      ? [asked.read.role && said("role", asked.read.role), day(asked.read.time)].filter(Boolean).join(", ")
      : list(asked.fields.map((one) => fieldName(holding, one)));
  return (
    <li>
      <details class="entry">
        <summary class="row">
          <span>
            <strong>
              {t(`right.${asked.kind}`)}
              {about && <span class="by"> · {about}</span>}
            </strong>
            <span class="soft">{t("requests.at", { when: day(asked.at) })}</span>
          </span>
          {open && <span class="faint when">{t("requests.due", { when: day(last.due) })}</span>}
          <Chip tone={late ? "bad" : (TONES[last.state] ?? "warn")}>
            {late ? t("requests.late") : said("state", last.state)}
          </Chip>
          <Icon name="down" />
        </summary>
        <div class="more">
          {asked.read && (
            <ul class="rows named">
              <Line holding={holding} item={asked.read} />
            </ul>
          )}
          <ol class="lines">
            {asked.steps.map((step) => (
              <StepLine key={String(step.document.id)} holding={holding} step={step} />
            ))}
          </ol>
          {late && <Note tone="warn">{t("requests.late.more")}</Note>}
          <div class="actions start">
            {fetchable && (
              <Button kind="primary" icon="lock" busy={busy} onClick={() => onOpen(asked)}>
                {t("requests.open")}
              </Button>
            )}
            <Button
              icon="falling"
              onClick={() =>
                download(`request-${asked.id.slice(9, 17)}.json`, JSON.stringify(papersOf(asked), null, 2))
              }
            >
              {t("requests.papers")}
            </Button>
          </div>
          {fetchable && <p class="faint small">{t("requests.open.more")}</p>}
        </div>
      </details>
    </li>
  );
}

function StepLine({ holding, step }: { readonly holding: Holding; readonly step: Step }) {
  return (
    <li>
      {moment(step.at)} · {said("state", step.state)}
      {step.citation && <span class="faint"> ({step.citation})</span>}
      {step.reason && <span> {step.reason}</span>}
      {step.explanation && <blockquote>{step.explanation}</blockquote>}
      {step.shutAt && <span> {t("right.shut", { when: moment(step.shutAt) })}</span>}
      {step.kept.map((one) => (
        <span class="block" key={`${one.citation} ${one.fields}`}>
          {t("right.stays", { fields: list(one.fields.map((field) => fieldName(holding, field))), why: one.citation })}
          {one.reason && ` ${one.reason}`}
        </span>
      ))}
    </li>
  );
}

const firstAnswered = (asked: Asked): number => asked.steps.find((one) => one.state === "answered")?.at.getTime() ?? 0;

/** What was asked and every signed word for it, to be kept. */
const papersOf = (asked: Asked) => ({ request: asked.document, receipts: asked.steps.map((one) => one.document) });
