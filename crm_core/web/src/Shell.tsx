import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { label } from "../ui/i18n";
import { Mark } from "../ui/icons";
import { Button, LanguageSwitch, Note, Select } from "../ui/pieces";
import { overseeing, purpose, purposes, readFor, session, signOut, watching } from "./desk";
import { connected } from "./live";
import { route, to } from "./route";
import { said, t } from "./words";

/** What stands around every screen: where one is, who one is, and whether the page hears of changes. */
export function Shell({ children }: { readonly children: ComponentChildren }) {
  const who = session.value;
  const here = route.value.path[0] ?? "customers";
  const screens = [
    "customers",
    "asks",
    ...(overseeing.value ? (["grounds"] as const) : []),
    ...(watching.value ? (["board"] as const) : []),
  ] as const;
  useArrival(route.value.path.join("/"));
  return (
    <div class="shell">
      <Button kind="primary" class="skip" onClick={() => document.getElementById("content")?.focus()}>
        {t("skip")}
      </Button>
      <header class="side">
        <p class="brand">
          <Mark />
          <span>{t("product")}</span>
        </p>
        <nav aria-label={t("navigation")}>
          {screens.map((one) => (
            <a key={one} href={to([one])} aria-current={here === one ? "page" : undefined}>
              {t(one)}
            </a>
          ))}
        </nav>
        <div class="who">
          <p>
            <b>{who?.name}</b>
            <span class="faint">{said(`role.${who?.role}`, "account")}</span>
          </p>
          <p class={`live ${connected.value === false ? "off" : ""}`} role="status">
            <i aria-hidden="true" />
            {t(connected.value === false ? "live.not" : "live")}
          </p>
          <LanguageSwitch />
          <Button kind="quiet" icon="out" aria-label={t("sign_out")} onClick={() => void signOut()}>
            <span>{t("sign_out")}</span>
          </Button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <div>
          {connected.value === false && (
            <Note tone="warn" icon="alert">
              {t("live.note")}
            </Note>
          )}
          {children}
        </div>
      </main>
    </div>
  );
}

/** On another screen one begins at its top, with the keyboard too. */
function useArrival(where: string): void {
  const before = useRef(where);
  useEffect(() => {
    if (before.current === where) return;
    before.current = where;
    scrollTo(0, 0);
    document.getElementById("content")?.focus({ preventScroll: true });
  }, [where]);
}

/** What is read for: in sight wherever there are values. */
export function PurposePicker() {
  return (
    <div class="purpose">
      <Select
        label={t("reading_for")}
        value={purpose.value?.key}
        title={t("reading_for.hint")}
        onChange={(event) => readFor(event.currentTarget.value)}
      >
        {purposes.value.map((one) => (
          <option key={one.key} value={one.key}>
            {label(one.labels)}
          </option>
        ))}
      </Select>
    </div>
  );
}
