/** Around every screen: the way to the others, and the lock. */

import type { ComponentChildren } from "preact";
import { Icon, type IconName, Mark } from "../../../crm_core/web/ui/icons";
import { Button, LanguageSwitch } from "../../../crm_core/web/ui/pieces";
import { type Screen, screen, to } from "./route";
import { lock, offers } from "./state";
import { t } from "./words";

const PLACES: readonly (readonly [Screen, IconName])[] = [
  ["home", "wallet"],
  ["data", "person"],
  ["history", "eye"],
  ["requests", "pen"],
  ["receipts", "check"],
  ["settings", "filter"],
];

export function Shell({ children }: { readonly children: ComponentChildren }) {
  const here = screen.value;
  const waiting = offers.value?.length ?? 0;
  return (
    <div class="shell">
      <header class="top">
        <a class="brand" href={to("home")}>
          <Mark />
          {t("product")}
        </a>
        <LanguageSwitch />
        <Button kind="quiet" icon="lock" onClick={lock} aria-label={t("lock")} title={t("lock")}>
          <span class="wide">{t("lock")}</span>
        </Button>
      </header>
      <nav class="places" aria-label={t("places")}>
        {PLACES.map(([name, icon]) => (
          <a key={name} href={to(name)} aria-current={name === here ? "page" : undefined}>
            <Icon name={icon} />
            <span>{t(`place.${name}` as "place.home")}</span>
            {name === "home" && waiting > 0 && (
              <b>
                {waiting}
                <span class="unseen"> {t("waiting")}</span>
              </b>
            )}
          </a>
        ))}
      </nav>
      <main>{children}</main>
    </div>
  );
}
