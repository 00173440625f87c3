/** Safety of the wallet, who the owner is with whom, which build this is, and the end of it. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { ago, moment } from "../../../crm_core/web/ui/i18n";
import { Button, Chip, Dialog, Field, LanguageSwitch, Note, Select } from "../../../crm_core/web/ui/pieces";
import { CoreError } from "../core/bytes";
import { webName } from "../core/did";
import { known } from "../core/passkey";
import * as session from "../core/session";
import { BackupDialog } from "./dialogs";
import { NewPassphrase } from "./NewPassphrase";
import { download, Fact, stamped, Title, Trouble, twice, useFetched } from "./pieces";
import { content, erase, lock, wallet } from "./state";
import { t } from "./words";

const MINUTES = [5, 15, 60, 240];
const OLD = 90 * 86_400_000;

type Open = "none" | "backup" | "passphrase" | "passkey" | "erase";

export function Settings() {
  const open = useSignal<Open>("none");
  const close = () => {
    open.value = "none";
  };
  const passkey = useFetched(session.hasPasskey, [open.value]);
  const held = content.value;
  if (held === null) return null;
  const old = held.backup === null || Date.now() - Date.parse(held.backup.at) > OLD;
  return (
    <>
      <Title>{t("place.settings")}</Title>
      <section class="card stack padded" aria-label={t("settings.backup")}>
        <div class="head">
          <h2>{t("settings.backup")}</h2>
          <Chip tone={old ? "warn" : "good"} icon={old ? "alert" : "check"}>
            {held.backup === null ? t("settings.never") : ago(held.backup.at)}
          </Chip>
        </div>
        <p class="soft">
          {held.backup === null
            ? t("settings.never.more")
            : t(`settings.kept.${held.backup.how}`, { when: moment(held.backup.at) })}
        </p>
        <div class="actions start">
          <Button onClick={() => (open.value = "backup")}>{t("backup.make")}</Button>
          <Button onClick={() => (open.value = "passphrase")}>{t("settings.passphrase")}</Button>
          {passkey.value.value ? (
            <Button onClick={() => void session.removePasskey().then(passkey.load)}>
              {t("settings.passkey.remove")}
            </Button>
          ) : (
            known() && <Button onClick={() => (open.value = "passkey")}>{t("settings.passkey")}</Button>
          )}
        </div>
      </section>
      <section class="card stack padded" aria-label={t("settings.page")}>
        <h2>{t("settings.page")}</h2>
        <dl class="facts">
          <Fact term={t("settings.language")}>
            <LanguageSwitch />
          </Fact>
          <Fact term={t("settings.lock")}>
            <Select
              label={t("settings.lock")}
              quietly
              class="small"
              value={String(held.lockAfter)}
              onChange={(event) => {
                const lockAfter = Number(event.currentTarget.value);
                void wallet.value?.change((now) => ({ ...now, lockAfter }));
              }}
            >
              {MINUTES.map((n) => (
                <option key={n} value={n}>
                  {t("settings.minutes", { n })}
                </option>
              ))}
            </Select>{" "}
            <Button icon="lock" onClick={lock}>
              {t("lock.now")}
            </Button>
          </Fact>
        </dl>
      </section>
      <Identities />
      <Build />
      <section class="card stack padded" aria-label={t("settings.leave")}>
        <h2>{t("settings.leave")}</h2>
        <p class="soft">{t("settings.leave.more")}</p>
        <div class="actions start">
          <Button
            icon="falling"
            onClick={() => download(stamped("fieldgrant", "json"), JSON.stringify(held.organisations, null, 2))}
          >
            {t("settings.export")}
          </Button>
          <Button kind="danger" onClick={() => (open.value = "erase")}>
            {t("settings.erase")}
          </Button>
        </div>
      </section>
      {open.value === "backup" && <BackupDialog onClose={close} />}
      {open.value === "passphrase" && <Passphrase onClose={close} />}
      {open.value === "passkey" && <Passkey onClose={close} />}
      {open.value === "erase" && <Erase onClose={close} />}
    </>
  );
}

function Identities() {
  const organisations = content.value?.organisations ?? [];
  const dids = useFetched(
    async () =>
      Promise.all(organisations.map(async (one) => (await wallet.value?.keyring.signer(one.controller))?.did ?? "")),
    [organisations.length],
  );
  return (
    <section class="card stack padded" aria-label={t("settings.dids")}>
      <h2>{t("settings.dids")}</h2>
      <p class="soft">{t("settings.dids.more")}</p>
      <dl class="facts">
        {organisations.map((one, at) => (
          <Fact key={one.controller} term={webName(one.controller)}>
            <span class="mono small">{dids.value.value?.[at]}</span>
            {one.enrolment === null && <Chip tone="warn">{t("settings.unfinished")}</Chip>}
          </Fact>
        ))}
      </dl>
    </section>
  );
}

/** The digest over all files of this page, to be compared with the one that was published with the release. */
function Build() {
  const { value, error } = useFetched(async () => {
    const answer = await fetch("/build.json");
    if (!answer.ok) throw new CoreError("no_build", "not told");
    return String(((await answer.json()) as { digest?: unknown }).digest ?? "");
  }, []);
  return (
    <section class="card stack padded" aria-label={t("settings.build")}>
      <h2>{t("settings.build")}</h2>
      <p class="soft">{t("settings.build.more")}</p>
      <p class="mono small digest">{error.value === null ? (value.value ?? "…") : t("settings.build.none")}</p>
    </section>
  );
}

function Passphrase({ onClose }: { readonly onClose: () => void }) {
  const { busy, error, run } = useAct();
  const done = useSignal(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void run(async () => {
      await session.change(String(new FormData(form).get("old") ?? ""), twice(form));
      done.value = true;
    });
  };
  return (
    <Dialog title={t("settings.passphrase")} onClose={onClose}>
      {done.value ? (
        <Note tone="good" icon="check">
          {t("settings.passphrase.done")}
        </Note>
      ) : (
        <form class="stack" onSubmit={submit}>
          <Field label={t("passphrase")} name="old" type="password" autocomplete="current-password" required />
          <NewPassphrase />
          <Trouble error={error.value} />
          <div class="actions">
            <Button kind="primary" type="submit" busy={busy.value}>
              {t("settings.passphrase")}
            </Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

function Passkey({ onClose }: { readonly onClose: () => void }) {
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void run(async () => {
      await session.addPasskey(String(new FormData(form).get("passphrase") ?? ""));
      onClose();
    });
  };
  return (
    <Dialog title={t("settings.passkey")} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p class="soft">{t("settings.passkey.more")}</p>
        <Field label={t("passphrase")} name="passphrase" type="password" autocomplete="current-password" required />
        <Trouble error={error.value} />
        <div class="actions">
          <Button kind="primary" type="submit" busy={busy.value}>
            {t("settings.passkey")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Erase({ onClose }: { readonly onClose: () => void }) {
  const { busy, error, run } = useAct();
  const sure = useSignal(false);
  return (
    <Dialog title={t("settings.erase.title")} onClose={onClose}>
      <p>{t("settings.erase.lead")}</p>
      <p class="soft">{t("settings.erase.more")}</p>
      <label class="tick">
        <input type="checkbox" checked={sure.value} onChange={(event) => (sure.value = event.currentTarget.checked)} />
        <span>{t("settings.erase.sure")}</span>
      </label>
      <Trouble error={error.value} />
      <div class="actions">
        <Button kind="danger" disabled={!sure.value} busy={busy.value} onClick={() => run(erase)}>
          {t("settings.erase")}
        </Button>
      </div>
    </Dialog>
  );
}
