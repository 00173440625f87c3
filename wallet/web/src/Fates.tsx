/** What became of the fields that lost their ground: as the organisation says, live while it is at work. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { day } from "../../../crm_core/web/ui/i18n";
import { Chip } from "../../../crm_core/web/ui/pieces";
import type { Holding } from "../core/holding";
import * as learning from "../core/learning";
import type { State } from "../core/record";
import { unlocked } from "./state";
import { fieldName, list, recipientName, said, t } from "./words";

const EVERY = 2_000;
const FOR = 90_000;
const TONES: Readonly<Record<string, "good" | "warn" | "plain">> = {
  pending: "warn",
  shredded: "good",
  destroyed: "good",
  sealed: "plain",
};

/** `lively`: something just ended, so look again until it is carried out. */
export function Fates({ holding, lively }: { readonly holding: Holding; readonly lively: boolean }) {
  const found = useSignal<State | null>(null);
  useEffect(() => {
    let timer = 0;
    const until = Date.now() + FOR;
    const look = async () => {
      try {
        found.value = await learning.state(unlocked(), holding.controller);
      } catch {
        // said elsewhere on this screen; the next look may succeed
      }
      const open = found.value?.fields.some((one) => one.state === "pending") ?? true;
      if (Date.now() < until && (open || (lively && Date.now() < until - FOR + 10_000))) {
        timer = window.setTimeout(() => void look(), EVERY);
      }
    };
    void look();
    return () => clearTimeout(timer);
  }, [holding.controller, lively]);
  const fields = found.value?.fields ?? [];
  const elsewhere = found.value?.elsewhere ?? [];
  if (fields.length === 0 && elsewhere.length === 0) return null;
  return (
    <section aria-labelledby="fates">
      <div class="head">
        <h2 id="fates">{t("fates.title")}</h2>
      </div>
      <div class="card" aria-live="polite">
        <ul class="rows">
          {fields.map((one) => (
            <li key={one.field}>
              <div class="row">
                <span>
                  <strong>{fieldName(holding, one.field)}</strong>
                  {one.legal_ground && <span class="faint">{one.legal_ground}</span>}
                </span>
                {one.destroy_by && <span class="faint when">{t("fates.by", { when: day(one.destroy_by) })}</span>}
                <Chip tone={TONES[one.state] ?? "plain"}>{said("fate", one.state)}</Chip>
              </div>
            </li>
          ))}
          {elsewhere.map((one) => (
            <li key={`${one.recipient} ${one.fields}`}>
              <div class="row">
                <span>
                  <strong>{recipientName(holding, one.recipient)}</strong>
                  <span class="soft">{list(one.fields.map((field) => fieldName(holding, field)))}</span>
                  {one.citation && <span class="faint">{one.citation}</span>}
                </span>
                <span class="faint when">{t("fates.told_by", { when: day(one.deadline) })}</span>
                <Chip tone={one.state === "acknowledged" ? "good" : "warn"}>{said("told", one.state)}</Chip>
              </div>
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
