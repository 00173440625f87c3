/** Where there is no wallet yet: make one, or bring one back. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { Mark } from "../../../crm_core/web/ui/icons";
import { Button, Field, Note } from "../../../crm_core/web/ui/pieces";
import { CoreError } from "../core/bytes";
import { known } from "../core/passkey";
import * as session from "../core/session";
import { Door } from "./Door";
import { FilePick } from "./FilePick";
import { NewPassphrase } from "./NewPassphrase";
import { Trouble, told, twice } from "./pieces";
import { invitation, opened } from "./state";
import { t } from "./words";

type Way = "choose" | "create" | "file" | "words";

export function Start() {
  const way = useSignal<Way>("choose");
  const back = () => {
    way.value = "choose";
  };
  return (
    <Door>
      {way.value === "choose" && (
        <div class="card door-card">
          <Mark />
          <h1>{t("start.title")}</h1>
          <p class="soft">{t("start.lead")}</p>
          {invitation.value && <Note icon="mail">{t("start.invited")}</Note>}
          <ul class="promises">
            <li>{t("start.promise.key")}</li>
            <li>{t("start.promise.field")}</li>
            <li>{t("start.promise.end")}</li>
          </ul>
          <Button kind="primary" onClick={() => (way.value = "create")}>
            {t("start.create")}
          </Button>
          <div class="or">
            <Button onClick={() => (way.value = "file")}>{t("start.file")}</Button>
            <Button onClick={() => (way.value = "words")}>{t("start.words")}</Button>
          </div>
        </div>
      )}
      {way.value === "create" && <Create onBack={back} />}
      {way.value === "file" && <FromFile onBack={back} />}
      {way.value === "words" && <FromWords onBack={back} />}
    </Door>
  );
}

function Create({ onBack }: { readonly onBack: () => void }) {
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const passkey = new FormData(form).has("passkey");
    void run(async () => {
      const passphrase = twice(form);
      const made = await session.create(passphrase);
      // a wallet without its passkey is a wallet all the same: settings offer it again
      if (passkey) await session.addPasskey(passphrase).catch(() => undefined);
      opened(made);
    });
  };
  return (
    <form class="card door-card" onSubmit={submit}>
      <h1>{t("create.title")}</h1>
      <p class="soft">{t("create.lead")}</p>
      <NewPassphrase />
      {known() && (
        <label class="tick">
          <input type="checkbox" name="passkey" />
          <span>{t("create.passkey")}</span>
        </label>
      )}
      <Trouble error={error.value} />
      <Ways onBack={onBack} busy={busy.value} word={t("start.create")} />
    </form>
  );
}

function FromFile({ onBack }: { readonly onBack: () => void }) {
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void run(async () => {
      const file = new FormData(form).get("file");
      if (!(file instanceof File)) throw new CoreError("bad_wallet", "no file");
      opened(await session.fromFile(await file.text(), told(form, "passphrase")));
    });
  };
  return (
    <form class="card door-card" onSubmit={submit}>
      <h1>{t("file.title")}</h1>
      <p class="soft">{t("file.lead")}</p>
      <FilePick label={t("file.file")} name="file" accept=".fieldgrant,application/json" required />
      <Field label={t("file.passphrase")} name="passphrase" type="password" autocomplete="current-password" required />
      <Trouble error={error.value} />
      <Ways onBack={onBack} busy={busy.value} word={t("restore")} />
    </form>
  );
}

function FromWords({ onBack }: { readonly onBack: () => void }) {
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void run(async () => opened(await session.fromRecovery(told(form, "words"), twice(form))));
  };
  return (
    <form class="card door-card" onSubmit={submit}>
      <h1>{t("words.title")}</h1>
      <p class="soft">{t("words.lead")}</p>
      <p class="field">
        <label for="words">{t("words.words")}</label>
        <textarea
          id="words"
          name="words"
          class="mono"
          rows={5}
          lang="en"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          required
        />
      </p>
      <NewPassphrase />
      <Trouble error={error.value} />
      <Ways onBack={onBack} busy={busy.value} word={t("restore")} />
    </form>
  );
}

function Ways({ onBack, busy, word }: { readonly onBack: () => void; readonly busy: boolean; readonly word: string }) {
  return (
    <div class="actions">
      <Button kind="quiet" icon="back" onClick={onBack}>
        {t("back")}
      </Button>
      <Button kind="primary" type="submit" busy={busy}>
        {busy ? t("unlock.busy") : word}
      </Button>
    </div>
  );
}
