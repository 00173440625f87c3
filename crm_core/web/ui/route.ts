// Where the user is. It stands behind the `#`, so that no reference to a customer ever reaches a server's log.

import { signal } from "@preact/signals";

export interface Route {
  /** The words between the slashes: `["customers", "sub_…"]`. */
  readonly path: readonly string[];
  readonly words: URLSearchParams;
}

function here(): Route {
  const [path = "", words = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(plain), words: new URLSearchParams(words) };
}

/** What somebody typed may be no encoding at all. */
function plain(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = signal<Route>(here());

addEventListener("hashchange", () => {
  route.value = here();
});

/** The address of a screen. */
export function to(path: readonly string[], words: Readonly<Record<string, string>> = {}): string {
  const said = new URLSearchParams(words).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${said ? `?${said}` : ""}`;
}

/** Go there; `instead` leaves no trace of where one was. */
export function go(address: string, instead = false): void {
  if (instead) location.replace(address);
  else location.assign(address);
}
