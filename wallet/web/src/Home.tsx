/** What waits, what is allowed, what was read last. */

import { useSignal } from "@preact/signals";
import { ago, day } from "../../../crm_core/web/ui/i18n";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Empty, Loading, Note } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { Happened } from "../core/record";
import { BackupDialog } from "./dialogs";
import { Line, reads } from "./Entry";
import { Title, useFetched } from "./pieces";
import { go, to } from "./route";
import { asked, chosen, content, fetchAsks, offers, organisations, rejected, silent, tries, wallet } from "./state";
import { living } from "./uses";
import { list, organisation, purposeName, t } from "./words";

export function Home() {
  const asking = useSignal(false);
  const known = organisations.value;
  if (known.length === 0) return <Newcomer />;
  const unsafe = content.value?.backup === null;
  return (
    <>
      <Title>{t("home.title")}</Title>
      {tries.value.length > 0 && (
        <Note tone="warn" icon="alert">
          {t("home.tries", { n: tries.value.length, last: ago(tries.value.at(-1) ?? "") })}
        </Note>
      )}
      {unsafe && (
        <Note tone="warn" icon="alert">
          <p>{t("home.backup")}</p>
          <Button onClick={() => (asking.value = true)}>{t("backup.make")}</Button>
        </Note>
      )}
      {asking.value && <BackupDialog onClose={() => (asking.value = false)} />}
      <Waiting />
      <Allowed />
      <Latest />
      <p class="foot">
        <a class="button" href={to("enrol")}>
          <Icon name="camera" />
          {t("home.enrol")}
        </a>
      </p>
    </>
  );
}

function Newcomer() {
  return (
    <>
      <Title>{t("home.title")}</Title>
      <section class="card">
        <Empty title={t("home.nobody")} icon="mail">
          <p>{t("home.nobody.more")}</p>
          <a class="button primary" href={to("enrol")}>
            {t("home.open")}
          </a>
        </Empty>
      </section>
    </>
  );
}

function Waiting() {
  const found = offers.value;
  return (
    <section aria-labelledby="waiting">
      <div class="head">
        <h2 id="waiting">{t("home.waiting")}</h2>
        <Button kind="quiet" onClick={() => void fetchAsks()}>
          {t("refresh")}
        </Button>
      </div>
      {silent.value.length > 0 && (
        <Note tone="warn" icon="alert">
          {t("home.silent", { who: list(silent.value.map(organisation)) })}
        </Note>
      )}
      {rejected.value.map((one) => (
        <Note key={one.id} tone="warn" icon="alert">
          {t("home.rejected", { who: organisation(one.controller), code: one.code })}
        </Note>
      ))}
      <div class="card">
        {found === null && <Loading lines={2} />}
        {found?.length === 0 && <p class="quiet">{t(silent.value.length > 0 ? "home.unknown" : "home.none")}</p>}
        <ul class="rows">
          {found?.map((offer) => {
            const holding = organisations.value.find((one) => one.controller === offer.controller);
            const purposes = offer.ask.processes.map((one) => purposeName(holding, String(one.hasPurpose)));
            return (
              <li key={offer.ask.id}>
                <button
                  type="button"
                  class="row"
                  onClick={() => {
                    asked.value = null;
                    chosen.value = offer;
                    go("ask");
                  }}
                >
                  <span>
                    <strong>{list(purposes)}</strong>
                    <span class="soft">{t("home.asks", { who: organisation(offer.controller) })}</span>
                  </span>
                  <span class="faint when">{t("home.answer_by", { when: day(offer.ask.expires) })}</span>
                  <Icon name="next" />
                </button>
              </li>
            );
          })}
        </ul>
      </div>
    </section>
  );
}

function Allowed() {
  const all = organisations.value.flatMap((holding) => living(holding).map((given) => ({ holding, given })));
  return (
    <section aria-labelledby="allowed">
      <div class="head">
        <h2 id="allowed">{t("home.allowed")}</h2>
        <a href={to("data")}>{t("place.data")}</a>
      </div>
      <div class="card">
        {all.length === 0 && <p class="quiet">{t("home.nothing")}</p>}
        <ul class="rows">
          {all.map(({ holding, given }) => (
            <li key={given.id}>
              <a class="row" href={to("data")}>
                <span>
                  <strong>{list(given.processes.map((one) => purposeName(holding, one.purpose)))}</strong>
                  <span class="soft">
                    {organisation(holding.controller)} ·{" "}
                    {t("fields", { n: new Set(given.processes.flatMap((one) => one.fields)).size })}
                  </span>
                </span>
                {given.held.standing === "sent" && <Chip tone="warn">{t("sent")}</Chip>}
                <span class="faint when">{t("until", { when: day(given.until) })}</span>
                <Icon name="next" />
              </a>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}

function Latest() {
  const { value, error, load } = useFetched(latest, [organisations.value.length]);
  return (
    <section aria-labelledby="latest">
      <div class="head">
        <h2 id="latest">{t("home.latest")}</h2>
        <a href={to("history")}>{t("place.history")}</a>
      </div>
      <div class="card">
        {value.value === undefined && error.value === null && <Loading lines={3} />}
        {error.value !== null && (
          <p class="quiet">
            {t("home.unread")}{" "}
            <Button kind="quiet" onClick={() => void load()}>
              {t("again")}
            </Button>
          </p>
        )}
        {value.value?.length === 0 && <p class="quiet">{t("home.unread.none")}</p>}
        <ul class="rows">
          {value.value?.map(({ holding, item }) => (
            <Line key={`${item.event} ${item.released}`} holding={holding} item={item} />
          ))}
        </ul>
      </div>
    </section>
  );
}

async function latest(): Promise<{ holding: Holding; item: Happened }[]> {
  const open = wallet.value;
  if (open === null) return [];
  const pages = await Promise.all(
    organisations.value.map(async (holding) => {
      const { items } = await learning.history(open, holding.controller, undefined, 50);
      return items.filter(reads).map((item) => ({ holding, item }));
    }),
  );
  return pages
    .flat()
    .sort((one, other) => other.item.time.localeCompare(one.item.time))
    .slice(0, 4);
}
