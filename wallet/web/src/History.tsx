/** Who read which field when and what for, refusals included; names and reasons, never a value. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAct } from "../../../crm_core/web/ui/act";
import { ago } from "../../../crm_core/web/ui/i18n";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Empty, Loading, Select } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { Happened } from "../core/record";
import type { Ground } from "../core/verify";
import { Details } from "./Details";
import { Line, reads, refused } from "./Entry";
import { byField, byReader, fieldsIn, type Group } from "./groups";
import { OfOrganisation } from "./Organisations";
import { Trouble, useFetched } from "./pieces";
import { unlocked } from "./state";
import { fieldName, list, purposeName, said, t } from "./words";

const PAGE = 100;
const WHICH = ["all", "reads", "refusals"] as const;
const ORDERS = ["time", "reader", "field"] as const;
type Which = (typeof WHICH)[number];
type Order = (typeof ORDERS)[number];

export const History = () => (
  <OfOrganisation title={t("place.history")} lead={t("history.lead")} icon="eye">
    {(holding) => <Entries key={holding.controller} holding={holding} />}
  </OfOrganisation>
);

function Entries({ holding }: { readonly holding: Holding }) {
  const items = useSignal<readonly Happened[]>([]);
  const next = useSignal<string | null | undefined>(undefined);
  const which = useSignal<Which>("all");
  const order = useSignal<Order>("time");
  const reader = useSignal("");
  const field = useSignal("");
  const purpose = useSignal("");
  const { busy, error, run } = useAct();
  const grounds = useFetched(() => learning.grounds(unlocked(), holding.controller), [holding.controller]);
  const more = () =>
    run(async () => {
      const page = await learning.history(unlocked(), holding.controller, next.value ?? undefined, PAGE);
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
      (purpose.value === "" || one.purpose === purpose.value) &&
      (field.value === "" || fieldsIn(one).includes(field.value)),
  );
  const shown = { holding, grounds: grounds.value.value ?? null };
  return (
    <>
      <div class="filters">
        <Choice label={t("history.order")} chosen={order} all={ORDERS} say={(one) => t(`history.order.${one}`)} />
        <Choice label={t("history.which")} chosen={which} all={WHICH} say={(one) => t(`history.${one}`)} />
        <Choice
          label={t("history.reader")}
          chosen={reader}
          all={["", ...several(items.value, (one) => [one.role ?? ""])]}
          say={(one) => (one ? said("role", one) : t("history.anybody"))}
        />
        <Choice
          label={t("history.field")}
          chosen={field}
          all={["", ...several(items.value, fieldsIn)]}
          say={(one) => (one ? fieldName(holding, one) : t("history.any"))}
        />
        <Choice
          label={t("history.purpose")}
          chosen={purpose}
          all={["", ...several(items.value, (one) => [one.purpose ?? ""])]}
          say={(one) => (one ? purposeName(holding, one) : t("history.any_purpose"))}
        />
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
          {order.value === "time" && found.map((item) => <Entry key={keyOf(item)} {...shown} item={item} />)}
          {order.value === "reader" &&
            byReader(found.filter(reads)).map((group) => (
              <Grouped key={group.key} {...shown} group={group} title={readerName(group)} more={brief(group.key)} />
            ))}
          {order.value === "field" &&
            byField(found.filter(reads)).map((group) => (
              <Grouped
                key={group.key}
                {...shown}
                group={group}
                title={fieldName(holding, group.key)}
                more={list(several(group.entries, (one) => [one.role ?? ""]).map((one) => said("role", one)))}
              />
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

interface Shown {
  readonly holding: Holding;
  readonly grounds: readonly Ground[] | null;
}

const Entry = ({ holding, grounds, item }: Shown & { readonly item: Happened }) => (
  <Line holding={holding} item={item}>
    <Details holding={holding} item={item} grounds={grounds} />
  </Line>
);

/** Everything by one reader, or about one field. */
function Grouped({
  group,
  title,
  more,
  ...shown
}: Shown & { readonly group: Group; readonly title: string; readonly more: string }) {
  const [newest] = group.entries;
  return (
    <li>
      <details class="entry group">
        <summary class="row">
          <span>
            <strong>{title}</strong>
            <span class="soft clip">{more}</span>
            <span class="faint">
              {t("history.count", { n: group.reads })} · {t("history.count.refused", { n: group.refusals })}
            </span>
          </span>
          {newest && (
            <time class="faint when" dateTime={newest.time}>
              {ago(newest.time)}
            </time>
          )}
          <Icon name="down" />
        </summary>
        <ul class="rows inner">
          {group.entries.map((item) => (
            <Entry key={keyOf(item)} {...shown} item={item} />
          ))}
        </ul>
      </details>
    </li>
  );
}

function Choice<T extends string>({
  label,
  chosen,
  all,
  say,
}: {
  readonly label: string;
  readonly chosen: { value: T };
  readonly all: readonly T[];
  readonly say: (one: T) => string;
}) {
  return (
    <Select
      label={label}
      value={chosen.value}
      onChange={(event) => {
        chosen.value = event.currentTarget.value as T;
      }}
    >
      {all.map((one) => (
        <option key={one} value={one}>
          {say(one)}
        </option>
      ))}
    </Select>
  );
}

const readerName = (group: Group): string => (group.role ? said("role", group.role) : t("history.nobody"));

/** Enough of a DID to tell two apart; the whole of it stands behind each entry. */
const brief = (did: string): string => (did.length > 32 ? `${did.slice(0, 16)}…${did.slice(-6)}` : did);

const keyOf = (item: Happened): string => `${item.event} ${fieldsIn(item)}`;

/** What occurs among the entries, once each and in order. */
const several = (items: readonly Happened[], of: (item: Happened) => readonly string[]): string[] =>
  [...new Set(items.flatMap(of))].filter((one) => one !== "").sort();
