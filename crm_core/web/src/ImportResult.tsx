import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useAct } from "../ui/act";
import { call } from "../ui/http";
import { ago, moment, number } from "../ui/i18n";
import { Button, Chip, Dialog, ErrorNote, Loading, Note, Table } from "../ui/pieces";
import { isaid, it, Trouble } from "./importing";
import { save } from "./save";
import { type Report, rejectsFile } from "./upload";

const SHOWN = 50; // rejected rows
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

const reason = (code: string): string => isaid(`reason.${code}`, code);

/** What came of a file. */
export function Result({ report, onUndone }: { readonly report: Report; readonly onUndone: () => void }) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => head.current?.focus(), []);
  return (
    <section class="card stack padded" aria-labelledby="result">
      <header class="file">
        <h2 id="result" ref={head} tabIndex={-1}>
          {it("result", { n: report.created + report.updated + report.unchanged })}
        </h2>
        <Undo run={report.run} onUndone={onUndone} />
      </header>
      <dl class="counts">
        {COUNTS.map((one) => (
          <div key={one}>
            <dt>{it(`count.${one}`)}</dt>
            <dd class="tabular">{number(report[one])}</dd>
          </div>
        ))}
      </dl>
      {report.left_out.length > 0 && <p class="soft">{it("left_out", { columns: report.left_out.join(", ") })}</p>}
      {report.rejects.length > 0 && (
        <>
          <Table label={it("rejects")}>
            <thead>
              <tr>
                {(["row", "column", "why"] as const).map((one) => (
                  <th key={one} scope="col">
                    {it(`rejects.${one}`)}
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
            {report.rejected > SHOWN && <span class="faint grow">{it("rejects.first", { n: SHOWN })}</span>}
            <Button
              icon="download"
              onClick={() => save(rejectsFile(report.rejects, reason), `rejected-${report.run}.csv`)}
            >
              {it("rejects.save")}
            </Button>
          </p>
        </>
      )}
    </section>
  );
}

function Undo({ run, onUndone }: { readonly run: string; readonly onUndone: () => void }) {
  const open = useSignal(false);
  const { busy, error, run: act } = useAct();
  const done = useSignal<{ removed: number; restored: number; kept: number } | null>(null);
  const undo = () =>
    act(async () => {
      done.value = await call("POST", `/crm/imports/${encodeURIComponent(run)}/undo`, {}, { patience: 10 * 60_000 });
    });
  function close() {
    open.value = false;
    if (done.value) onUndone();
  }
  return (
    <>
      <Button kind="quiet" aria-haspopup="dialog" onClick={() => (open.value = true)}>
        {it("undo")}
      </Button>
      {open.value && (
        <Dialog title={it("undo.title")} onClose={close}>
          {done.value ? (
            <Note tone="good" icon="check">
              {it("undo.done", done.value)}
            </Note>
          ) : (
            <>
              <p>{it("undo.more")}</p>
              {error.value !== null && <Trouble error={error.value} />}
              <p class="actions">
                <Button kind="danger" busy={busy.value} onClick={() => void undo()}>
                  {it("undo.do")}
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

/** The imports so far. */
export function Runs({ runs, error, onAgain }: RunsProps) {
  return (
    <div class="card runs">
      <header class="headed">
        <h2>{it("runs")}</h2>
      </header>
      {error !== null && <ErrorNote error={error} onAgain={onAgain} />}
      {!runs && error === null && <Loading lines={3} />}
      {runs?.length === 0 && <p class="nothing faint">{it("runs.none")}</p>}
      {runs !== undefined && runs.length > 0 && (
        <Table label={it("runs")}>
          <thead>
            <tr>
              <th scope="col">{it("runs.when")}</th>
              {COUNTS.map((one) => (
                <th key={one} scope="col">
                  {it(`count.${one}`)}
                </th>
              ))}
              <th scope="col">{it("runs.state")}</th>
              <th>
                <span class="unseen">{it("undo")}</span>
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
                  <Chip tone={one.state === "done" ? "good" : "plain"}>{it(`state.${one.state}`)}</Chip>
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
