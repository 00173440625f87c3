import { useSignal } from "@preact/signals";
import en from "./en.json";
import { texts } from "./i18n";
import { Mark } from "./icons";
import { Button, ErrorNote, Field, LanguageSwitch, Note } from "./pieces";
import { ended, signIn } from "./session";
import zh from "./zh-CN.json";

const t = texts(en, zh);

/** The door; `lead` says to what. */
export function SignIn({ lead }: { readonly lead: string }) {
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    busy.value = true;
    error.value = null;
    try {
      await signIn(String(given.get("account")), String(given.get("password")));
    } catch (problem) {
      error.value = problem;
      form.querySelector<HTMLInputElement>("[name=password]")?.select();
    } finally {
      busy.value = false;
    }
  }

  return (
    <main class="door">
      <form class="card" onSubmit={submit}>
        <Mark />
        <h1>{t("sign_in")}</h1>
        <p class="soft">{lead}</p>
        {ended.value && !error.value && <Note icon="clock">{t("ended")}</Note>}
        {error.value !== null && <ErrorNote error={error.value} />}
        <Field
          label={t("account")}
          name="account"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
        />
        <Field label={t("password")} name="password" type="password" autocomplete="current-password" required />
        <Button kind="primary" type="submit" busy={busy.value}>
          {t("sign_in")}
        </Button>
      </form>
      <LanguageSwitch />
    </main>
  );
}
