/** One entry of the history, as the screens show it: who, what, what for, and what was withheld and why. */

import { useSignal } from "@preact/signals";
import { moment, number } from "../../../crm_core/web/ui/i18n";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Note } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { Happened } from "../core/record";
import { useAct } from "./pieces";
import { unlocked } from "./state";
import { few, fieldName, list, problem, purposeName, recipientName, said, t } from "./words";

/** Whether an entry is about reading: done or refused. */
export const reads = (item: Happened): boolean => item.kind === "release" || item.kind === "refusal";

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
      const found = await learning.prove(unlocked(), holding.controller, item.event);
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

export const refused = (item: Happened): boolean =>
  item.kind === "refusal" || item.kind === "attempt.refused" || item.kind === "enrolment.refused" || bareRead(item);

export const touched = (item: Happened): string[] => [...new Set([...item.released, ...item.fields])];
