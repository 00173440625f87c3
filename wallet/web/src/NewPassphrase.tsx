import { Field } from "../../../crm_core/web/ui/pieces";
import { t } from "./words";

/** A passphrase, typed twice: see `twice`. */
export function NewPassphrase() {
  return (
    <>
      <Field
        label={t("passphrase.new")}
        hint={t("passphrase.hint")}
        name="passphrase"
        type="password"
        autocomplete="new-password"
        minLength={8}
        required
      />
      <Field label={t("passphrase.again")} name="again" type="password" autocomplete="new-password" required />
    </>
  );
}
