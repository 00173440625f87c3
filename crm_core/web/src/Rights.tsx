import { useSignal } from "@preact/signals";
import { ago, day, moment } from "../ui/i18n";
import { Button, Empty, ErrorNote, Heads, Loading, Select, Table } from "../ui/pieces";
import { go, route, to } from "../ui/route";
import { RecordDialog } from "./RecordDialog";
import { RightsOne } from "./RightsOne";
import { StateChip } from "./RightsState";
import { useReading } from "./reading";
import type { Listed } from "./rights";
import * as rights from "./rights";
import { rsaid, rt } from "./rights";
import { short } from "./words";

/** What customers ask of us by law: the officer's list, what is late in front; or one of it. */
export function Rights() {
  const [, id] = route.value.path;
  return id ? <RightsOne key={id} id={id} /> : <List />;
}

function List() {
  const which = useSignal<"open" | "all">("open");
  const recording = useSignal(false);
  const reading = useReading((stop) => rights.listed(which.value, { stop }));
  const found = reading.data.value?.items;
  return (
    <>
      <header class="top">
        <div class="title">
          <h1>{rt("rights")}</h1>
          <p class="soft">{rt("lead")}</p>
        </div>
        <Select
          label={rt("which")}
          quietly
          class="small"
          value={which.value}
          onChange={(event) => (which.value = event.currentTarget.value as "open" | "all")}
        >
          <option value="open">{rt("open")}</option>
          <option value="all">{rt("all")}</option>
        </Select>
        <Button icon="plus" aria-haspopup="dialog" onClick={() => (recording.value = true)}>
          {rt("record")}
        </Button>
      </header>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      <div class="card list">
        {!found && reading.error.value === null && <Loading lines={6} />}
        {found?.length === 0 && (
          <Empty title={rt(which.value === "open" ? "none.open" : "none")} icon="check">
            <p>{rt("none.more")}</p>
          </Empty>
        )}
        {found && found.length > 0 && <Rows found={found} busy={reading.busy.value} />}
      </div>
      {recording.value && (
        <RecordDialog onClose={() => (recording.value = false)} onDone={(made) => go(to(["rights", made.id]))} />
      )}
    </>
  );
}

function Rows({ found, busy }: { readonly found: readonly Listed[]; readonly busy: boolean }) {
  return (
    <Table label={rt("rights")} busy={busy}>
      <Heads all={(["what", "whom", "received", "due", "waits", "state"] as const).map((key) => rt(key))} />
      <tbody>
        {found.map((one) => (
          <tr key={one.id}>
            <th scope="row">
              <a href={to(["rights", one.id])}>{rsaid(`kind.${one.kind}`, one.kind)}</a>
            </th>
            <td data-label={rt("whom")} class="mono">
              {short(one.subject)}
            </td>
            <td data-label={rt("received")} title={moment(one.received_at)}>
              {ago(one.received_at)}
            </td>
            <td data-label={rt("due")}>{day(one.due_at)}</td>
            <td data-label={rt("waits")}>
              {one.waiting_for ? rsaid(`waits.${one.waiting_for}`, one.waiting_for) : "—"}
            </td>
            <td data-label={rt("state")}>
              <StateChip of={one} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
