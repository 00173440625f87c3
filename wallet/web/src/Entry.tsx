/** One line of the history, as the screens show it: who, what, what for, and what was withheld and why. */

import type { ComponentChildren } from "preact";
import { moment } from "../../../crm_core/web/ui/i18n";
import { Icon } from "../../../crm_core/web/ui/icons";
import type { Holding } from "../core/holding";
import type { Happened } from "../core/record";
import { few, fieldName, purposeName, said, t } from "./words";

/** Whether an entry is about reading: done or refused. */
export const reads = (item: Happened): boolean => item.kind === "release" || item.kind === "refusal";

/** A read that was answered without anything of the owner's: they stood in a list, and every field was withheld. */
export const bareRead = (item: Happened): boolean => item.kind === "release" && item.released.length === 0;

export const refused = (item: Happened): boolean =>
  item.kind === "refusal" || item.kind === "attempt.refused" || item.kind === "enrolment.refused" || bareRead(item);

/** The fields that were read, or that an entry otherwise names. */
export const touched = (item: Happened): string[] => [...new Set([...item.released, ...item.fields])];

/** What happened, in a few words. */
export function what(item: Happened): string {
  if (bareRead(item)) return t("history.nothing");
  return item.kind === "release" && item.way ? said("way", item.way) : said("event", item.kind);
}

/** One entry; with `children` it opens and shows them. */
export function Line({
  holding,
  item,
  children,
}: {
  readonly holding: Holding;
  readonly item: Happened;
  readonly children?: ComponentChildren;
}) {
  const fields = touched(item).map((one) => fieldName(holding, one));
  const body = (
    <>
      <span class={`dot ${refused(item) ? "bad" : item.kind === "release" ? "good" : ""}`} aria-hidden="true" />
      <span>
        <strong>
          {what(item)}
          {item.role && <span class="by"> · {said("role", item.role)}</span>}
        </strong>
        <span class="soft">
          {[few(fields), item.purpose ? purposeName(holding, item.purpose) : ""].filter(Boolean).join(" — ")}
        </span>
        {(children !== undefined || bareRead(item)) && <Reasons holding={holding} item={item} />}
      </span>
      <time class="faint when" dateTime={item.time}>
        {moment(item.time)}
      </time>
    </>
  );
  if (children === undefined) {
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
        {children}
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
