import { label } from "../ui/i18n";
import { Button } from "../ui/pieces";
import type { Terms } from "./api";
import { field } from "./desk";
import { t } from "./words";

interface Props {
  readonly of: Terms;
  readonly chosen: readonly string[];
  readonly onChange: (fields: readonly string[]) => void;
}

/** The fields that a purpose may be asked for, to be ticked; those that it cannot do without are marked. */
export function FieldTicks({ of, chosen, onChange }: Props) {
  const ids = Object.keys(of.necessity).filter((id) => field(id));
  const all = chosen.length === ids.length;
  return (
    <fieldset class="stack tight">
      <legend>
        {t("ask.fields")}
        <span class="faint">{t("ask.fields.hint")}</span>
        <Button kind="quiet" onClick={() => onChange(all ? [] : ids)}>
          {t(all ? "ask.nothing" : "ask.all")}
        </Button>
      </legend>
      <div class="ticks">
        {ids.map((id) => (
          <label key={id} class="check">
            <input
              type="checkbox"
              checked={chosen.includes(id)}
              onChange={(event) => {
                const on = event.currentTarget.checked;
                onChange(ids.filter((one) => (one === id ? on : chosen.includes(one))));
              }}
            />
            <span>
              {label(field(id)?.labels ?? { en: id })}
              {of.necessity[id] === "required" && <small class="faint"> {t("ask.required")}</small>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
