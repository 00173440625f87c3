import { useSignal, useSignalEffect } from "@preact/signals";
import { Icon } from "../../../crm_core/web/ui/icons";
import { Chip, Loading } from "../../../crm_core/web/ui/pieces";
import { to } from "../../../crm_core/web/ui/route";
import type { Json, JsonObject } from "../../../wallet/web/core/jcs";
import type { Exhibit } from "./api";
import * as api from "./api";
import { PaperCard } from "./Paper";
import { Fact, Facts, Head, Id, Raw, Save, Trouble, Who } from "./parts";
import { type Outcome, type Outcomes, proveRecord, STEPS, type Step } from "./proving";
import { useReading } from "./reading";
import { fieldsOf } from "./Search";
import { country, event, exact, named, processing, purposeName, reason, t } from "./words";

/** One record: what it says, which credentials it rests on, and that it is in the log. */
export function RecordScreen({ leaf, place }: { readonly leaf: string; readonly place: string }) {
  const reading = useReading((stop) => api.record(leaf, place, { stop }));
  const found = reading.data.value;
  return (
    <>
      <a class="back" href={to(["search"])} onClick={back}>
        <Icon name="back" />
        {t("record.back")}
      </a>
      {reading.error.value !== null && (
        <>
          <Head title={t("record")} />
          <Trouble error={reading.error.value} onAgain={reading.again} />
        </>
      )}
      {!found && reading.error.value === null && (
        <div class="card">
          <Loading lines={12} />
        </div>
      )}
      {found && <Found found={found} />}
    </>
  );
}

/** Back to where one was, the filters as they were. */
function back(event: MouseEvent) {
  if (history.length < 2) return;
  event.preventDefault();
  history.back();
}

function Found({ found }: { readonly found: Exhibit }) {
  const { record, records } = found;
  return (
    <>
      <Head title={event(record.type)}>
        {records > 1 && <Others leaf={record.leaf} place={record.place} records={records} />}
      </Head>
      <div class="columns">
        <div class="stack">
          <What found={found} />
          <Fields found={found} />
          <section class="stack tight" aria-labelledby="papers">
            <h2 id="papers">{t("record.papers")}</h2>
            {found.credentials.length === 0 && <p class="soft">{t("record.papers.none")}</p>}
            {found.credentials.map((one) => (
              <PaperCard key={one.id} paper={one} controller={found.controller} at={record.time} />
            ))}
          </section>
        </div>
        <Proof found={found} />
      </div>
    </>
  );
}

function Others({ leaf, place, records }: { readonly leaf: number; readonly place: number; readonly records: number }) {
  const address = (at: number) => to(["record", String(leaf), String(at)]);
  return (
    <div class="acts">
      <p class="faint of">{t("record.of", { n: records })}</p>
      {place > 0 && (
        <a class="button square" href={address(place - 1)} aria-label={t("record.before")} title={t("record.before")}>
          <Icon name="previous" />
        </a>
      )}
      {place < records - 1 && (
        <a class="button square" href={address(place + 1)} aria-label={t("record.after")} title={t("record.after")}>
          <Icon name="next" />
        </a>
      )}
    </div>
  );
}

const word = (node: JsonObject | undefined, name: string): string => {
  const value = node?.[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
};

function What({ found }: { readonly found: Exhibit }) {
  const { header, data, subject, time, event: id } = found.record;
  const did = word(header, "reader") || word(header, "importer");
  const purpose = word(header, "purpose") || word(data, "purpose");
  const code = word(data, "code") || word(header, "code");
  const plain = [
    ["record.processing", processing(word(header, "processing"))],
    ["record.jurisdiction", country(word(header, "jurisdiction"))],
    ["record.source", word(header, "source") || word(data, "source")],
    ["record.version", word(data, "version")],
    ["record.code", code && reason(code)],
  ] as const;
  return (
    <Facts>
      <Fact name={t("record.time")}>
        <time dateTime={time}>{exact(time)}</time>
        <code class="faint">{time}</code>
      </Fact>
      {did && (
        <Fact name={t("record.who")}>
          <Who did={did} role={word(header, "role")} />
          <Id id={did} what={t("actor.hint")} />
        </Fact>
      )}
      {subject && (
        <Fact name={t("record.person")}>
          <a href={to(["search"], { person: subject })}>{t("customer")}</a>
          <Id id={subject} what={t("person")} />
        </Fact>
      )}
      {purpose && (
        <Fact name={t("purpose")}>
          <b>{purposeName(purpose)}</b>
          <code class="faint">{purpose}</code>
        </Fact>
      )}
      {word(header, "recipient") && (
        <Fact name={t("record.recipient")}>
          <Who did={word(header, "recipient")} />
          <code class="faint">{word(header, "recipient")}</code>
        </Fact>
      )}
      {plain.map(
        ([key, value]) =>
          value && (
            <Fact key={key} name={t(key)}>
              {value}
            </Fact>
          ),
      )}
      <Fact name={t("record.id")}>
        <Id id={String(id)} what={t("record.id")} whole />
      </Fact>
    </Facts>
  );
}

const entries = (node: Json | undefined): [string, Json][] =>
  node && typeof node === "object" && !Array.isArray(node) ? (Object.entries(node) as [string, Json][]) : [];

/** Each field that the record names: what was decided about it, why, and on which ground. */
function Fields({ found }: { readonly found: Exhibit }) {
  const { data, header, subject } = found.record;
  const fields = fieldsOf(found.record);
  if (fields.length === 0) return null;
  const released = new Set(Array.isArray(data?.released) ? data.released.map(String) : []);
  const withheld = new Map(entries(data?.withheld).map(([name, code]) => [name, String(code)]));
  const grounds = [...entries(data?.grounds), ...entries(header?.grounds)];
  const ground = (name: string) => grounds.find(([, covered]) => Array.isArray(covered) && covered.includes(name))?.[0];
  const decided = released.size + withheld.size > 0;
  return (
    <section class="card list" aria-labelledby="decision">
      <h2 id="decision" class="headed">
        {t(decided ? "record.decision" : "record.fields")}
      </h2>
      <div class="table">
        <table>
          <thead>
            <tr>
              <th scope="col" class="plain">
                {t("field")}
              </th>
              <th scope="col" class="plain">
                {t("result")}
              </th>
              {decided && (
                <th scope="col" class="plain">
                  {t("record.why")}
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {fields.map((name) => (
              <tr key={name}>
                <th scope="row">
                  {subject ? (
                    <a
                      href={to(["provenance", subject, name])}
                      aria-label={t("record.story", { field: named(name) })}
                      title={name}
                    >
                      {named(name)}
                    </a>
                  ) : (
                    named(name)
                  )}
                </th>
                <td data-label={t("result")}>
                  <Chip tone={released.has(name) ? "good" : withheld.has(name) ? "warn" : "plain"}>
                    {t(released.has(name) ? "released" : withheld.has(name) ? "withheld" : "concerned")}
                  </Chip>
                </td>
                {decided && (
                  <td data-label={t("record.why")} class="why">
                    {withheld.has(name) ? reason(withheld.get(name) ?? "") : <Ground id={ground(name)} found={found} />}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Ground({ id, found }: { readonly id: string | undefined; readonly found: Exhibit }) {
  if (!id) return null;
  const paper = found.credentials.find((one) => one.id === id);
  if (!paper) return <Id id={id} what={t("record.ground")} />;
  return (
    <button type="button" class="link" onClick={() => document.getElementById(id)?.focus()}>
      {t(paper.kind === "consent" ? "kind.consent" : "kind.ground")}
    </button>
  );
}

/** The way of the record to the head of the log, each step checked here. */
function Proof({ found }: { readonly found: Exhibit }) {
  const outcomes = useSignal<Outcomes>({});
  useSignalEffect(() => {
    let mine = true;
    outcomes.value = {};
    void proveRecord(found, (told) => {
      if (mine) outcomes.value = told;
    });
    return () => {
      mine = false;
    };
  });
  const size = Number(found.checkpoint.split("\n")[1] ?? 0);
  const failed = Object.values(outcomes.value).some((one) => !one.good);
  return (
    <section class="card proof" aria-labelledby="proof">
      <header>
        <h2 id="proof">{t("proof")}</h2>
        <p class="soft">{t("proof.lead")}</p>
      </header>
      <ul aria-live="polite" aria-busy={!failed && Object.keys(outcomes.value).length < STEPS.length}>
        {STEPS.map((step) => (
          <StepLine
            key={step}
            step={step}
            outcome={outcomes.value[step]}
            failed={failed}
            index={found.record.leaf}
            size={size}
          />
        ))}
      </ul>
      <dl>
        <Fact name={t("leaf")}>{found.record.leaf}</Fact>
        <Fact name={t("log.size")}>{size}</Fact>
      </dl>
      <details>
        <summary>{t("log.checkpoint")}</summary>
        <Raw label={t("log.checkpoint")}>{found.checkpoint}</Raw>
      </details>
      <details>
        <summary>{t("proof.raw")}</summary>
        <Raw label={t("proof.raw")}>{JSON.stringify(found.file, null, 2)}</Raw>
      </details>
      <Save content={{ file: found.file, checkpoint: found.checkpoint }} name={`record-${found.record.leaf}.json`}>
        {t("proof.save")}
      </Save>
    </section>
  );
}

interface StepProps {
  readonly step: Step;
  readonly outcome: Outcome | undefined;
  readonly failed: boolean;
  readonly index: number;
  readonly size: number;
}

function StepLine({ step, outcome, failed, index, size }: StepProps) {
  const state = outcome ? (outcome.good ? "good" : "bad") : failed ? "not" : "wait";
  return (
    <li class={state}>
      <Icon name={state === "good" ? "check" : state === "bad" ? "cross" : "clock"} />
      <span>
        {t(`proof.${step}`, { index, n: size })}
        {state === "bad" && <b>{t("proof.bad", { code: outcome?.code ?? "" })}</b>}
        {state === "wait" && <span class="unseen">{t("proof.wait")}</span>}
        {state === "not" && <span class="unseen">{t("proof.not")}</span>}
      </span>
    </li>
  );
}
