/** The door to a wallet that is there: open it, or hear why that cannot be done here. */

import { useAct } from "../../../crm_core/web/ui/act";
import { Mark } from "../../../crm_core/web/ui/icons";
import { Button, Field, LanguageSwitch } from "../../../crm_core/web/ui/pieces";
import * as session from "../core/session";
import { Trouble, told, useFetched } from "./pieces";
import { opened, phase } from "./state";
import { t } from "./words";

/** Where the wallet is locked. */
export function Unlock() {
  const { busy, error, run } = useAct();
  const passkey = useFetched(session.hasPasskey, []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void run(async () => opened(await session.open(told(form, "passphrase")))).then(() =>
      form.querySelector("input")?.select(),
    );
  };
  return (
    <Door>
      <form class="card door-card" onSubmit={submit}>
        <Mark />
        <h1>{t("unlock.title")}</h1>
        <p class="soft">{t("unlock.lead")}</p>
        <Field
          label={t("passphrase")}
          name="passphrase"
          type="password"
          autocomplete="current-password"
          autofocus
          required
        />
        <Trouble error={error.value} />
        <Button kind="primary" type="submit" icon="lock" busy={busy.value}>
          {busy.value ? t("unlock.busy") : t("unlock")}
        </Button>
        {passkey.value.value && (
          <Button disabled={busy.value} onClick={() => run(async () => opened(await session.openByPasskey()))}>
            {t("unlock.passkey")}
          </Button>
        )}
        <details>
          <summary>{t("unlock.forgot")}</summary>
          <p class="soft">{t("unlock.forgot.more")}</p>
        </details>
      </form>
    </Door>
  );
}

/** Where another window has the wallet, or the browser keeps nothing for us. */
export function Closed() {
  return (
    <Door>
      <div class="card door-card">
        <Mark />
        <h1>{t(phase.value === "elsewhere" ? "elsewhere.title" : "broken.title")}</h1>
        <p class="soft">{t(phase.value === "elsewhere" ? "elsewhere.lead" : "broken.lead")}</p>
        <Button onClick={() => location.reload()}>{t("again")}</Button>
      </div>
    </Door>
  );
}

export function Door({ children }: { readonly children: preact.ComponentChildren }) {
  return (
    <main class="door">
      {children}
      <LanguageSwitch />
    </main>
  );
}
