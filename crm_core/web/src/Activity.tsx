import { useSignal } from "@preact/signals";
import { language, moment } from "../ui/i18n";
import { Button, Chip, ErrorNote, Loading } from "../ui/pieces";
import type { Feed, Item, PurposeEntry } from "./api";
import * as api from "./api";
import { field, fieldsOf } from "./desk";
import { Granted } from "./Held";
import { useReading } from "./reading";
import { named, said, t } from "./words";

const TITLES = ["interaction.subject", "deal.title", "ticket.subject"];
const BODIES = ["interaction.body", "ticket.body"];
const MOMENTS = ["interaction.at", "ticket.opened_at"];
const MORE = 3;

/** Interactions, deals and tickets, newest first, as the purpose shows them. */
export function Activity({ subject, of }: { readonly subject: string; readonly of: PurposeEntry }) {
  const pages = useSignal(1);
  const reading = useReading((stop) => first(subject, of.key, pages.value, stop), "values");
  if (fieldsOf(of, true).length === 0) return null;
  const feed = reading.data.value;
  const withheld = Object.keys(feed?.withheld ?? {});
  return (
    <section class="card side-card" aria-labelledby="activity">
      <header>
        <h2 id="activity">{t("items")}</h2>
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {!feed && reading.error.value === null && <Loading lines={4} />}
      {feed && feed.items.length === 0 && <p class="nothing faint">{t("items.none.more")}</p>}
      <ol class="feed">
        {feed?.items.map((item) => (
          <Entry key={item.item} item={item} />
        ))}
      </ol>
      {feed?.next && (
        <Button kind="quiet" busy={reading.busy.value} onClick={() => (pages.value += 1)}>
          {t("items.more")}
        </Button>
      )}
      {withheld.length > 0 && (
        <p class="nothing faint" title={listed(withheld)}>
          {t("items.withheld", { fields: listed(withheld.slice(0, MORE)) + (withheld.length > MORE ? "…" : "") })}
        </p>
      )}
    </section>
  );
}

/** The first pages, each decided anew. */
async function first(subject: string, purpose: string, count: number, stop: AbortSignal): Promise<Feed> {
  let found = await api.items(subject, purpose, null, { stop });
  for (let at = 1; at < count && found.next; at += 1) {
    const more = await api.items(subject, purpose, found.next, { stop });
    found = { ...more, items: [...found.items, ...more.items] };
  }
  return found;
}

const listed = (ids: readonly string[]): string => ids.map(named).join(language.value === "en" ? ", " : "、");

function Entry({ item }: { readonly item: Item }) {
  const ids = Object.keys(item.fields).filter((id) => item.fields[id] !== null);
  const title = ids.find((id) => TITLES.includes(id));
  const body = ids.find((id) => BODIES.includes(id));
  const at = ids.find((id) => MOMENTS.includes(id));
  const rest = ids.filter((id) => id !== title && id !== body && id !== at && field(id));
  return (
    <li>
      <p>
        <b>{title ? String(item.fields[title]) : said(`kind.${item.kind}`, "items")}</b>
        {title && <Chip>{said(`kind.${item.kind}`, "items")}</Chip>}
      </p>
      {at && <p class="faint">{moment(String(item.fields[at]))}</p>}
      {body && <p class="text">{String(item.fields[body])}</p>}
      {rest.length > 0 && (
        <dl>
          {rest.map((id) => (
            <div key={id}>
              <dt>{named(id)}</dt>
              <dd>
                <Granted id={id} value={item.fields[id] ?? null} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </li>
  );
}
