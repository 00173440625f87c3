import { useSignal } from "@preact/signals";
import { useAct } from "../ui/act";
import { Button, Dialog, ErrorNote, Field, Note } from "../ui/pieces";
import { Area } from "./Area";
import type { Asked } from "./rights";
import * as rights from "./rights";
import { rsaid, rt } from "./rights";
import { save } from "./save";
import { named } from "./words";

const OPEN = ["identified", "in_work", "extended"];
const COPIES = ["access", "portability"];
type Act = "confirm" | "answer" | "refuse" | "extend" | "lift";

interface Props {
  readonly asked: Asked;
  readonly onDone: () => void;
}

/** What can be done about a request now; nothing where it waits for somebody else. */
export function RightsActs({ asked, onDone }: Props) {
  const doing = useSignal<Act | null>(null);
  const { busy, error, run } = useAct();
  const open = OPEN.includes(asked.state);
  const copy = COPIES.includes(asked.kind);
  const mine = asked.waiting_for === "dpo";
  const take = () =>
    run(async () => {
      await rights.take(asked.id);
      onDone();
    });
  if (asked.disputed) return <Note tone="warn">{rt("disputed.more")}</Note>;
  const ask = (act: Act) => () => (doing.value = act);
  return (
    <>
      {error.value !== null && <ErrorNote error={error.value} />}
      {open && copy && !asked.desk && <Note icon="wallet">{rt("copy.wallet")}</Note>}
      {copy && asked.desk && (open || asked.state === "answered") && <ByPost asked={asked} onDone={onDone} />}
      <p class="actions">
        {asked.state === "received" && asked.desk && (
          <Button kind="primary" aria-haspopup="dialog" onClick={ask("confirm")}>
            {rt("confirm")}
          </Button>
        )}
        {open && asked.state === "identified" && !asked.taken_by && (
          <Button busy={busy.value} onClick={() => void take()}>
            {rt("take")}
          </Button>
        )}
        {open && asked.state !== "extended" && (
          <Button aria-haspopup="dialog" onClick={ask("extend")}>
            {rt("extend")}
          </Button>
        )}
        {open && asked.kind !== "erasure" && (
          <Button aria-haspopup="dialog" onClick={ask("refuse")}>
            {rt("refuse")}
          </Button>
        )}
        {open && mine && (
          <Button kind="primary" aria-haspopup="dialog" onClick={ask("answer")}>
            {rsaid(`answer.${asked.kind}`, rt("answer"))}
          </Button>
        )}
        {asked.restricts && asked.state === "answered" && (
          <Button aria-haspopup="dialog" onClick={ask("lift")}>
            {rt("lift")}
          </Button>
        )}
      </p>
      {doing.value && (
        <ActDialog act={doing.value} asked={asked} onDone={onDone} onClose={() => (doing.value = null)} />
      )}
    </>
  );
}

interface ActProps extends Props {
  readonly act: Act;
  readonly onClose: () => void;
}

/** An act with the words it needs; the customer reads them, signed. */
function ActDialog({ act, asked, onDone, onClose }: ActProps) {
  const { busy, error, run } = useAct();
  const name = act === "answer" ? rsaid(`answer.${asked.kind}`, rt("answer")) : rt(act);
  function submit(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    void run(async () => {
      await send(act, asked, (word) => String(given.get(word) ?? "").trim());
      onClose();
      onDone();
    });
  }
  return (
    <Dialog title={name} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p class="soft">{rsaid(act === "answer" ? `answer.${asked.kind}.more` : `${act}.more`, "")}</p>
        {act === "answer" && asked.kind === "explanation" && <Words name="explanation" label={rt("explanation")} />}
        {act === "answer" &&
          asked.may_stay?.map((one) => (
            <Field
              key={one.id}
              label={rt("keep", { citation: one.citation })}
              hint={rt("keep.hint", { fields: one.fields.map(named).join(", ") })}
              name={one.id}
              maxLength={2000}
              optional
            />
          ))}
        {(act === "refuse" || act === "extend" || act === "lift") && <Words name="reason" label={rt("reason")} />}
        {act === "refuse" && (
          <Field
            label={rt("citation")}
            hint={rt("citation.hint")}
            name="citation"
            minLength={3}
            maxLength={500}
            required
          />
        )}
        {error.value !== null && <ErrorNote error={error.value} />}
        <p class="actions">
          <Button kind={act === "refuse" ? "danger" : "primary"} type="submit" icon="pen" busy={busy.value}>
            {rt("sign")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}

function send(act: Act, asked: Asked, word: (name: string) => string): Promise<unknown> {
  const { id, kind } = asked;
  if (act === "confirm") return rights.confirm(id);
  if (act === "extend") return rights.extend(id, word("reason"));
  if (act === "lift") return rights.lift(id, word("reason"));
  if (act === "refuse") return rights.refuse(id, word("reason"), word("citation"));
  if (kind === "explanation") return rights.explain(id, word("explanation"));
  if (kind === "rectification") return rights.correct(id);
  const stays = (asked.may_stay ?? []).map((one): [string, string] => [one.id, word(one.id)]);
  return rights.grant(id, Object.fromEntries(stays.filter(([, reason]) => reason)));
}

const Words = ({ name, label }: { readonly name: string; readonly label: string }) => (
  <Area label={label} hint={rt("words.hint")} name={name} rows={4} minLength={3} maxLength={2000} required />
);

/** The copy of a customer without a wallet: one person has the file, the other one its passphrase. */
function ByPost({ asked, onDone }: Props) {
  const { busy, error, run } = useAct();
  const secret = useSignal("");
  return (
    <Note icon="mail">
      <p>{rt("copy.post")}</p>
      {secret.value && (
        <p class="mono" role="status">
          {secret.value}
        </p>
      )}
      {error.value !== null && <ErrorNote error={error.value} />}
      <p class="actions">
        <Button
          icon="download"
          busy={busy.value}
          onClick={() =>
            run(async () => {
              save(await rights.answerFile(asked.id), "answer.fieldgrant");
              onDone();
            })
          }
        >
          {rt("copy.file")}
        </Button>
        <Button
          icon="lock"
          busy={busy.value}
          onClick={() =>
            run(async () => {
              secret.value = (await rights.passphrase(asked.id)).passphrase;
            })
          }
        >
          {rt("copy.passphrase")}
        </Button>
      </p>
    </Note>
  );
}
