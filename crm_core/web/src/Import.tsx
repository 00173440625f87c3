import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { call, Problem } from "../ui/http";
import { Icon } from "../ui/icons";
import { Button, Note } from "../ui/pieces";
import { to } from "../ui/route";
import { type Chosen, Look } from "./ImportFile";
import { Result, type Run, Runs } from "./ImportResult";
import { it, Trouble } from "./importing";
import { useReading } from "./reading";
import { kindOf, type Report } from "./upload";

const SHEETS = /\.(xlsx?|xlsm|xlsb|ods|numbers)$/i;

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
          <h1>{it("import")}</h1>
          <p class="soft">{it("lead")}</p>
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
            <p>{it("grounds")}</p>
            <p>
              <a href={to(["grounds"])}>{it("grounds.link")}</a>
            </p>
          </Note>
        </>
      )}
      <Runs runs={runs.data.value?.items} error={runs.error.value} onAgain={runs.again} />
    </>
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
      <p class="title">{it("drop")}</p>
      <p class="soft">{it("drop.more")}</p>
      <input
        ref={input}
        class="unseen"
        type="file"
        tabIndex={-1}
        aria-label={it("choose")}
        accept=".csv,.tsv,.txt,.vcf,.vcard,.jsonl,.ndjson,.xlsx,.xls"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) onFile(file);
          event.currentTarget.value = "";
        }}
      />
      <Button kind="primary" onClick={() => input.current?.click()}>
        {it("choose")}
      </Button>
    </div>
  );
}
