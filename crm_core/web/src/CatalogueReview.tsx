import { useSignal } from "@preact/signals";
import { number } from "../ui/i18n";
import { Button, Dialog, Empty, ErrorNote, Loading, Note, Table } from "../ui/pieces";
import { session } from "../ui/session";
import { csaid, ct } from "./catalogue";
import { purposeLabel } from "./desk";
import { useReading } from "./reading";
import { approve, type Change, type Draft, diffOf, type Impact, impact, withdraw } from "./versions";
import { named } from "./words";

const SIGNS = { added: "+", removed: "−", changed: "~" } as const;
const APPROVERS = ["dpo", "admin"];

interface Props {
  readonly draft: Draft;
  readonly own: boolean;
  readonly outdated: boolean;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** A draft before it is approved or withdrawn: what it changes, what it ends, whom it touches. */
export function Review({ draft, own, outdated, onClose, onDone }: Props) {
  const diff = useReading((stop) => diffOf(draft.id, { stop }));
  const counted = useReading((stop) => impact(draft.id, { stop }));
  const error = useSignal<unknown>(null);
  const busy = useSignal<"approve" | "withdraw" | null>(null);
  const role = session.value?.role ?? "";
  const found = diff.data.value;

  async function act(what: "approve" | "withdraw") {
    busy.value = what;
    error.value = null;
    try {
      await (what === "approve" ? approve(draft.id) : withdraw(draft.id));
      onClose();
      onDone();
    } catch (problem) {
      error.value = problem;
      busy.value = null;
    }
  }

  return (
    <Dialog title={ct("draft.number", { number: draft.number })} onClose={onClose}>
      {diff.error.value !== null && <ErrorNote error={diff.error.value} onAgain={diff.again} />}
      {!found && diff.error.value === null && <Loading lines={4} />}
      {found && <Changes changes={found.changes} />}
      {found && found.ends.length > 0 && (
        <Note tone="warn" icon="alert">
          <p>{ct("ends")}</p>
          <ul class="ends">
            {found.ends.map((one) => (
              <li key={`${one.purpose} ${one.field}`}>
                {named(one.field)} · {purposeLabel(one.purpose)}
              </li>
            ))}
          </ul>
        </Note>
      )}
      <h3>{ct("impact")}</h3>
      {counted.error.value !== null && <ErrorNote error={counted.error.value} onAgain={counted.again} />}
      {counted.data.value ? (
        <Counted told={counted.data.value} />
      ) : (
        counted.error.value === null && <Loading lines={3} />
      )}
      {error.value !== null && <ErrorNote error={error.value} />}
      {own && APPROVERS.includes(role) && <p class="faint">{ct("approve.own")}</p>}
      {outdated && <p class="faint">{ct("approve.outdated")}</p>}
      <p class="actions">
        {role === "dpo" && (
          <Button kind="danger" busy={busy.value === "withdraw"} onClick={() => void act("withdraw")}>
            {ct("withdraw")}
          </Button>
        )}
        {!own && !outdated && APPROVERS.includes(role) && (
          <Button
            kind="primary"
            busy={busy.value === "approve"}
            disabled={!found || !counted.data.value}
            onClick={() => void act("approve")}
          >
            {ct("approve")}
          </Button>
        )}
      </p>
    </Dialog>
  );
}

function Counted({ told }: { readonly told: Impact }) {
  const { consents, statutory } = told.grants_touched;
  return (
    <>
      <p>{ct("impact.touched", { touched: told.customers_touched, all: told.customers, consents, statutory })}</p>
      {told.ask_again.length > 0 && (
        <ul class="ends">
          {told.ask_again.map((one) => (
            <li key={one.purpose}>{ct("impact.again", { n: one.customers, purpose: one.purpose })}</li>
          ))}
        </ul>
      )}
      {told.lapses.length > 0 && (
        <Table label={ct("impact.lapses")}>
          <thead>
            <tr>
              <th scope="col">{ct("impact.field")}</th>
              <th scope="col">{ct("impact.purpose")}</th>
              <th scope="col">{ct("impact.customers")}</th>
              <th scope="col">{ct("impact.then")}</th>
            </tr>
          </thead>
          <tbody>
            {told.lapses.map((one) => (
              <tr key={`${one.field} ${one.purpose}`}>
                <th scope="row">{named(one.field)}</th>
                <td>{one.purpose}</td>
                <td class="tabular">{number(one.customers)}</td>
                <td>{ct(one.disposition === "seal" ? "then.seal" : "then.shred")}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </>
  );
}

/** Differences as a list: where, and what stood and stands there. */
export function Changes({ changes }: { readonly changes: readonly Change[] }) {
  if (changes.length === 0) return <Empty title={ct("changes.none")} icon="check" />;
  return (
    <section class="changes" aria-label={ct("changes")}>
      <p class="faint">{ct("changes.n", { n: changes.length })}</p>
      <ul>
        {changes.map((one) => (
          <li key={one.place} class={one.kind}>
            <b aria-hidden="true">{SIGNS[one.kind]}</b>
            <span class="unseen">{csaid(`kind.${one.kind}`, one.kind)}</span>
            <code>{one.place}</code>
            {one.kind !== "added" && <del>{shortly(one.before)}</del>}
            {one.kind !== "removed" && <ins>{shortly(one.after)}</ins>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function shortly(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 240 ? `${text.slice(0, 240)}…` : text;
}
