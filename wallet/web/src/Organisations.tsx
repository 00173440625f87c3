import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { IconName } from "../../../crm_core/web/ui/icons";
import { Empty, Select } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import { Title } from "./pieces";
import { to } from "./route";
import { organisations } from "./state";
import { organisation, t } from "./words";

/** A screen about one organisation: its title, which organisation, and what `children` make of it. */
export function OfOrganisation({
  title,
  lead,
  icon,
  children,
}: {
  readonly title: string;
  readonly lead: string;
  readonly icon: IconName;
  readonly children: (holding: Holding) => ComponentChildren;
}) {
  const known = organisations.value;
  const at = useSignal(0);
  const holding = known[Math.min(at.value, known.length - 1)];
  return (
    <>
      <Title lead={lead}>{title}</Title>
      {holding === undefined ? (
        <section class="card">
          <Empty title={t("home.nobody")} icon={icon}>
            <p>{t("home.nobody.more")}</p>
            <a class="button" href={to("enrol")}>
              {t("home.open")}
            </a>
          </Empty>
        </section>
      ) : (
        <>
          <Organisations at={at} />
          {children(holding)}
        </>
      )}
    </>
  );
}

/** Which organisation is looked at, where there are several. */
function Organisations({ at }: { readonly at: { value: number } }) {
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
