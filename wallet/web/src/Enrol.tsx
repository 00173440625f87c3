/** What came as a link or a code is opened: an invitation with its second code, or one request. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAct } from "../../../crm_core/web/ui/act";
import { Button, Chip, Field, Note } from "../../../crm_core/web/ui/pieces";
import type { Enrolling } from "../core/enrol";
import * as entering from "../core/entering";
import { readAsk } from "../core/link";
import { ScanDialog } from "./dialogs";
import { Fact, Title, Trouble } from "./pieces";
import { go } from "./route";
import { asked, fetchAsks, invitation, unlocked } from "./state";
import { organisation, t } from "./words";

export function Enrol() {
  const { busy, error, run } = useAct();
  const begun = useSignal<Enrolling | null>(null);
  const scanning = useSignal(false);
  const begin = (link: string) =>
    run(async () => {
      const ask = readAsk(link);
      if (ask !== null) {
        asked.value = ask;
        go("ask");
        return;
      }
      begun.value = await entering.begin(unlocked(), link);
    });
  const link = invitation.value;
  useEffect(() => {
    if (link === "") return;
    invitation.value = "";
    void begin(link);
  }, [link]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void begin(String(new FormData(event.currentTarget as HTMLFormElement).get("link") ?? ""));
  };
  if (begun.value !== null) return <Code begun={begun.value} onBack={() => (begun.value = null)} />;
  return (
    <>
      <Title lead={t("enrol.lead")}>{t("enrol.title")}</Title>
      <form class="card stack padded" onSubmit={submit}>
        <p class="field">
          <label for="link">{t("enrol.link")}</label>
          <textarea
            id="link"
            name="link"
            class="mono"
            rows={4}
            placeholder="fieldgrant://enrol?… / https://…/#/ask/…"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            required
          />
          <span class="hint">{t("enrol.hint")}</span>
        </p>
        <Trouble error={error.value} />
        <div class="actions">
          <Button icon="camera" onClick={() => (scanning.value = true)}>
            {t("scan")}
          </Button>
          <Button kind="primary" type="submit" busy={busy.value}>
            {t("enrol.open")}
          </Button>
        </div>
      </form>
      {scanning.value && (
        <ScanDialog
          onClose={() => (scanning.value = false)}
          onText={(text) => {
            scanning.value = false;
            void begin(text);
          }}
        />
      )}
      <Rejoin />
    </>
  );
}

function Code({ begun, onBack }: { readonly begun: Enrolling; readonly onBack: () => void }) {
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const code = String(new FormData(event.currentTarget as HTMLFormElement).get("code") ?? "");
    void run(async () => {
      await entering.complete(unlocked(), begun, code);
      await fetchAsks();
      go("home");
    });
  };
  return (
    <>
      <Title lead={t("enrol.code.lead")}>{t("enrol.code.title")}</Title>
      <form class="card stack padded" onSubmit={submit}>
        <dl class="facts">
          <Fact term={t("organisation")}>
            <strong>{organisation(begun.holding.controller)}</strong>{" "}
            <Chip tone="good" icon="check">
              {t("enrol.pinned")}
            </Chip>
          </Fact>
          <Fact term={t("enrol.channel")}>{begun.channel}</Fact>
        </dl>
        <Field
          label={t("enrol.code")}
          hint={t("enrol.code.hint")}
          name="code"
          class="code"
          inputMode="numeric"
          autocomplete="one-time-code"
          maxLength={12}
          autofocus
          required
        />
        <Trouble error={error.value} />
        <div class="actions">
          <Button kind="quiet" icon="back" onClick={onBack}>
            {t("back")}
          </Button>
          <Button kind="primary" type="submit" busy={busy.value}>
            {t("enrol.join")}
          </Button>
        </div>
      </form>
      <Note icon="lock">{t("enrol.pairwise")}</Note>
    </>
  );
}

/** After a restore from words: the organisation still knows this wallet, but the wallet does not know it. */
function Rejoin() {
  const { busy, error, run } = useAct();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const address = String(new FormData(event.currentTarget as HTMLFormElement).get("address") ?? "");
    void run(async () => {
      await entering.rejoin(unlocked(), address);
      await fetchAsks();
      go("home");
    });
  };
  return (
    <details class="card padded">
      <summary>{t("rejoin.title")}</summary>
      <form class="stack" onSubmit={submit}>
        <p class="soft">{t("rejoin.lead")}</p>
        <Field
          label={t("rejoin.address")}
          name="address"
          placeholder="https://crm.example.com"
          autocapitalize="none"
          autocomplete="url"
          spellcheck={false}
          required
        />
        <Trouble error={error.value} />
        <div class="actions">
          <Button type="submit" busy={busy.value}>
            {t("rejoin.find")}
          </Button>
        </div>
      </form>
    </details>
  );
}
