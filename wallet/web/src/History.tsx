/** Who read which field when and what for, refusals included; names and reasons, never a value. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Button, Empty, Loading, Select } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { Happened } from "../core/record";
import { Line, reads, refused, touched } from "./Entry";
import { Organisations } from "./Organisations";
import { Title, Trouble, useAct } from "./pieces";
import { organisations, unlocked } from "./state";
import { fieldName, said, t } from "./words";

type Which = "all" | "reads" | "refusals";

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

function Entries({ holding }: { readonly holding: Holding }) {
  const items = useSignal<readonly Happened[]>([]);
  const next = useSignal<string | null | undefined>(undefined);
  const which = useSignal<Which>("all");
  const reader = useSignal("");
  const field = useSignal("");
  const { busy, error, run } = useAct();
  const more = () =>
    run(async () => {
      const page = await learning.history(unlocked(), holding.controller, next.value ?? undefined);
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
