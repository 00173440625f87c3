import { useSignal } from "@preact/signals";
import { useAct } from "../ui/act";
import { label } from "../ui/i18n";
import { Button, Dialog, ErrorNote, Field, Select } from "../ui/pieces";
import { catalogue } from "./desk";
import type { Asked, Kind } from "./rights";
import * as rights from "./rights";
import { rt } from "./rights";

const RECORDED = rights.KINDS.filter((one) => one !== "rectification"); // right values are written at the record

interface Props {
  readonly onClose: () => void;
  readonly onDone: (made: Asked) => void;
}

/** What a customer without a wallet asks for, and how they were identified. Somebody else has to confirm it. */
export function RecordDialog({ onClose, onDone }: Props) {
  const kind = useSignal<Kind>("access");
  const { busy, error, run } = useAct();
  function submit(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const word = (name: string) => String(given.get(name) ?? "").trim();
    void run(async () => {
      const made = await rights.record({
        subject: word("subject"),
        kind: kind.value,
        method: word("method"),
        evidence: word("evidence"),
        ...(kind.value === "objection" ? { purpose: word("purpose") } : {}),
        ...(kind.value === "explanation" ? { event: word("event") } : {}),
      });
      onClose();
      onDone(made);
    });
  }
  return (
    <Dialog title={rt("record")} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p class="soft">{rt("record.more")}</p>
        <Field
          label={rt("record.subject")}
          hint={rt("record.subject.hint")}
          name="subject"
          pattern="sub_[a-z2-7]{26}"
          autocapitalize="none"
          spellcheck={false}
          required
        />
        <Select
          label={rt("what")}
          value={kind.value}
          onChange={(event) => (kind.value = event.currentTarget.value as Kind)}
        >
          {RECORDED.map((one) => (
            <option key={one} value={one}>
              {rt(`kind.${one}`)}
            </option>
          ))}
        </Select>
        {kind.value === "objection" && (
          <Select label={rt("purpose")} name="purpose">
            {catalogue.value?.purposes.map((one) => (
              <option key={one.key} value={one.key}>
                {label(one.labels)}
              </option>
            ))}
          </Select>
        )}
        {kind.value === "explanation" && (
          <Field label={rt("read.event")} hint={rt("record.event.hint")} name="event" spellcheck={false} required />
        )}
        <Select label={rt("method")} name="method">
          {rights.METHODS.map((one) => (
            <option key={one} value={one}>
              {rt(`method.${one}`)}
            </option>
          ))}
        </Select>
        <Field
          label={rt("evidence")}
          hint={rt("evidence.hint")}
          name="evidence"
          minLength={3}
          maxLength={500}
          required
        />
        {error.value !== null && <ErrorNote error={error.value} />}
        <p class="actions">
          <Button kind="primary" type="submit" icon="pen" busy={busy.value}>
            {rt("sign")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}
