// A file on its way: sent from the disk as it is read, with its progress; then the lines in which the server tells how far
// the import has come. `fetch` cannot tell how much of a body was sent, so this is an XMLHttpRequest.

import { keptCsrf, Problem } from "../ui/http";

export interface Reject {
  readonly row: number;
  readonly column: string | null;
  readonly reason: string;
}

export interface Report {
  readonly read: number;
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly rejected: number;
  readonly rejects: readonly Reject[];
  readonly left_out: readonly string[];
  readonly run: string;
  readonly format: string;
  readonly encoding: string;
  readonly merged: number;
}

/** How far it has come: bytes while it is sent, rows or customers afterwards; `of` is null where nobody knows. */
export interface Step {
  readonly doing: string;
  readonly done: number;
  readonly of: number | null;
}

export const SENDING = "Sending";

interface Line extends Partial<Step> {
  readonly report?: Report;
  readonly problem?: { readonly code: string; readonly detail: string; readonly field: string | null };
}

const KINDS: readonly (readonly [RegExp, string])[] = [
  [/\.(vcf|vcard)$/i, "text/vcard"],
  [/\.(jsonl|ndjson)$/i, "application/jsonl"],
  [/\.(csv|tsv|txt)$/i, "text/csv"],
];

/** What a file is, by its name, else by how it begins. */
export async function kindOf(file: File): Promise<string> {
  const named = KINDS.find(([name]) => name.test(file.name))?.[1];
  if (named) return named;
  const start = (await file.slice(0, 64).text()).trimStart();
  if (start.startsWith("BEGIN:VCARD")) return "text/vcard";
  return start.startsWith("{") ? "application/jsonl" : "text/csv";
}

/** Import a file. Throws `Problem`; `stop` ends the sending (what was sent whole goes on). */
export function upload(
  file: File,
  kind: string,
  words: URLSearchParams,
  tell: (step: Step) => void,
  stop: AbortSignal,
): Promise<Report> {
  return new Promise((done, failed) => {
    const call = new XMLHttpRequest();
    let read = 0;
    function lines(): Line[] {
      const whole = call.responseText.lastIndexOf("\n") + 1;
      const found = call.responseText.slice(read, whole).split("\n").filter(Boolean);
      read = whole;
      return found.map((line) => JSON.parse(line) as Line);
    }
    function take(): Line | undefined {
      const found = lines();
      const step = found.findLast((line) => line.doing !== undefined);
      if (step) tell({ doing: step.doing ?? "", done: step.done ?? 0, of: step.of ?? null });
      return found.findLast((line) => line.report ?? line.problem);
    }
    call.open("POST", `/crm/imports?${words}`);
    call.setRequestHeader("Accept", "application/jsonl");
    call.setRequestHeader("Content-Type", kind);
    call.setRequestHeader("X-CSRF-Token", keptCsrf() ?? "");
    call.upload.onprogress = (event) => tell({ doing: SENDING, done: event.loaded, of: file.size });
    let last: Line | undefined;
    call.onprogress = () => {
      if (call.status === 200) last = take() ?? last;
    };
    call.onload = () => {
      if (call.status !== 200) return failed(refusal(call));
      last = take() ?? last;
      if (last?.report) return done(last.report);
      const said = last?.problem;
      failed(new Problem(said ? 422 : 0, said?.code ?? "broke_off", said?.detail ?? "", said?.field ?? undefined));
    };
    call.onerror = () => failed(new Problem(0, read ? "broke_off" : "unreachable", ""));
    call.onabort = () => failed(new Problem(0, "stopped", ""));
    stop.addEventListener("abort", () => call.abort());
    call.send(file);
  });
}

function refusal(call: XMLHttpRequest): Problem {
  try {
    const told = JSON.parse(call.responseText);
    return new Problem(call.status, String(told.code), String(told.detail), told.field);
  } catch {
    return new Problem(call.status, "server", call.statusText);
  }
}

/** Rejected rows as a CSV file. A heading that begins like a formula must not be one in a spreadsheet. */
export function rejectsFile(rejects: readonly Reject[], reason: (code: string) => string): Blob {
  const cell = (text: string) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const rows = rejects.map((one) =>
    [String(one.row), one.column ?? "", one.reason, reason(one.reason)].map(cell).join(),
  );
  return new Blob([`\ufeff${["row,column,code,reason", ...rows].join("\r\n")}\r\n`], { type: "text/csv" });
}
