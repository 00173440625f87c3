// Who is signed in: the same for every page of staff. What a page needs besides, it fetches when somebody enters.

import { signal } from "@preact/signals";
import { call, keepCsrf, type Problem, whenSignedOut } from "./http";

export interface Session {
  readonly csrf: string;
  readonly role: string;
  readonly name: string;
  readonly account: string;
}

/** Undefined until the server has said whether anybody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
/** Somebody was signed in, and the session ended by itself. */
export const ended = signal(false);
/** Why it is not known who is signed in. */
export const trouble = signal<unknown>(null);

let entering: (who: Session) => Promise<void> = async () => {};
let leaving: () => void = () => {};

/** What else is fetched before a page opens to somebody, and what is put away when they leave. */
export function page(enter: (who: Session) => Promise<void>, leave: () => void): void {
  entering = enter;
  leaving = leave;
}

/** Ask the server who is signed in. */
export async function open(): Promise<void> {
  trouble.value = null;
  try {
    await enter(await call("GET", "/staff/session", undefined, { quiet: true }));
  } catch (error) {
    if ((error as Problem).status === 401) leave();
    else trouble.value = error;
  }
}

/** Sign in. Throws `Problem`. */
export async function signIn(account: string, password: string): Promise<void> {
  await enter(await call("POST", "/staff/sessions", { account, password, cookie: true }, { quiet: true }));
}

/** Sign out here, and on the server. */
export async function signOut(): Promise<void> {
  try {
    await call("DELETE", "/staff/sessions/current", undefined, { quiet: true });
  } finally {
    leave();
    sessionStorage.clear();
  }
}

async function enter(who: Session): Promise<void> {
  keepCsrf(who.csrf);
  await entering(who);
  ended.value = false;
  session.value = who;
}

function leave(): void {
  keepCsrf(null);
  session.value = null;
  leaving();
}

whenSignedOut(() => {
  if (session.value) ended.value = true; // several answers may say so, one after the other
  leave();
});
