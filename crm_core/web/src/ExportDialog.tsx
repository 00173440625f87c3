import { useSignal } from "@preact/signals";
import { Button, Dialog, ErrorNote, Note, Select } from "../ui/pieces";
import type { Format, Query } from "./api";
import * as api from "./api";
import { save } from "./save";
import { t } from "./words";

const ENDINGS: Readonly<Record<Format, string>> = { csv: "csv", jsonl: "jsonl", vcard: "vcf" };

/** A file of what the list asks for, over all its pages. */
export function ExportDialog({ query, onClose }: { readonly query: Query; readonly onClose: () => void }) {
  const busy = useSignal(false);
  const done = useSignal(false);
  const error = useSignal<unknown>(null);

  async function make(event: SubmitEvent) {
    event.preventDefault();
    const format = new FormData(event.currentTarget as HTMLFormElement).get("format") as Format;
    busy.value = true;
    error.value = null;
    try {
      save(await api.exported(query, format), `${query.purpose}.${ENDINGS[format]}`);
      done.value = true;
    } catch (problem) {
      error.value = problem;
    } finally {
      busy.value = false;
    }
  }

  return (
    <Dialog title={t("export.title")} onClose={onClose}>
      {done.value ? (
        <Note tone="good" icon="check">
          {t("export.done")}
        </Note>
      ) : (
        <form class="stack" onSubmit={make}>
          <p>{t("export.more")}</p>
          <Select label={t("export.format")} name="format">
            {(["csv", "jsonl", "vcard"] as const).map((one) => (
              <option key={one} value={one}>
                {t(`export.${one}`)}
              </option>
            ))}
          </Select>
          {error.value !== null && <ErrorNote error={error.value} />}
          <p class="actions">
            <Button kind="primary" type="submit" icon="download" busy={busy.value}>
              {t("export.do")}
            </Button>
          </p>
        </form>
      )}
    </Dialog>
  );
}
