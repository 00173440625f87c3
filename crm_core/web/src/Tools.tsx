import { useSignal } from "@preact/signals";
import { Icon } from "../ui/icons";
import { Button } from "../ui/pieces";
import type { FieldEntry, Query } from "./api";
import { ColumnsDialog } from "./ColumnsDialog";
import { ExportDialog } from "./ExportDialog";
import { FilterDialog, inWords } from "./FilterDialog";
import { type Asked, ask, NAMES } from "./listing";
import { t } from "./words";

interface ToolsProps {
  readonly asked: Asked;
  readonly fields: readonly FieldEntry[];
  readonly query: () => Query;
}

/** Search, filters, columns, export: what stands above the list. */
export function Tools({ asked, fields, query }: ToolsProps) {
  const open = useSignal<"filter" | "columns" | "export" | null>(null);
  const close = () => (open.value = null);
  return (
    <>
      <div class="tools">
        <search>
          <form onSubmit={(event) => search(event, asked)}>
            <Icon name="search" />
            <input
              type="search"
              name="search"
              aria-label={t("search")}
              placeholder={t("search.hint")}
              maxLength={200}
              enterkeyhint="search"
              key={asked.search.value}
              defaultValue={asked.search.value}
              onInput={(event) =>
                event.currentTarget.value === "" && asked.search.value && ask(asked, asked.search, "")
              }
            />
          </form>
        </search>
        <label class="check">
          <input
            type="checkbox"
            checked={asked.granted.value}
            onChange={(event) => ask(asked, asked.granted, event.currentTarget.checked)}
          />
          {t("granted_only")}
        </label>
        <span class="push" />
        <Button icon="filter" aria-haspopup="dialog" onClick={() => (open.value = "filter")}>
          {t("filter")}
        </Button>
        <Button icon="columns" aria-haspopup="dialog" onClick={() => (open.value = "columns")}>
          {t("columns")}
        </Button>
        <Button icon="download" aria-haspopup="dialog" onClick={() => (open.value = "export")}>
          {t("export")}
        </Button>
      </div>
      {asked.filters.value.length > 0 && (
        <ul class="chips">
          {asked.filters.value.map((one) => (
            <li key={inWords(one)} class="chip">
              {inWords(one)}
              <button
                type="button"
                aria-label={t("filter.remove", { what: inWords(one) })}
                onClick={() =>
                  ask(
                    asked,
                    asked.filters,
                    asked.filters.value.filter((other) => other !== one),
                  )
                }
              >
                <Icon name="cross" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {open.value === "export" && <ExportDialog query={query()} onClose={close} />}
      {open.value === "filter" && (
        <FilterDialog
          fields={fields}
          onClose={close}
          onAdd={(condition) => ask(asked, asked.filters, [...asked.filters.value, condition])}
        />
      )}
      {open.value === "columns" && (
        <ColumnsDialog
          fields={fields.filter((entry) => !NAMES.includes(entry.id))}
          shown={asked.columns.value}
          onClose={close}
          onShow={(columns) => ask(asked, asked.columns, columns)}
        />
      )}
    </>
  );
}

function search(event: SubmitEvent, asked: Asked) {
  event.preventDefault();
  const given = new FormData(event.currentTarget as HTMLFormElement);
  ask(asked, asked.search, String(given.get("search")).trim());
}
