/** Who read which field when and what for, refusals included; names and reasons, never a value. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { moment, number } from "../../../crm_core/web/ui/i18n";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Empty, Loading, Note, Select } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import type { Happened } from "../core/record";
import { Title, Trouble, useAct } from "./pieces";
import { organisations, wallet } from "./state";
import { few, fieldName, list, organisation, problem, purposeName, recipientName, said, t } from "./words";

type Which = "all" | "reads" | "refusals";

/** Whether an entry is about reading: done or refused. */
export const reads = (item: Happened): boolean => item.kind === "release" || item.kind === "refusal";

export function History() {
  const known = organisations.value;
  const at = useSignal(0);
  const holding = known[Math.min(at.value, known.length - 1)];
  return (
    <>
      <Title lead={t("history.lead")}>{t("place.history")}</Title>
      {holding === undefined ? (
        <section class="card">
          <Empty title={t("home.nobody")} icon="eye">
            <p>{t("home.nobody.more")}</p>
          </Empty>
        </section>
      ) : (
        <>
          <Organisations at={at} />
          <Entries key={holding.controller} holding={holding} />
        </>
      )}
    </>
  );
}

/** Which organisation is looked at, where there are several. */
export function Organisations({ at }: { readonly at: { value: number } }) {
  const known = organisations.value;
  if (known.length < 2) return <p class="soft org">{known[0] && organisation(known[0].controller)}</p>;
  return (
    <Select
      label={t("organisation")}
      value={String(at.value)}
      onChange={(event) => {
        at.value = Number(event.currentTarget.value);
      }}
    >
      {known.map((one, place) => (
        <option key={one.controller} value={place}>
          {organisation(one.controller)}
        </option>
      ))}
    </Select>
  );
}

function Entries({ holding }: { readonly holding: Holding }) {
  const items = useSignal<readonly Happened[]>([]);
  const next = useSignal<string | null | undefined>(undefined);
  const which = useSignal<Which>("all");
  const reader = useSignal("");
  const field = useSignal("");
  const { busy, error, run } = useAct();
  const more = () =>
    run(async () => {
      const page = await wallet.value?.history(holding.controller, next.value ?? undefined);
      if (page === undefined) return;
      items.value = [...items.value, ...page.items];
      next.value = page.next;
    });
  useEffect(() => {
    void more();
  }, [holding.controller]);
  const found = items.value.filter(
    (one) =>
      (which.value === "all" ? true : which.value === "reads" ? reads(one) : refused(one)) &&
      (reader.value === "" || one.role === reader.value) &&
      (field.value === "" || touched(one).includes(field.value) || field.value in one.withheld),
  );
  const roles = [...new Set(items.value.flatMap((one) => (one.role ? [one.role] : [])))].sort();
  const fields = [...new Set(items.value.flatMap((one) => [...touched(one), ...Object.keys(one.withheld)]))].sort();
  return (
    <>
      <div class="filters">
        <Select
          label={t("history.which")}
          value={which.value}
          onChange={(event) => (which.value = event.currentTarget.value as Which)}
        >
          {(["all", "reads", "refusals"] as const).map((one) => (
            <option key={one} value={one}>
              {t(`history.${one}`)}
            </option>
          ))}
        </Select>
        <Select
          label={t("history.reader")}
          value={reader.value}
          onChange={(e) => (reader.value = e.currentTarget.value)}
        >
          <option value="">{t("history.anybody")}</option>
          {roles.map((one) => (
            <option key={one} value={one}>
              {said("role", one)}
            </option>
          ))}
        </Select>
        <Select label={t("history.field")} value={field.value} onChange={(e) => (field.value = e.currentTarget.value)}>
          <option value="">{t("history.any")}</option>
          {fields.map((one) => (
            <option key={one} value={one}>
              {fieldName(holding, one)}
            </option>
          ))}
        </Select>
      </div>
      <Trouble error={error.value} onAgain={() => void more()} />
      <section class="card" aria-busy={busy.value} aria-label={t("place.history")}>
        {next.value === undefined && busy.value && <Loading lines={6} />}
        {next.value !== undefined && found.length === 0 && (
          <Empty title={t("history.none")} icon="eye">
            <p>{t("history.none.more")}</p>
          </Empty>
        )}
        <ul class="rows">
          {found.map((item) => (
            <Line key={`${item.event} ${touched(item)}`} holding={holding} item={item} open />
          ))}
        </ul>
      </section>
      {next.value && (
        <p class="foot">
          <Button busy={busy.value} onClick={() => void more()}>
            {t("history.more")}
          </Button>
        </p>
      )}
    </>
  );
}

/** One entry; `open` lets the owner look at its details and prove it. */
export function Line({
  holding,
  item,
  open = false,
}: {
  readonly holding: Holding;
  readonly item: Happened;
  readonly open?: boolean;
}) {
  const fields = touched(item).map((one) => fieldName(holding, one));
  const body = (
    <>
      <span class={`dot ${refused(item) ? "bad" : item.kind === "release" ? "good" : ""}`} aria-hidden="true" />
      <span>
        <strong>
          {bareRead(item) ? t("history.nothing") : said("event", item.kind)}
          {item.role && <span class="by"> · {said("role", item.role)}</span>}
        </strong>
        <span class="soft">
          {[few(fields), item.purpose ? purposeName(holding, item.purpose) : ""].filter(Boolean).join(" — ")}
        </span>
        <Reasons holding={holding} item={item} />
      </span>
      <time class="faint when" dateTime={item.time}>
        {moment(item.time)}
      </time>
    </>
  );
  if (!open) {
    return (
      <li>
        <div class="row">{body}</div>
      </li>
    );
  }
  return (
    <li>
      <details class="entry">
        <summary class="row">
          {body}
          <Icon name="down" />
        </summary>
        <Proof holding={holding} item={item} />
      </details>
    </li>
  );
}

function Reasons({ holding, item }: { readonly holding: Holding; readonly item: Happened }) {
  const reasons = new Map<string, string[]>();
  for (const [field, reason] of Object.entries(item.withheld)) {
    reasons.set(reason, [...(reasons.get(reason) ?? []), field]);
  }
  return (
    <>
      {[...reasons].map(([reason, fields]) => (
        <span class="faint" key={reason}>
          {t("history.withheld", {
            why: said("reason", reason),
            fields: few(fields.map((one) => fieldName(holding, one))),
          })}
        </span>
      ))}
    </>
  );
}

function Proof({ holding, item }: { readonly holding: Holding; readonly item: Happened }) {
  const { busy, error, run } = useAct();
  const proved = useSignal("");
  const prove = () =>
    run(async () => {
      const found = await wallet.value?.prove(holding.controller, item.event);
      if (found) proved.value = t("history.proved", { n: number(found.index + 1), size: number(found.size) });
    });
  return (
    <div class="more">
      <dl class="facts small">
        {touched(item).length > 0 && (
          <Pair term={t("history.fields")}>{list(touched(item).map((one) => fieldName(holding, one)))}</Pair>
        )}
        {item.reader && <Pair term={t("history.by")}>{item.reader}</Pair>}
        {item.recipient && <Pair term={t("ask.who")}>{recipientName(holding, item.recipient)}</Pair>}
        <Pair term={t("history.event")}>{item.event}</Pair>
      </dl>
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
    </div>
  );
}

const Pair = ({ term, children }: { readonly term: string; readonly children: string }) => (
  <div>
    <dt>{term}</dt>
    <dd>{children}</dd>
  </div>
);

/** A read that was answered without anything of the owner's. */
const bareRead = (item: Happened): boolean => item.kind === "release" && item.released.length === 0;

const refused = (item: Happened): boolean =>
  item.kind === "refusal" || item.kind === "attempt.refused" || item.kind === "enrolment.refused" || bareRead(item);

const touched = (item: Happened): string[] => [...new Set([...item.released, ...item.fields])];
