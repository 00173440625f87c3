import { useSignal } from "@preact/signals";
import { label } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { Dialog } from "../ui/pieces";
import { to } from "../ui/route";
import type { Value } from "./api";
import { field, purpose } from "./desk";
import { lock, named, shown, t, why } from "./words";

/** A lock in the place of a value, with its reason in two words; opened, it says more and leads to the ask. */
export function LockChip({
  subject,
  id,
  reason,
}: {
  readonly subject: string;
  readonly id: string;
  readonly reason: string;
}) {
  const open = useSignal(false);
  const words = { fields: id, ...(purpose.value ? { purpose: purpose.value.key } : {}) };
  return (
    <>
      <button type="button" class="chip lock" aria-haspopup="dialog" onClick={() => (open.value = true)}>
        <Icon name="lock" />
        {lock(reason)}
      </button>
      {open.value && (
        <Dialog title={named(id)} onClose={() => (open.value = false)}>
          <p>{why(reason)}</p>
          <p class="soft">
            {purpose.value && t("why.purpose", { purpose: label(purpose.value.labels) })}
            <br />
            {t("why.value")}
          </p>
          <p class="actions">
            <a class="button primary" href={to(["customers", subject, "ask"], words)}>
              <Icon name="send" />
              {t("ask")}
            </a>
          </p>
        </Dialog>
      )}
    </>
  );
}

/** A granted value. */
export function Granted({
  id,
  value,
  linked = false,
}: {
  readonly id: string;
  readonly value: Value;
  readonly linked?: boolean;
}) {
  const entry = field(id);
  const text = shown(value, entry);
  if (text === "") {
    return (
      <span class="faint">
        <span aria-hidden="true">—</span>
        <span class="unseen">{t("absent")}</span>
      </span>
    );
  }
  if (linked && typeof value === "string") {
    const address = linkOf(entry?.type, value);
    if (address) {
      return (
        <a href={address} rel="noopener noreferrer" target={entry?.type === "url" ? "_blank" : undefined}>
          {text}
        </a>
      );
    }
  }
  return <span class={entry?.type === "number" ? "tabular" : undefined}>{text}</span>;
}

/** Where a value leads: never anywhere that runs something. */
function linkOf(type: string | undefined, value: string): string | undefined {
  if (type === "email") return `mailto:${encodeURIComponent(value).replace("%40", "@")}`;
  if (type === "phone") return `tel:${value.replace(/[^+\d]/g, "")}`;
  if (type === "url" && /^https?:\/\//i.test(value)) return value;
  return undefined;
}
