import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { t } from "./words";

/** A file to be chosen. The browser's own control speaks the browser's language: it lies unseen over ours. */
export function FilePick({
  label,
  name,
  accept,
  required = false,
  onPick,
}: {
  readonly label: string;
  readonly name?: string;
  readonly accept: string;
  readonly required?: boolean;
  readonly onPick?: (file: File) => void;
}) {
  const id = useId();
  const chosen = useSignal("");
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <span class="pick">
        <input
          id={id}
          type="file"
          name={name}
          accept={accept}
          required={required}
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            chosen.value = file?.name ?? "";
            if (file) onPick?.(file);
          }}
        />
        <span class="button" aria-hidden="true">
          {t("pick.choose")}
        </span>
        <span class="soft" role="status">
          {chosen.value || t("pick.none")}
        </span>
      </span>
    </p>
  );
}
