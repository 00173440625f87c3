import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { Problem } from "../../../crm_core/web/ui/http";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Dialog, Empty, ErrorNote, Field, Loading, Note } from "../../../crm_core/web/ui/pieces";
import { fingerprint } from "../core/growth";
import { Fact, Facts, Head, Id, Raw, Save } from "./parts";
import { forget, kept, look, use, view } from "./watch";
import { exact, number, t } from "./words";

/** The log as this browser knows it: its head, its key, and that it only grew. */
export function LogScreen() {
  const state = view.value.state;
  const mine = kept.value;
  return (
    <>
      <Head title={t("log")} lead={t("log.lead")}>
        <Button onClick={() => void look()}>{t("log.again")}</Button>
      </Head>
      {state === "unreachable" && <ErrorNote error={new Problem(0, "unreachable", "")} onAgain={() => void look()} />}
      {state === "empty" && (
        <div class="card">
          <Empty title={t("problem.log_empty")} />
        </div>
      )}
      {state === "wait" && !mine && (
        <div class="card">
          <Loading lines={8} />
        </div>
      )}
      {mine?.fault && <Evidence />}
      {mine?.head && <Seen />}
      {mine && <KeyCard key={mine.key} />}
      {mine && <Forget />}
    </>
  );
}

function Seen() {
  const mine = kept.value;
  const head = mine?.head;
  if (!mine || !head) return null;
  const bad = mine.fault !== null || view.value.state === "bad";
  return (
    <>
      <Facts>
        <Fact name={t("log.size")}>
          <b class="figure">{number(head.size)}</b>
        </Fact>
        <Fact name={t("log.since")}>
          <Since bad={bad} />
        </Fact>
        <Fact name={t("log.signature")}>
          <Chip tone="good" icon="check">
            {t("log.signature.good")}
          </Chip>
        </Fact>
        <Fact name={t("log.origin")}>
          <code>{head.origin}</code>
        </Fact>
        <Fact name={t("log.root")}>
          <Id id={head.root} what={t("log.root")} whole />
        </Fact>
        <Fact name={t("log.checked")}>{exact(mine.at)}</Fact>
      </Facts>
      <section class="card padded stack tight" aria-labelledby="checkpoint">
        <h2 id="checkpoint">{t("log.checkpoint")}</h2>
        <Raw label={t("log.checkpoint")}>{head.note}</Raw>
      </section>
    </>
  );
}

function Since({ bad }: { readonly bad: boolean }) {
  const { before } = view.value;
  const head = kept.value?.head;
  if (bad)
    return (
      <Chip tone="bad" icon="alert">
        {t("log.bad")}
      </Chip>
    );
  if (!before || !head) return <Chip>{t("log.first")}</Chip>;
  const more = head.size - before.head.size;
  return (
    <>
      <Chip tone="good" icon="check">
        {more ? t("log.grew", { n: more }) : t("log.same")}
      </Chip>
      <span class="faint">{t("log.looked", { when: exact(before.at), n: before.head.size })}</span>
    </>
  );
}

/** Both heads, to take away. */
function Evidence() {
  const mine = kept.value;
  if (!mine?.fault) return null;
  const { fault, head } = mine;
  return (
    <section class="card padded stack evidence" aria-labelledby="evidence">
      <h2 id="evidence">
        <Icon name="alert" />
        {t("log.evidence")}
      </h2>
      <p>{t(`bad.${fault.code}`)}</p>
      {(fault.code === "log_forked" || fault.code === "log_shorter") && <p class="soft">{t("log.evidence.more")}</p>}
      <div class="pair">
        {head && (
          <figure>
            <figcaption>
              {t("log.evidence.before")} · {exact(mine.at)}
            </figcaption>
            <Raw label={t("log.evidence.before")}>{head.note}</Raw>
          </figure>
        )}
        <figure>
          <figcaption>
            {t("log.evidence.now")} · {exact(fault.at)}
          </figcaption>
          <Raw label={t("log.evidence.now")}>
            {fault.now}
            {fault.key}
          </Raw>
        </figure>
      </div>
      <p class="actions">
        <Save content={{ key: mine.key, before: head, beforeAt: mine.at, fault }} name="log-evidence.json">
          {t("log.evidence.save")}
        </Save>
      </p>
    </section>
  );
}

function KeyCard() {
  const print = useSignal("");
  const wrong = useSignal(false);
  const key = useComputed(() => kept.value?.key ?? "");
  useSignalEffect(() => {
    if (key.value) void fingerprint(key.value).then((found) => (print.value = found));
  });
  async function take(event: SubmitEvent) {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    wrong.value = false;
    await use(String(new FormData(form).get("key"))).catch(() => (wrong.value = true));
  }
  return (
    <section class="card padded stack" aria-labelledby="key">
      <h2 id="key">{t("log.key")}</h2>
      <Note icon="lock">{t(kept.value?.given ? "log.key.given" : "log.key.seen")}</Note>
      <dl class="facts-list">
        <Fact name={t("log.fingerprint")}>
          <code class="print">{print.value || "…"}</code>
        </Fact>
        <Fact name={t("log.key")}>
          <Id id={key.value} what={t("log.key")} whole />
        </Fact>
      </dl>
      <form class="own" onSubmit={take}>
        <Field
          label={t("log.key.own")}
          name="key"
          required
          maxLength={300}
          spellcheck={false}
          autocapitalize="none"
          placeholder="name+hash+key"
          problem={wrong.value ? t("log.key.bad") : undefined}
        />
        <Button type="submit">{t("log.key.use")}</Button>
      </form>
    </section>
  );
}

function Forget() {
  const asking = useSignal(false);
  return (
    <p class="actions">
      <Button kind="danger" aria-haspopup="dialog" onClick={() => (asking.value = true)}>
        {t("log.forget")}
      </Button>
      {asking.value && (
        <Dialog title={t("log.forget")} onClose={() => (asking.value = false)}>
          <p>{t("log.forget.more")}</p>
          <p class="actions">
            <Button
              kind="danger"
              onClick={() => {
                asking.value = false;
                void forget();
              }}
            >
              {t("log.forget.do")}
            </Button>
          </p>
        </Dialog>
      )}
    </p>
  );
}
