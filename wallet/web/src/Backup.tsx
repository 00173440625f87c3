/** Bring the wallet to safety: a file, or 24 words on paper. Asked for before the first consent. */

import { useSignal } from "@preact/signals";
import { useAct } from "../../../crm_core/web/ui/act";
import { Button, Dialog, Field, Note } from "../../../crm_core/web/ui/pieces";
import * as session from "../core/session";
import { download, stamped, Trouble } from "./pieces";
import { content, wallet } from "./state";
import { t } from "./words";

const CHECKED = 3;

/** `why`: a word before it, where something waits for the backup. */
export function BackupDialog({
  first = false,
  onClose,
}: {
  readonly first?: boolean;
  readonly onClose: (done: boolean) => void;
}) {
  const { busy, error, run } = useAct();
  const words = useSignal<readonly string[] | null>(null);
  const done = async (how: "file" | "words") => {
    await wallet.value?.backedUp({ at: new Date().toISOString(), how });
    onClose(true);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const how = (event.submitter as HTMLButtonElement | null)?.value;
    const passphrase = String(new FormData(form).get("passphrase") ?? "");
    void run(async () => {
      if (how === "words") {
        words.value = await session.words(passphrase);
        return;
      }
      const held = content.value;
      if (held === null) return;
      const backup = { at: new Date().toISOString(), how: "file" } as const;
      download(stamped("wallet", "fieldgrant"), await session.toFile({ ...held, backup }, passphrase));
      await done("file");
    });
  };
  return (
    <Dialog title={t("backup.title")} onClose={() => onClose(false)}>
      {words.value === null ? (
        <form class="stack" onSubmit={submit}>
          {first && <Note icon="info">{t("backup.first")}</Note>}
          <p class="soft">{t("backup.lead")}</p>
          <Field
            label={t("passphrase")}
            hint={t("backup.hint")}
            name="passphrase"
            type="password"
            autocomplete="current-password"
            required
          />
          <Trouble error={error.value} />
          <div class="actions">
            <Button type="submit" value="words" busy={busy.value}>
              {t("backup.words")}
            </Button>
            <Button kind="primary" type="submit" value="file" busy={busy.value}>
              {t("backup.file")}
            </Button>
          </div>
        </form>
      ) : (
        <Words words={words.value} onKept={() => run(() => done("words"))} />
      )}
    </Dialog>
  );
}

/** Shown once, then some of them are asked for. */
function Words({ words, onKept }: { readonly words: readonly string[]; readonly onKept: () => void }) {
  const checking = useSignal<readonly number[] | null>(null);
  const wrong = useSignal(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const fits = (at: number) =>
      String(given.get(`word-${at}`))
        .trim()
        .toLowerCase() === words[at];
    if (checking.value?.every(fits)) onKept();
    else wrong.value = true;
  };
  if (checking.value === null) {
    return (
      <>
        <p class="soft">{t("backup.words.lead")}</p>
        <ol class="words mono" lang="en">
          {words.map((word) => (
            <li key={word}>{word}</li>
          ))}
        </ol>
        <div class="actions">
          <Button kind="primary" onClick={() => (checking.value = some(words.length))}>
            {t("backup.words.written")}
          </Button>
        </div>
      </>
    );
  }
  return (
    <form class="stack" onSubmit={submit}>
      <p class="soft">{t("backup.words.check")}</p>
      {checking.value.map((at) => (
        <Field
          key={at}
          label={t("backup.words.word", { n: at + 1 })}
          name={`word-${at}`}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          required
        />
      ))}
      {wrong.value && <Note tone="warn">{t("backup.words.wrong")}</Note>}
      <div class="actions">
        <Button kind="quiet" icon="back" onClick={() => (checking.value = null)}>
          {t("backup.words.look")}
        </Button>
        <Button kind="primary" type="submit">
          {t("done")}
        </Button>
      </div>
    </form>
  );
}

function some(count: number): number[] {
  const places = new Set<number>();
  while (places.size < CHECKED) places.add((crypto.getRandomValues(new Uint8Array(1))[0] as number) % count);
  return [...places].sort((one, other) => one - other);
}
