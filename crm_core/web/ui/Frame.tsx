import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import en from "./en.json";
import { texts } from "./i18n";
import { Mark } from "./icons";
import { Button, LanguageSwitch } from "./pieces";
import { session, signOut } from "./session";
import zh from "./zh-CN.json";

const t = texts(en, zh);

interface FrameProps {
  /** Where one can go: address and name; `here` is where one is. */
  readonly screens: readonly { readonly name: string; readonly address: string; readonly here: boolean }[];
  /** Changes when another screen comes. */
  readonly where: string;
  readonly children: ComponentChildren;
  /** What the page says of itself, beside who is signed in. */
  readonly status?: ComponentChildren;
}

/** A role of staff in the language of the page; empty for one that it does not know. */
export function roleName(role: string): string {
  const key = `role.${role}`;
  return key in en ? t(key as keyof typeof en) : "";
}

/** What stands around every screen of staff: where one is, who one is. */
export function Frame({ screens, where, status, children }: FrameProps) {
  const who = session.value;
  useArrival(where);
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
            <a key={one.address} href={one.address} aria-current={one.here ? "page" : undefined}>
              {one.name}
            </a>
          ))}
        </nav>
        <div class="who">
          <p>
            <b>{who?.name}</b>
            <span class="faint">{roleName(who?.role ?? "") || t("account")}</span>
          </p>
          {status}
          <LanguageSwitch />
          <Button kind="quiet" icon="out" aria-label={t("sign_out")} onClick={() => void signOut()}>
            <span>{t("sign_out")}</span>
          </Button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <div>{children}</div>
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
