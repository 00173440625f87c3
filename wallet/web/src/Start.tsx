/** The door: make a wallet, open it, bring it back. */

import { useSignal } from "@preact/signals";
import { Mark } from "../../../crm_core/web/ui/icons";
import { Button, Field, LanguageSwitch, Note } from "../../../crm_core/web/ui/pieces";
import { CoreError } from "../core/bytes";
import * as session from "../core/session";
import { Trouble, useAct, useFetched } from "./pieces";
import { invitation, opened, phase } from "./state";
import { t } from "./words";

type Way = "choose" | "create" | "file" | "words";

/** Where there is no wallet yet. */
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

function Create({ onBack }: { readonly onBack: () => void }) {
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void run(async () => opened(await session.create(twice(form))));
  };
  return (
    <form class="card door-card" onSubmit={submit}>
      <h1>{t("create.title")}</h1>
      <p class="soft">{t("create.lead")}</p>
      <NewPassphrase />
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
      <Field label={t("file.file")} name="file" type="file" accept=".fieldgrant,application/json" required />
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

function NewPassphrase() {
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

function Door({ children }: { readonly children: preact.ComponentChildren }) {
  return (
    <main class="door">
      {children}
      <LanguageSwitch />
    </main>
  );
}

const told = (form: HTMLFormElement, name: string): string => String(new FormData(form).get(name) ?? "");

/** A passphrase that was typed the same way twice. */
export function twice(form: HTMLFormElement): string {
  const passphrase = told(form, "passphrase");
  if (passphrase !== told(form, "again")) throw new CoreError("not_the_same", "not typed the same twice", "again");
  return passphrase;
}
