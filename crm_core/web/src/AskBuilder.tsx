import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { day, duration, LANGUAGES, label, language } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { useKept } from "../ui/kept";
import { Button, Empty, ErrorNote, Field, Loading, Note, Select } from "../ui/pieces";
import { route, to } from "../ui/route";
import { AskPreview, type Draft } from "./AskPreview";
import { HandOverButton } from "./AsksTo";
import type { Ask, PublicCatalogue, Terms } from "./api";
import * as api from "./api";
import { field, purpose, purposes } from "./desk";
import { FieldTicks } from "./FieldTicks";
import { useReading } from "./reading";
import { short, t } from "./words";

/** Put a request together, see it as the customer will, send it. */
export function AskBuilder({ subject }: { readonly subject: string }) {
  const known = useReading(() => api.publicCatalogue());
  const wallet = useReading(() => api.enrolled(subject));
  const sent = useSignal<Ask | null>(null);
  const terms = known.data.value;
  return (
    <>
      <a class="back" href={to(["customers", subject])}>
        <Icon name="back" />
        <span class="mono">{short(subject)}</span>
      </a>
      <header class="top">
        <div class="title">
          <h1>{t("ask")}</h1>
          <p class="soft">{t("ask.lead")}</p>
        </div>
      </header>
      {known.error.value !== null && <ErrorNote error={known.error.value} onAgain={known.again} />}
      {wallet.data.value?.enrolled === false && (
        <Note tone="warn" icon="wallet">
          {t("ask.no_wallet")}
        </Note>
      )}
      {sent.value && <Sent ask={sent.value} subject={subject} />}
      {!sent.value && terms && (
        <Form subject={subject} terms={terms} sent={sent} ready={wallet.data.value?.enrolled === true} />
      )}
      {!terms && known.error.value === null && (
        <div class="card">
          <Loading lines={8} />
        </div>
      )}
    </>
  );
}

function Sent({ ask, subject }: { readonly ask: Ask; readonly subject: string }) {
  return (
    <div class="card">
      <Empty title={t("ask.sent")} icon="check">
        <p role="status">{t("ask.sent.more", { day: day(ask.valid_until ?? "") })}</p>
        <p class="actions">
          <HandOverButton ask={ask} />
          <a class="button" href={to(["customers", subject])}>
            {t("ask.sent.back")}
          </a>
        </p>
      </Empty>
    </div>
  );
}

interface FormProps {
  readonly subject: string;
  readonly terms: PublicCatalogue;
  readonly sent: Signal<Ask | null>;
  readonly ready: boolean;
}

/** The purposes that one may ask for: the catalogue knows their terms. */
const askable = (terms: PublicCatalogue) => purposes.value.filter((one) => one.key in terms.purposes);

function Form({ subject, terms, sent, ready }: FormProps) {
  const draft = useDraft(terms);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const of = terms.purposes[draft.value.purpose];
  if (!of) return null;
  const change = (part: Partial<Draft>) => {
    draft.value = { ...draft.value, ...part };
  };

  async function send(event: SubmitEvent) {
    event.preventDefault();
    busy.value = true;
    error.value = null;
    try {
      sent.value = await api.ask(wish(subject, draft.value, terms));
    } catch (problem) {
      error.value = problem;
    } finally {
      busy.value = false;
    }
  }

  const needy = draft.value.fields.length === 0;
  return (
    <form class="columns even" onSubmit={send}>
      <div class="card stack padded">
        <Select
          label={t("ask.purpose")}
          value={draft.value.purpose}
          onChange={(event) => change(beginning(terms, event.currentTarget.value, []))}
        >
          {askable(terms).map((one) => (
            <option key={one.key} value={one.key}>
              {label(one.labels)}
            </option>
          ))}
        </Select>
        <FieldTicks of={of} chosen={draft.value.fields} onChange={(fields) => change({ fields })} />
        {of.recipients.length > 0 && (
          <Select
            label={t("ask.recipient")}
            value={draft.value.recipient}
            onChange={(event) => change({ recipient: event.currentTarget.value })}
          >
            {recipientsOf(terms, of).map((key) => (
              <option key={key} value={key}>
                {label(terms.recipients[key]?.labels ?? { en: key })}
              </option>
            ))}
          </Select>
        )}
        <div class="pair">
          <Field
            label={t("ask.until")}
            hint={t("ask.until.hint", { longest: duration(of.consent_life) })}
            type="date"
            required
            min={iso(tomorrow())}
            max={iso(longest(of))}
            value={draft.value.until}
            onChange={(event) => change({ until: event.currentTarget.value })}
          />
          <Select
            label={t("ask.language")}
            value={draft.value.language}
            onChange={(event) => change({ language: event.currentTarget.value })}
          >
            {Object.entries(LANGUAGES).map(([code, name]) => (
              <option key={code} value={code} lang={code}>
                {name}
              </option>
            ))}
          </Select>
        </div>
        {error.value !== null && <ErrorNote error={error.value} />}
        <p class="actions">
          {needy && <span class="faint grow">{t("ask.fields.none")}</span>}
          <Button kind="primary" type="submit" icon="send" busy={busy.value} disabled={!ready || needy}>
            {t("ask.send")}
          </Button>
        </p>
      </div>
      <AskPreview draft={draft.value} of={of} recipient={terms.recipients[draft.value.recipient]} />
    </form>
  );
}

function useDraft(terms: PublicCatalogue): Signal<Draft> {
  const words = route.value.words;
  const wished = words.get("purpose") ?? purpose.value?.key ?? "";
  const key = askable(terms).find((one) => one.key === wished)?.key ?? askable(terms)[0]?.key ?? "";
  const fields = (words.get("fields") ?? "").split(",").filter(Boolean);
  const draft = useKept<Draft>(`ask ${location.hash}`, () => ({
    ...beginning(terms, key, fields),
    language: language.value,
  }));
  const noticed = useSignal("");
  useSignalEffect(() => {
    // the notice in words, whenever purpose or language change
    const { purpose: of, language: lang } = draft.value;
    const version = terms.purposes[of]?.notice;
    if (!version || noticed.peek() === `${of} ${lang}`) return;
    noticed.value = `${of} ${lang}`;
    void api.notice(of, version, lang).then(
      (told) => {
        if (noticed.peek() === `${of} ${lang}`) draft.value = { ...draft.peek(), notice: told.text };
      },
      () => {
        noticed.value = "";
      },
    );
  });
  return draft;
}

/** A draft for a purpose: what was wished for, and what the purpose cannot do without. */
function beginning(terms: PublicCatalogue, key: string, fields: readonly string[]): Omit<Draft, "language"> {
  const of = terms.purposes[key];
  const needed = Object.keys(of?.necessity ?? {}).filter(
    (id) => of?.necessity[id] === "required" || fields.includes(id),
  );
  return {
    purpose: key,
    fields: needed.filter((id) => field(id)),
    recipient: of ? (recipientsOf(terms, of)[0] ?? "") : "",
    until: of ? iso(longest(of)) : "",
    notice: "",
  };
}

const recipientsOf = (terms: PublicCatalogue, of: Terms): readonly string[] =>
  of.recipients.includes("*") ? Object.keys(terms.recipients) : of.recipients;

function wish(subject: string, draft: Draft, terms: PublicCatalogue): api.Wish {
  const to_ = terms.recipients[draft.recipient];
  const of = terms.purposes[draft.purpose];
  // The last day at its end, unless that is beyond the longest life: then the server's own.
  const latest = of && draft.until < iso(longest(of)) ? { latest_until: `${draft.until}T23:59:59Z` } : {};
  return {
    subject,
    processes: [
      {
        purpose: draft.purpose,
        fields: draft.fields,
        ...(to_ ? { recipients: [to_.did], jurisdictions: [to_.jurisdiction] } : {}),
      },
    ],
    ...latest,
    language: draft.language,
  };
}

const iso = (date: Date): string => date.toISOString().slice(0, 10);
const tomorrow = (): Date => new Date(Date.now() + 86_400_000);

function longest(of: Terms): Date {
  const [, years, months, days] = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?$/.exec(of.consent_life) ?? [];
  const date = new Date();
  date.setUTCFullYear(date.getUTCFullYear() + Number(years ?? 0), date.getUTCMonth() + Number(months ?? 0));
  date.setUTCDate(date.getUTCDate() + Number(days ?? 0));
  return date;
}
