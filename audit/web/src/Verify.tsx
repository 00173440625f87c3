import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { Problem } from "../../../crm_core/web/ui/http";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Button, Chip, Field, Table } from "../../../crm_core/web/ui/pieces";
import { type Check, complete } from "../core/bundle";
import type { Verdict } from "./api";
import * as api from "./api";
import { Head, Trouble } from "./parts";
import { kept, look } from "./watch";
import { bytes, said, t } from "./words";

const MOST = 32_000_000;
const TONES = { ok: "good", failed: "bad", incomplete: "warn", unreached: "plain" } as const;
const ICONS = { valid: "check", invalid: "cross", incomplete: "alert" } as const;
const NOTES = { valid: "good", invalid: "bad", incomplete: "warn" } as const;

type Work =
  | { readonly is: "nothing" }
  | { readonly is: "refused"; readonly why: string }
  | { readonly is: "sending"; readonly name: string; readonly part: number }
  | { readonly is: "trouble"; readonly error: unknown }
  | { readonly is: "told"; readonly verdict: Verdict; readonly name: string; readonly own: boolean };

/** Drop a bundle, and see each check of it. */
export function Verify() {
  const work = useSignal<Work>({ is: "nothing" });
  const over = useSignal(false);
  const stopping = useRef<AbortController>(undefined);
  const key = useRef<HTMLDivElement>(null);

  async function check(file: File) {
    if (file.size === 0) return refuse(t("verify.empty"));
    if (file.size > MOST) return refuse(t("verify.too_large", { size: bytes(file.size), most: bytes(MOST) }));
    const own = key.current?.querySelector("input")?.value.trim() ?? "";
    stopping.current = new AbortController();
    const sending = (part: number) => (work.value = { is: "sending", name: file.name, part });
    sending(0);
    try {
      if (!kept.peek()) await look();
      const verdict = await api.verify(file, own || (kept.peek()?.key ?? ""), sending, {
        stop: stopping.current.signal,
      });
      work.value = { is: "told", verdict, name: file.name, own: own !== "" };
    } catch (error) {
      if (stopping.current.signal.aborted) work.value = { is: "nothing" };
      else if (error instanceof Problem && error.status === 413) refuse(t("verify.too_large.server"));
      else work.value = { is: "trouble", error };
    }
  }
  const refuse = (why: string) => {
    work.value = { is: "refused", why };
  };

  const now = work.value;
  return (
    <>
      <Head title={t("verify")} lead={t("verify.lead")} />
      {now.is === "sending" ? (
        <div class="card padded stack drop busy">
          <div class="progress">
            <label for="sending">
              <span role="status">
                {now.part < 1
                  ? t("verify.sending", { name: now.name, n: Math.floor(now.part * 100) })
                  : t("verify.checking", { name: now.name })}
              </span>
            </label>
            {now.part < 1 ? <progress id="sending" max={1} value={now.part} /> : <progress id="sending" />}
          </div>
          <div class="actions">
            <Button onClick={() => stopping.current?.abort()}>{t("verify.stop")}</Button>
          </div>
        </div>
      ) : (
        <>
          <label
            class={`card drop ${over.value ? "over" : ""}`}
            onDragOver={(event) => {
              event.preventDefault();
              over.value = true;
            }}
            onDragLeave={() => (over.value = false)}
            onDrop={(event) => {
              event.preventDefault();
              over.value = false;
              const file = event.dataTransfer?.files[0];
              if (file) void check(file);
            }}
          >
            <Icon name="download" />
            <b>{t(now.is === "told" ? "verify.again" : "verify.drop")}</b>
            <span class="faint">{t("verify.drop.more", { size: bytes(MOST) })}</span>
            <input
              type="file"
              class="unseen"
              accept=".zip,application/zip"
              onChange={(event) => {
                const file = event.currentTarget.files?.[0];
                if (file) void check(file);
                event.currentTarget.value = "";
              }}
            />
          </label>
          <div ref={key}>
            <Field
              label={t("verify.key")}
              name="key"
              hint={t("verify.key.hint")}
              optional
              maxLength={300}
              spellcheck={false}
              autocapitalize="none"
            />
          </div>
        </>
      )}
      {now.is === "refused" && (
        <div class="note bad" role="alert">
          <Icon name="alert" />
          <p>{now.why}</p>
        </div>
      )}
      {now.is === "trouble" && <Trouble error={now.error} />}
      {now.is === "told" && <Result verdict={now.verdict} name={now.name} own={now.own} />}
    </>
  );
}

const title = (check: Check | undefined): string => (check ? said(`check.${check.name}`, "check") : "");

function Result({ verdict, name, own }: { readonly verdict: Verdict; readonly name: string; readonly own: boolean }) {
  const checks = complete(verdict.checks);
  const first = checks.find((one) => one.outcome === "failed") ?? checks.find((one) => one.outcome === "incomplete");
  return (
    <>
      <div class={`note ${NOTES[verdict.verdict]} verdict`} role="status">
        <Icon name={ICONS[verdict.verdict]} />
        <div>
          <h2>{t(`verdict.${verdict.verdict}`)}</h2>
          <p>{t(`verdict.${verdict.verdict}.more`, { check: title(first) })}</p>
          <p>
            {name} · {t(own ? "verify.yours" : "verify.kept")}
          </p>
        </div>
      </div>
      <div class="card list checks">
        <h2 class="headed">{t("checks")}</h2>
        <Table label={t("checks")}>
          <thead>
            <tr>
              <th scope="col" class="plain">
                {t("check")}
              </th>
              <th scope="col" class="plain">
                {t("check.result")}
              </th>
              <th scope="col" class="plain">
                {t("check.meaning")}
              </th>
            </tr>
          </thead>
          <tbody>
            {checks.map((one) => (
              <tr key={one.name} class={one.outcome}>
                <th scope="row">{title(one)}</th>
                <td data-label={t("check.result")}>
                  <Chip tone={TONES[one.outcome]}>{t(`outcome.${one.outcome}`)}</Chip>
                </td>
                <td data-label={t("check.meaning")} class="why">
                  <span>
                    {one.outcome === "unreached"
                      ? t("check.unreached")
                      : said(`check.${one.name}.${one.outcome}`, "check")}
                    {one.detail && (
                      <small class="faint" lang="en">
                        {one.code && <code>{one.code}</code>} {one.detail}
                      </small>
                    )}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      </div>
    </>
  );
}
