import { Select } from "../../../crm_core/web/ui/pieces";
import { organisations } from "./state";
import { organisation, t } from "./words";

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
