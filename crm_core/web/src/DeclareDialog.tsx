import { useSignal } from "@preact/signals";
import { useAct } from "../ui/act";
import { label } from "../ui/i18n";
import { useKept, useKeptForm } from "../ui/kept";
import { Button, Dialog, ErrorNote, Field, Loading, Select } from "../ui/pieces";
import { Area } from "./Area";
import type { PublicCatalogue } from "./api";
import * as api from "./api";
import { FieldTicks } from "./FieldTicks";
import { useReading } from "./reading";
import { t } from "./words";

const BASES = ["Contract", "LegalObligation", "VitalInterest", "PublicInterest"] as const;
const YEAR = 365 * 86_400_000;

const REFERENCE = /^sub_[a-z2-7]{26}$/;
const MOST = 1000; // customers that one ground names

interface Props {
  /** Customers whom the ground is to name; none: all. */
  readonly named?: readonly string[];
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** A draft of a statutory ground, over all customers or some, for one purpose that is not left to consent alone. */
export function DeclareDialog({ named = [], onClose, onDone }: Props) {
  const known = useReading(() => api.publicCatalogue());
  return (
    <Dialog title={t("grounds.declare")} onClose={onClose}>
      <p class="soft">{t("grounds.declare.more")}</p>
      {known.error.value !== null && <ErrorNote error={known.error.value} onAgain={known.again} />}
      {known.data.value ? (
        <Form terms={known.data.value} named={named} onClose={onClose} onDone={onDone} />
      ) : (
        <Loading lines={6} />
      )}
    </Dialog>
  );
}

/** References out of what somebody typed or pasted, each once. */
const referencesIn = (text: string): string[] => [...new Set(text.split(/[\s,;，；]+/).filter(Boolean))];

function Form({ terms, named = [], onClose, onDone }: Props & { readonly terms: PublicCatalogue }) {
  const whom = useKept<"all" | "named">("declare.whom", () => (named.length ? "named" : "all"));
  const wrong = useSignal("");
  const open = Object.entries(terms.purposes).filter(([, of]) => !of.consent_only);
  const purpose = useKept("declare.purpose", () => open[0]?.[0] ?? "");
  const fields = useKept<readonly string[]>("declare.fields", () => []);
  const form = useKeptForm("declare");
  const { busy, error, run } = useAct();
  const of = terms.purposes[purpose.value];

  function sign(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const word = (name: string) => String(given.get(name) ?? "").trim();
    const subjects = referencesIn(word("subjects"));
    const bad = whom.value === "named" ? subjects.find((one) => !REFERENCE.test(one)) : undefined;
    wrong.value =
      whom.value === "all"
        ? ""
        : bad
          ? t("grounds.whom.bad", { reference: bad })
          : subjects.length === 0 || subjects.length > MOST
            ? t("grounds.whom.hint", { n: MOST })
            : "";
    if (wrong.value) return;
    void run(async () => {
      await api.declare({
        key: word("key"),
        basis: `dpv:${word("basis")}`,
        citation: word("citation"),
        evidence: word("evidence"),
        processes: [{ purpose: purpose.value, fields: fields.value }],
        subjects: whom.value === "all" ? "*" : subjects,
        until_enrolled: given.has("until_enrolled"),
        valid_until: `${word("until")}T23:59:59Z`,
      });
      onClose();
      onDone();
    });
  }

  return (
    <form ref={form} class="stack" onSubmit={sign}>
      <Select
        label={t("ask.purpose")}
        value={purpose.value}
        onChange={(event) => {
          fields.value = [];
          purpose.value = event.currentTarget.value;
        }}
      >
        {open.map(([key, one]) => (
          <option key={key} value={key}>
            {label(one.labels)}
          </option>
        ))}
      </Select>
      {of && <FieldTicks of={of} chosen={fields.value} onChange={(chosen) => (fields.value = chosen)} />}
      <Select
        label={t("grounds.covers")}
        value={whom.value}
        onChange={(event) => (whom.value = event.currentTarget.value as "all" | "named")}
      >
        <option value="all">{t("grounds.everybody")}</option>
        <option value="named">{t("grounds.named")}</option>
      </Select>
      {whom.value === "named" && (
        <Area
          label={t("grounds.whom")}
          hint={t("grounds.whom.hint", { n: MOST })}
          problem={wrong.value || undefined}
          name="subjects"
          class="mono"
          rows={3}
          required
          spellcheck={false}
          defaultValue={named.join("\n")}
        />
      )}
      <div class="pair">
        <Select label={t("grounds.basis")} name="basis">
          {BASES.map((one) => (
            <option key={one} value={one}>
              {t(`basis.${one}`)}
            </option>
          ))}
        </Select>
        <Field
          label={t("grounds.key")}
          hint={t("grounds.key.hint")}
          name="key"
          pattern="[a-z][a-z0-9\-]{0,63}"
          autocapitalize="none"
          spellcheck={false}
          required
        />
      </div>
      <Field
        label={t("grounds.citation")}
        hint={t("grounds.citation.hint")}
        name="citation"
        minLength={3}
        maxLength={500}
        required
      />
      <Field
        label={t("grounds.evidence")}
        hint={t("grounds.evidence.hint")}
        name="evidence"
        minLength={3}
        maxLength={4000}
        required
      />
      <Field
        label={t("grounds.until")}
        name="until"
        type="date"
        min={iso(Date.now() + YEAR / 365)}
        defaultValue={iso(Date.now() + YEAR)}
        required
      />
      <label class="check">
        <input type="checkbox" name="until_enrolled" />
        <span>{t("grounds.until_enrolled")}</span>
      </label>
      {error.value !== null && <ErrorNote error={error.value} />}
      <p class="actions">
        <Button kind="primary" type="submit" icon="pen" busy={busy.value} disabled={fields.value.length === 0}>
          {t("grounds.sign")}
        </Button>
      </p>
    </form>
  );
}

const iso = (at: number): string => new Date(at).toISOString().slice(0, 10);
