/** Which screen is shown. The address names screens alone, never a person, an organisation or a request. */

import { signal } from "@preact/signals";

export const SCREENS = ["home", "data", "history", "requests", "receipts", "settings", "enrol", "ask"] as const;
export type Screen = (typeof SCREENS)[number];

const here = (): Screen => SCREENS.find((one) => `#/${one}` === location.hash) ?? "home";

export const screen = signal<Screen>(here());

addEventListener("hashchange", () => {
  screen.value = here();
  scrollTo(0, 0);
});

export const to = (where: Screen): string => `#/${where}`;

export function go(where: Screen): void {
  if (screen.value === where) return;
  location.hash = to(where);
}
