/** One request: everything that it means before the answer, and nothing ticked for the owner. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useAct } from "../../../crm_core/web/ui/act";
import { day, duration } from "../../../crm_core/web/ui/i18n";
import { Button, Chip, Dialog, Loading, Note } from "../../../crm_core/web/ui/pieces";
import { CoreError } from "../core/bytes";
import type { Ticked } from "../core/consent";
import * as deciding from "../core/deciding";
import type { Holding } from "../core/holding";
import type { AskLink } from "../core/link";
import type { Offer } from "../core/offer";
import { type Process, process } from "../core/verify";
import { dayOf, lastDay } from "./days";
import { BackupDialog } from "./dialogs";
import { Fact, Title, Trouble, useFetched } from "./pieces";
import { go, to } from "./route";
import { asked, chosen, content, fetchAsks, unlocked, wallet } from "./state";
import {
  fieldName,
  list,
  needed,
  organisation,
  places,
  problem,
  purposeName,
  recipientName,
  refusalMeans,
  said,
  sensitive,
  t,
} from "./words";

type Outcome = "given" | "refused";

export function AskScreen() {
  const offer = chosen.value;
  const outcome = useSignal<{ what: Outcome; warning: string } | null>(null);
  const link = asked.value;
  if (link !== null) return <Linked key={link.id} link={link} />;
  if (outcome.value !== null) return <Answered {...outcome.value} />;
  if (offer === null) {
    return (
      <>
        <Title lead={t("ask.gone.more")}>{t("ask.gone")}</Title>
        <a class="button" href={to("home")}>
          {t("place.home")}
        </a>
      </>
    );
  }
  return <Answering key={offer.ask.id} offer={offer} onDone={(what, warning) => (outcome.value = { what, warning })} />;
}

const ENDED = new Set(["answered", "refused", "superseded", "expired", "revoked"]);

/** What a link led to: looked up at the organisation that it names, if this wallet knows it. */
function Linked({ link }: { readonly link: AskLink }) {
  const { value, error, load } = useFetched(() => deciding.found(unlocked(), link.controller, link.id), [link.id]);
  const found = value.value;
  const offer = found?.offer ?? null;
  useEffect(() => {
    if (offer === null) return;
    chosen.value = offer;
    asked.value = null;
  }, [offer]);
  const who = organisation(link.controller);
  if (error.value !== null) {
    const code = error.value instanceof CoreError ? error.value.code : "";
    const plain = code === "not_enrolled" || code === "unknown_ask";
    return (
      <Gone title={plain ? t(`ask.link.${code}`) : t("ask.gone")}>
        {plain ? (
          <p class="soft">{t(`ask.link.${code}.more`, { who })}</p>
        ) : (
          <Trouble error={error.value} onAgain={() => void load()} />
        )}
      </Gone>
    );
  }
  if (found === undefined || found.offer !== null) {
    return (
      <>
        <Title>{t("ask.lead", { who })}</Title>
        <Loading lines={6} />
      </>
    );
  }
  const standing = ENDED.has(found.standing) ? found.standing : "expired";
  return (
    <Gone title={t("ask.gone")}>
      <p class="soft">{t(`ask.standing.${standing}` as "ask.standing.expired", { who })}</p>
    </Gone>
  );
}

/** There is nothing to answer; why, and the way home. */
function Gone({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  const leave = () => {
    asked.value = null;
  };
  return (
    <>
      <Title>{title}</Title>
      {children}
      <p>
        <a class="button" href={to("home")} onClick={leave}>
          {t("place.home")}
        </a>
      </p>
    </>
  );
}

function Answering({
  offer,
  onDone,
}: {
  readonly offer: Offer;
  readonly onDone: (what: Outcome, warning: string) => void;
}) {
  const ticked = useSignal<Ticked>(new Map());
  const until = useSignal(dayOf(offer.ask.latestUntil));
  const step = useSignal<"none" | "backup" | "decline">("none");
  const { busy, error, run } = useAct();
  const holding = content.value?.organisations.find((one) => one.controller === offer.controller);
  if (holding === undefined) return null;
  const processes = offer.ask.processes.map(process);
  const count = [...ticked.value.values()].reduce((sum, fields) => sum + fields.size, 0);
  const means = refusalMeans(offer.notice);

  const toggle = (place: number, field: string, on: boolean) => {
    const fields = new Set(ticked.value.get(place) ?? []);
    if (on) fields.add(field);
    else fields.delete(field);
    ticked.value = new Map(ticked.value).set(place, fields);
  };
  const finish = (what: Outcome, act: () => Promise<unknown>) =>
    run(async () => {
      let warning = "";
      try {
        await act();
      } catch (found) {
        // signed and on its way all the same: said, and sent again when the wallet opens next
        if (!waits(offer)) throw found;
        warning = problem(found);
      }
      chosen.value = null;
      onDone(what, warning);
      void fetchAsks();
    });
  const sign = () =>
    finish("given", async () =>
      deciding.consent(unlocked(), offer, ticked.value, lastDay(until.value, offer.ask.latestUntil)),
    );
  const onSign = () => {
    if (content.value?.backup === null) step.value = "backup";
    else void sign();
  };

  return (
    <>
      <Title lead={t("ask.lead", { who: organisation(offer.controller) })}>
        {list(processes.map((one) => purposeName(holding, one.purpose)))}
      </Title>
      {processes.map((one, place) => (
        <section class="card stack padded" key={one.purpose} aria-label={purposeName(holding, one.purpose)}>
          {processes.length > 1 && <h2>{purposeName(holding, one.purpose)}</h2>}
          <fieldset class="ticks">
            <legend>{t("ask.fields")}</legend>
            <p class="soft small">{t("ask.tick")}</p>
            {inOrder(holding, one).map((field) => (
              <label key={field}>
                <input
                  type="checkbox"
                  checked={ticked.value.get(place)?.has(field) ?? false}
                  onChange={(event) => toggle(place, field, event.currentTarget.checked)}
                />
                <span>{fieldName(holding, field)}</span>
                {sensitive(holding, field) && <Chip tone="warn">{t("ask.sensitive")}</Chip>}
                {needed(holding, one.purpose, field) && <Chip>{t("ask.needed")}</Chip>}
              </label>
            ))}
          </fieldset>
          <dl class="facts">
            <Fact term={t("ask.what")}>{list(one.processing.map((word) => said("processing", word)))}</Fact>
            <Fact term={t("ask.who")}>{list(one.recipients.map((did) => recipientName(holding, did)))}</Fact>
            <Fact term={t("ask.place")}>{places([...new Set([...one.jurisdictions, ...one.locations])])}</Fact>
            <Fact term={t("ask.data")}>{t("ask.data.for", { how: duration(one.duration) })}</Fact>
          </dl>
        </section>
      ))}
      <section class="card stack padded" aria-label={t("ask.until")}>
        <p class="field">
          <label for="until">{t("ask.until")}</label>
          <input
            id="until"
            type="date"
            value={until.value}
            min={dayOf(new Date(Date.now() + 86_400_000))}
            max={dayOf(offer.ask.latestUntil)}
            onInput={(event) => (until.value = event.currentTarget.value)}
          />
          <span class="hint">{t("ask.until.hint", { last: day(offer.ask.latestUntil) })}</span>
        </p>
        <dl class="facts">
          <Fact term={t("ask.no")}>{means || t("ask.no.other")}</Fact>
          <Fact term={t("ask.end")}>{t("ask.end.any")}</Fact>
        </dl>
      </section>
      <details class="card padded">
        <summary>{t("ask.notice")}</summary>
        <p class="notice" lang={String(offer.ask.notice.language)}>
          {offer.notice}
        </p>
        <p class="faint small">{t("ask.notice.digest")}</p>
      </details>
      <details class="card padded">
        <summary>{t("details")}</summary>
        <dl class="facts mono small">
          <Fact term={t("ask.id")}>{offer.ask.id}</Fact>
          <Fact term={t("ask.by")}>{offer.ask.controller}</Fact>
          <Fact term={t("ask.for")}>{offer.ask.subjectDid}</Fact>
          <Fact term={t("ask.purposes")}>{list(processes.map((one) => one.purpose))}</Fact>
          <Fact term={t("ask.field_ids")}>{list(processes.flatMap((one) => one.fields))}</Fact>
          <Fact term={t("ask.recipients")}>{list(processes.flatMap((one) => one.recipients))}</Fact>
          <Fact term={t("ask.digest")}>{offer.ask.digest}</Fact>
        </dl>
      </details>
      <Trouble error={error.value} />
      <div class="bar-actions">
        <Button onClick={() => (step.value = "decline")} disabled={busy.value}>
          {t("ask.decline")}
        </Button>
        <Button kind="primary" icon="pen" busy={busy.value} disabled={count === 0} onClick={onSign}>
          {count === 0 ? t("ask.tick_first") : t("ask.sign", { n: count })}
        </Button>
      </div>
      {step.value === "backup" && (
        <BackupDialog
          first
          onClose={(made) => {
            step.value = "none";
            if (made) void sign();
          }}
        />
      )}
      {step.value === "decline" && (
        <Dialog title={t("ask.decline.title")} onClose={() => (step.value = "none")}>
          <p>{means || t("ask.no.other")}</p>
          <p class="soft">{t("ask.decline.more")}</p>
          <Trouble error={error.value} />
          <div class="actions">
            <Button
              kind="primary"
              busy={busy.value}
              onClick={() => finish("refused", async () => deciding.refuse(unlocked(), offer))}
            >
              {t("ask.decline")}
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function Answered({ what, warning }: { readonly what: Outcome; readonly warning: string }) {
  return (
    <>
      <Title>{t(what === "given" ? "ask.given" : "ask.refused")}</Title>
      {warning ? (
        <Note tone="warn" icon="alert">
          {t("ask.waits", { why: warning })}
        </Note>
      ) : (
        <Note tone="good" icon="check">
          {t(what === "given" ? "ask.given.more" : "ask.refused.more")}
        </Note>
      )}
      <div class="actions start">
        <a class="button primary" href={to("home")}>
          {t("done")}
        </a>
        {what === "given" && (
          <a class="button" href={to("data")} onClick={() => go("data")}>
            {t("place.data")}
          </a>
        )}
      </div>
    </>
  );
}

/** Whether the answer to this ask is signed and waits for the organisation. */
function waits(offer: Offer): boolean {
  const pending = wallet.value?.holding(offer.controller).pending ?? [];
  return pending.some((one) => JSON.stringify(one.body).includes(offer.ask.id));
}

/** What the purpose cannot do without comes first. */
const inOrder = (holding: Holding, one: Process): string[] =>
  one.fields.toSorted((a, b) => +needed(holding, one.purpose, b) - +needed(holding, one.purpose, a));
