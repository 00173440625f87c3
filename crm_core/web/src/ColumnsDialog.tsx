import { label } from "../ui/i18n";
import { Button, Dialog } from "../ui/pieces";
import type { FieldEntry } from "./api";
import { t } from "./words";

interface Props {
  readonly fields: readonly FieldEntry[];
  readonly shown: readonly string[];
  readonly onShow: (columns: readonly string[]) => void;
  readonly onClose: () => void;
}

/** Which fields the list reads: what is not ticked is not asked for. */
export function ColumnsDialog({ fields, shown, onShow, onClose }: Props) {
  function show(event: SubmitEvent) {
    event.preventDefault();
    const ticked = new FormData(event.currentTarget as HTMLFormElement).getAll("column").map(String);
    onShow([...shown.filter((id) => ticked.includes(id)), ...ticked.filter((id) => !shown.includes(id))]);
    onClose();
  }
  return (
    <Dialog title={t("columns")} onClose={onClose}>
      <form class="stack" onSubmit={show}>
        <p class="soft">{t("columns.note")}</p>
        <div class="ticks">
          {fields.map((one) => (
            <label key={one.id} class="check">
              <input type="checkbox" name="column" value={one.id} defaultChecked={shown.includes(one.id)} />
              {label(one.labels)}
            </label>
          ))}
        </div>
        <p class="actions">
          <Button kind="primary" type="submit">
            {t("columns.apply")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}
