import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { call, Problem } from "../ui/http";
import { ago, moment, number, texts } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { Button, Chip, Dialog, ErrorNote, Loading, Note, Table } from "../ui/pieces";
import { to } from "../ui/route";
import { Mapping, type Preview } from "./ImportMapping";
import en from "./import.en.json";
import zh from "./import.zh-CN.json";
import { useReading } from "./reading";
import { save } from "./save";
import { kindOf, type Report, rejectsFile, SENDING, type Step, upload } from "./upload";

const t = texts(en, zh);
const LOOKED_AT = 2 ** 19; // bytes of a file that are looked at first
const SHOWN = 50; // rejected rows
const SHEETS = /\.(xlsx?|xlsm|xlsb|ods|numbers)$/i;
const COUNTS = ["read", "created", "updated", "unchanged", "rejected"] as const;
type Counts = Readonly<Record<(typeof COUNTS)[number], number>>;

export interface Run {
  readonly id: string;
  readonly at: string;
  readonly source: string;
  readonly state: "running" | "done" | "undoing" | "undone";
  readonly counts: Counts | null;
  readonly undoable: boolean;
}

/** A file that was chosen, and what is known of it. */
interface Chosen {
  readonly file: File;
  readonly kind: string;
}

/** Bring customers in from a file: look at it, say which column is which, send it, see what came of it. */
export function Import() {
  const chosen = useSignal<Chosen | null>(null);
  const error = useSignal<unknown>(null);
  const report = useSignal<Report | null>(null);
  const runs = useReading((stop) => call<{ items: readonly Run[] }>("GET", "/crm/imports", undefined, { stop }));

  async function choose(file: File) {
    error.value = null;
    report.value = null;
    chosen.value = null;
    if (SHEETS.test(file.name)) error.value = new Problem(0, "sheet", "");
    else if (file.size === 0) error.value = new Problem(0, "no_headings", "");
    else chosen.value = { file, kind: await kindOf(file) };
  }

  return (
    <>
      <header class="top">
        <div class="title">
          <h1>{t("import")}</h1>
          <p class="soft">{t("lead")}</p>
        </div>
      </header>
      {error.value !== null && <Trouble error={error.value} />}
      {report.value && <Result report={report.value} onUndone={runs.again} />}
      {chosen.value ? (
        <Look
          key={chosen.value.file.name}
          chosen={chosen.value}
          onDone={(told) => {
            report.value = told;
            chosen.value = null;
            runs.again();
            scrollTo(0, 0);
          }}
          onLeave={() => (chosen.value = null)}
        />
      ) : (
        <>
          <Drop onFile={(file) => void choose(file)} />
          <Note icon="lock">
            <p>{t("grounds")}</p>
            <p>
              <a href={to(["grounds"])}>{t("grounds.link")}</a>
            </p>
          </Note>
        </>
      )}
      <Runs runs={runs.data.value?.items} error={runs.error.value} onAgain={runs.again} />
    </>
  );
}

const told = (error: unknown): string => {
  const key = error instanceof Problem ? `problem.${error.code}` : "";
  return key in en ? t(key as keyof typeof en) : "";
};

/** A problem of a file in words of this screen; any other as everywhere. */
function Trouble({ error, onAgain }: { readonly error: unknown; readonly onAgain?: () => void }) {
  const words = told(error);
  if (!words) return <ErrorNote error={error} {...(onAgain ? { onAgain } : {})} />;
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <p>{words}</p>
    </div>
  );
}

function Drop({ onFile }: { readonly onFile: (file: File) => void }) {
  const over = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  function dropped(event: DragEvent) {
    event.preventDefault();
    over.value = false;
    const file = event.dataTransfer?.files[0];
    if (file) onFile(file);
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a second way; the button in it is the first
    <div
      class={`card drop ${over.value ? "over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => (over.value = false)}
      onDrop={dropped}
    >
      <Icon name="download" />
      <p class="title">{t("drop")}</p>
      <p class="soft">{t("drop.more")}</p>
      <input
        ref={input}
        class="unseen"
        type="file"
        tabIndex={-1}
        aria-label={t("choose")}
        accept=".csv,.tsv,.txt,.vcf,.vcard,.jsonl,.ndjson,.xlsx,.xls"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) onFile(file);
          event.currentTarget.value = "";
        }}
      />
      <Button kind="primary" onClick={() => input.current?.click()}>
        {t("choose")}
      </Button>
    </div>
  );
}

interface LookProps {
  readonly chosen: Chosen;
  readonly onDone: (report: Report) => void;
  readonly onLeave: () => void;
}

function Look({ chosen, onDone, onLeave }: LookProps) {
  const { file, kind } = chosen;
  const asked = useSignal<Readonly<Record<string, string>>>({});
  const encoding = useSignal("");
  const step = useSignal<Step | null>(null);
  const error = useSignal<unknown>(null);
  const words = () => {
    const found = new URLSearchParams();
    for (const [heading, field] of Object.entries(asked.value)) found.append("map", `${heading}=${field}`);
    if (encoding.value) found.set("encoding", encoding.value);
    return found;
  };
  const reading = useReading((stop) => look(file, kind, words(), stop));

  return (
    <section class="card stack padded" aria-labelledby="file">
      <header class="file">
        <div>
          <h2 id="file">{file.name}</h2>
          <p class="faint">
            {size(file.size)}
            {reading.data.value && ` · ${reading.data.value.format.toUpperCase()} · ${reading.data.value.encoding}`}
          </p>
        </div>
        {!step.value && <Button onClick={onLeave}>{t("other")}</Button>}
      </header>
      {reading.error.value !== null && <Trouble error={reading.error.value} onAgain={reading.again} />}
      {error.value !== null && <Trouble error={error.value} />}
      {step.value ? (
        <Progress step={step.value} />
      ) : (
        <Mapping preview={reading.data.value} asked={asked} encoding={encoding} failed={reading.error.value !== null} />
      )}
      <Send chosen={chosen} ready={reading.data.value} words={words} step={step} error={error} onDone={onDone} />
    </section>
  );
}

interface SendProps {
  readonly chosen: Chosen;
  readonly ready: Preview | null;
  readonly words: () => URLSearchParams;
  readonly step: Signal<Step | null>;
  readonly error: Signal<unknown>;
  readonly onDone: (report: Report) => void;
}

function Send({ chosen, ready, words, step, error, onDone }: SendProps) {
  const stop = useRef<AbortController>(undefined);
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (step.peek()) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => {
      removeEventListener("beforeunload", warn);
      if (step.peek()?.doing === SENDING) stop.current?.abort();
    };
  }, []);

  async function send() {
    stop.current = new AbortController();
    error.value = null;
    step.value = { doing: SENDING, done: 0, of: chosen.file.size };
    try {
      onDone(await upload(chosen.file, chosen.kind, words(), (one) => (step.value = one), stop.current.signal));
    } catch (problem) {
      if ((problem as Problem).code !== "stopped") error.value = problem;
    } finally {
      step.value = null;
    }
  }

  const taken = ready?.columns.filter((one) => one.field !== null).length ?? 0;
  return (
    <p class="actions">
      {step.value ? (
        leaving(step.value) && <Button onClick={() => stop.current?.abort()}>{t("stop")}</Button>
      ) : (
        <>
          <span class="faint grow">{ready && t("columns", { n: taken, all: ready.columns.length })}</span>
          <Button kind="primary" icon="send" disabled={taken === 0} onClick={() => void send()}>
            {t("go")}
          </Button>
        </>
      )}
    </p>
  );
}

/** The server's preview of a file's beginning. Throws `Problem`. */
const look = (file: File, kind: string, words: URLSearchParams, stop: AbortSignal): Promise<Preview> =>
  call("POST", `/crm/imports/preview?${words}`, file.slice(0, LOOKED_AT, kind), { stop });

/** Is the file still on its way? */
const leaving = (step: Step): boolean => step.doing === SENDING && step.done < (step.of ?? 0);

const DOINGS: Readonly<Record<string, keyof typeof en>> = {
  [SENDING]: "doing.sending",
  "Looking at customers": "doing.looking",
  "Reading rows": "doing.reading",
  "Sealing customers": "doing.sealing",
};

function Progress({ step }: { readonly step: Step }) {
  const share = step.of ? step.done / step.of : null;
  const sending = leaving(step);
  const waiting = step.doing === SENDING && !sending;
  const words = t(waiting ? "doing.waiting" : (DOINGS[step.doing] ?? "doing.waiting"));
  const count = sending
    ? `${size(step.done)} / ${size(step.of ?? 0)}`
    : step.of
      ? `${number(step.done)} / ${number(step.of)}`
      : number(step.done);
  return (
    <div class="doing">
      <p>
        <b id="doing" role="status">
          {words}
        </b>
        <span class="faint tabular">{waiting ? "" : count}</span>
      </p>
      <progress aria-labelledby="doing" {...(share === null || waiting ? {} : { value: share })} max={1} />
      <p class="faint">
        <small>{t(sending ? "doing.stay" : "doing.whole")}</small>
      </p>
    </div>
  );
}

const reason = (code: string): string => {
  const key = `reason.${code}`;
  return key in en ? t(key as keyof typeof en) : code;
};

function Result({ report, onUndone }: { readonly report: Report; readonly onUndone: () => void }) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), []);
  return (
    <section class="card stack padded" aria-labelledby="result">
      <header class="file">
        <h2 id="result" ref={head} tabIndex={-1}>
          {t("result", { n: report.created + report.updated + report.unchanged })}
        </h2>
        <Undo run={report.run} onUndone={onUndone} />
      </header>
      <dl class="counts">
        {COUNTS.map((one) => (
          <div key={one}>
            <dt>{t(`count.${one}`)}</dt>
            <dd class="tabular">{number(report[one])}</dd>
          </div>
        ))}
      </dl>
      {report.left_out.length > 0 && <p class="soft">{t("left_out", { columns: report.left_out.join(", ") })}</p>}
      {report.rejects.length > 0 && (
        <>
          <Table label={t("rejects")}>
            <thead>
              <tr>
                {(["row", "column", "why"] as const).map((one) => (
                  <th key={one} scope="col">
                    {t(`rejects.${one}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {report.rejects.slice(0, SHOWN).map((one) => (
                <tr key={one.row}>
                  <th scope="row" class="tabular">
                    {number(one.row)}
                  </th>
                  <td>{one.column ?? "—"}</td>
                  <td>{reason(one.reason)}</td>
                </tr>
              ))}
            </tbody>
          </Table>
          <p class="actions">
            {report.rejected > SHOWN && <span class="faint grow">{t("rejects.first", { n: SHOWN })}</span>}
            <Button
              icon="download"
              onClick={() => save(rejectsFile(report.rejects, reason), `rejected-${report.run}.csv`)}
            >
              {t("rejects.save")}
            </Button>
          </p>
        </>
      )}
    </section>
  );
}

function Undo({ run, onUndone }: { readonly run: string; readonly onUndone: () => void }) {
  const open = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const done = useSignal<{ removed: number; restored: number; kept: number } | null>(null);
  async function undo() {
    busy.value = true;
    error.value = null;
    try {
      done.value = await call("POST", `/crm/imports/${encodeURIComponent(run)}/undo`, {}, { patience: 10 * 60_000 });
    } catch (problem) {
      error.value = problem;
    } finally {
      busy.value = false;
    }
  }
  function close() {
    open.value = false;
    if (done.value) onUndone();
  }
  return (
    <>
      <Button kind="quiet" aria-haspopup="dialog" onClick={() => (open.value = true)}>
        {t("undo")}
      </Button>
      {open.value && (
        <Dialog title={t("undo.title")} onClose={close}>
          {done.value ? (
            <Note tone="good" icon="check">
              {t("undo.done", done.value)}
            </Note>
          ) : (
            <>
              <p>{t("undo.more")}</p>
              {error.value !== null && <Trouble error={error.value} />}
              <p class="actions">
                <Button kind="danger" busy={busy.value} onClick={() => void undo()}>
                  {t("undo.do")}
                </Button>
              </p>
            </>
          )}
        </Dialog>
      )}
    </>
  );
}

interface RunsProps {
  readonly runs: readonly Run[] | undefined;
  readonly error: unknown;
  readonly onAgain: () => void;
}

function Runs({ runs, error, onAgain }: RunsProps) {
  return (
    <div class="card runs">
      <header class="headed">
        <h2>{t("runs")}</h2>
      </header>
      {error !== null && <ErrorNote error={error} onAgain={onAgain} />}
      {!runs && error === null && <Loading lines={3} />}
      {runs?.length === 0 && <p class="nothing faint">{t("runs.none")}</p>}
      {runs !== undefined && runs.length > 0 && (
        <Table label={t("runs")}>
          <thead>
            <tr>
              <th scope="col">{t("runs.when")}</th>
              {COUNTS.map((one) => (
                <th key={one} scope="col">
                  {t(`count.${one}`)}
                </th>
              ))}
              <th scope="col">{t("runs.state")}</th>
              <th>
                <span class="unseen">{t("undo")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {runs.map((one) => (
              <tr key={one.id}>
                <th scope="row" title={moment(one.at)}>
                  {ago(one.at)}
                </th>
                {COUNTS.map((name) => (
                  <td key={name} class="tabular">
                    {one.counts ? number(one.counts[name]) : "—"}
                  </td>
                ))}
                <td>
                  <Chip tone={one.state === "done" ? "good" : "plain"}>{t(`state.${one.state}`)}</Chip>
                </td>
                <td class="do">{one.undoable && <Undo run={one.id} onUndone={onAgain} />}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </div>
  );
}

/** Bytes as people say them. */
function size(bytes: number): string {
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  return number(Math.round(value * 10) / 10) + (unit === "kilobyte" ? " kB" : " MB");
}
