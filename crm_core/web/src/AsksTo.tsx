import { useSignal } from "@preact/signals";
import { ago, day, moment } from "../ui/i18n";
import { Button, Chip, ErrorNote, Loading } from "../ui/pieces";
import type { Ask, AskStanding } from "./api";
import * as api from "./api";
import { purposeLabel } from "./desk";
import { HandOver } from "./dialogs";
import { useReading } from "./reading";
import { said, t } from "./words";

const TONES: Readonly<Partial<Record<AskStanding, "good" | "warn">>> = { living: "warn", answered: "good" };

export const request = (ask: Ask) => ask.credential.credentialSubject.requestsConsent;
export const fieldsOf = (ask: Ask): string[] => [
  ...new Set(request(ask).hasProcess.flatMap((one) => one.hasPersonalData)),
];
export const purposeOf = (ask: Ask): string =>
  request(ask)
    .hasProcess.map((one) => purposeLabel(one.hasPurpose))
    .join(" · ");

export function State({ ask }: { readonly ask: Ask }) {
  return <Chip tone={TONES[ask.standing] ?? "plain"}>{said(`standing.${ask.standing}`, "standing.expired")}</Chip>;
}

/** The way to hand a request over as a link or a code. */
export function HandOverButton({ ask }: { readonly ask: Ask }) {
  const open = useSignal(false);
  return (
    <>
      <Button kind="quiet" icon="send" aria-haspopup="dialog" onClick={() => (open.value = true)}>
        {t("asks.hand")}
      </Button>
      {open.value && <HandOver id={ask.id} onClose={() => (open.value = false)} />}
    </>
  );
}

/** What one customer was asked, newest first. */
export function AsksTo({ subject }: { readonly subject: string }) {
  const reading = useReading(() => api.asksTo(subject));
  const asks = [...(reading.data.value?.items ?? [])].reverse();
  return (
    <section class="card side-card" aria-labelledby="asks">
      <header>
        <h2 id="asks">{t("asks.to")}</h2>
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {!reading.data.value && reading.error.value === null && <Loading lines={3} />}
      {reading.data.value && asks.length === 0 && <p class="nothing faint">{t("asks.none")}</p>}
      <ul class="asks">
        {asks.map((one) => (
          <li key={one.id}>
            <p>
              <b>{purposeOf(one)}</b>
              <State ask={one} />
            </p>
            <p class="faint" title={moment(one.at)}>
              {t("asks.fields", { n: fieldsOf(one).length })} · {t("asks.sent", { ago: ago(one.at) })}
              {one.standing === "living" && one.valid_until && (
                <>
                  <br />
                  {t("asks.until", { day: day(one.valid_until) })}
                </>
              )}
            </p>
            {one.standing === "living" && (
              <p>
                <HandOverButton ask={one} />
              </p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
