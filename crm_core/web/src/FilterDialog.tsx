import { useSignal } from "@preact/signals";
import { label } from "../ui/i18n";
import { Button, Dialog, Field, Select } from "../ui/pieces";
import type { Condition, FieldEntry, FieldType } from "./api";
import { field } from "./desk";
import { named, said, shown, t } from "./words";

const TEXT = ["contains", "eq", "prefix", "present", "absent"];
const ORDERED = ["gte", "lte", "eq", "present", "absent"];
const OPERATORS: Readonly<Partial<Record<FieldType, readonly string[]>>> = {
  number: ORDERED,
  date: ORDERED,
  datetime: ["gte", "lte", "present", "absent"],
  boolean: ["eq", "present", "absent"],
};
const BARE = ["present", "absent"];
const INPUTS: Readonly<Partial<Record<FieldType, "number" | "date" | "datetime-local">>> = {
  number: "number",
  date: "date",
  datetime: "datetime-local",
};

/** A condition as it is read: “City contains Shang”. */
export function inWords(condition: Condition): string {
  const value = condition.value === undefined ? "" : shown(condition.value, field(condition.field));
  return [named(condition.field), said(`op.${condition.operator}`, "filter"), value].filter(Boolean).join(" ");
}

interface Props {
  readonly fields: readonly FieldEntry[];
  readonly onAdd: (condition: Condition) => void;
  readonly onClose: () => void;
}

/** One more condition: field, comparison, value, each by the kind of the field. */
export function FilterDialog({ fields, onAdd, onClose }: Props) {
  const chosen = useSignal(fields[0]);
  const entry = chosen.value;
  const operators = (entry && OPERATORS[entry.type]) ?? TEXT;
  const operator = useSignal(operators[0] ?? "contains");
  const bare = BARE.includes(operator.value);

  function add(event: SubmitEvent) {
    event.preventDefault();
    if (!entry) return;
    const value = String(new FormData(event.currentTarget as HTMLFormElement).get("value") ?? "").trim();
    onAdd({ field: entry.id, operator: operator.value, ...(bare ? {} : { value: typed(entry.type, value) }) });
    onClose();
  }

  return (
    <Dialog title={t("filter.add")} onClose={onClose}>
      <form class="stack" onSubmit={add}>
        <Select
          label={t("filter.field")}
          value={entry?.id}
          onChange={(event) => {
            const found = fields.find((one) => one.id === event.currentTarget.value);
            chosen.value = found;
            operator.value = ((found && OPERATORS[found.type]) ?? TEXT)[0] ?? "contains";
          }}
        >
          {fields.map((one) => (
            <option key={one.id} value={one.id}>
              {label(one.labels)}
            </option>
          ))}
        </Select>
        <Select
          label={t("filter.operator")}
          value={operator.value}
          onChange={(event) => (operator.value = event.currentTarget.value)}
        >
          {operators.map((one) => (
            <option key={one} value={one}>
              {said(`op.${one}`, "filter")}
            </option>
          ))}
        </Select>
        {!bare && entry?.type === "boolean" && (
          <Select label={t("filter.value")} name="value">
            <option value="true">{t("yes")}</option>
            <option value="false">{t("no")}</option>
          </Select>
        )}
        {!bare && entry?.type !== "boolean" && (
          <Field
            key={entry?.id ?? ""}
            label={t("filter.value")}
            name="value"
            type={(entry && INPUTS[entry.type]) ?? "text"}
            {...(entry?.type === "number" ? { step: "any" } : {})}
            maxLength={200}
            autocomplete="off"
            required
          />
        )}
        <p class="faint">
          <small>{t("filter.note")}</small>
        </p>
        <p class="actions">
          <Button kind="primary" type="submit">
            {t("filter.add")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}

function typed(type: FieldType, value: string): string | number | boolean {
  if (type === "number") return Number(value);
  if (type === "boolean") return value === "true";
  return type === "datetime" ? new Date(value).toISOString() : value;
}
