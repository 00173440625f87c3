import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { call, type Problem } from "../ui/http";
import { number } from "../ui/i18n";
import { Button } from "../ui/pieces";
import { Mapping, type Preview } from "./ImportMapping";
import { it, Trouble } from "./importing";
import { useReading } from "./reading";
import { type Report, SENDING, type Step, upload } from "./upload";

const LOOKED_AT = 2 ** 19; // bytes of a file that are looked at first

/** A file that was chosen, and what is known of it. */
export interface Chosen {
  readonly file: File;
  readonly kind: string;
}

interface LookProps {
  readonly chosen: Chosen;
  readonly onDone: (report: Report) => void;
  readonly onLeave: () => void;
}

/** One file: what its columns are, and its way in. */
export function Look({ chosen, onDone, onLeave }: LookProps) {
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
        {!step.value && <Button onClick={onLeave}>{it("other")}</Button>}
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
        leaving(step.value) && <Button onClick={() => stop.current?.abort()}>{it("stop")}</Button>
      ) : (
        <>
          <span class="faint grow">{ready && it("columns", { n: taken, all: ready.columns.length })}</span>
          <Button kind="primary" icon="send" disabled={taken === 0} onClick={() => void send()}>
            {it("go")}
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

const DOINGS = {
  [SENDING]: "doing.sending",
  "Looking at customers": "doing.looking",
  "Reading rows": "doing.reading",
  "Sealing customers": "doing.sealing",
} as const;

function Progress({ step }: { readonly step: Step }) {
  const share = step.of ? step.done / step.of : null;
  const sending = leaving(step);
  const waiting = step.doing === SENDING && !sending;
  const words = it(waiting ? "doing.waiting" : (DOINGS[step.doing as keyof typeof DOINGS] ?? "doing.waiting"));
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
        <small>{it(sending ? "doing.stay" : "doing.whole")}</small>
      </p>
    </div>
  );
}

/** Bytes as people say them. */
function size(bytes: number): string {
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  return number(Math.round(value * 10) / 10) + (unit === "kilobyte" ? " kB" : " MB");
}
