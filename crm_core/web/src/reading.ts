// Reads that an open screen repeats: at once when what may be seen has changed. What cannot be read again, or not
// quickly, is taken away: nothing stays in sight on the strength of an old answer.

import { effect, type ReadonlySignal, type Signal, useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Problem } from "../ui/http";
import { lost, retry, turn } from "./live";

/** How long an answer from before a change may stay in sight, in ms; the change itself is heard of in a fraction of it. */
const GRACE = 500;

export interface Reading<T> {
  readonly data: ReadonlySignal<T | null>;
  readonly error: ReadonlySignal<unknown>;
  readonly busy: ReadonlySignal<boolean>;
  readonly again: () => void;
}

interface Places<T> {
  readonly data: Signal<T | null>;
  readonly error: Signal<unknown>;
  readonly busy: Signal<boolean>;
}

/**
 * Read with `read`, and anew whenever a signal that it reads before its first `await` changes, or the live turn does.
 * While another question is read the old answer stays in sight; one that holds values of customers only for a moment
 * after a change.
 */
export function useReading<T>(read: (stop: AbortSignal) => Promise<T>, holds: "values" | "none" = "none"): Reading<T> {
  const to: Places<T> = { data: useSignal<T | null>(null), error: useSignal<unknown>(null), busy: useSignal(true) };
  const tries = useSignal(0);
  const heard = useRef(turn.peek());
  const grace = useRef<ReturnType<typeof setTimeout>>(undefined);
  const look = useRef<() => () => void>(() => () => {});
  look.current = () => {
    tries.value;
    if (holds === "values" && lost.value) {
      clearTimeout(grace.current);
      grace.current = undefined;
      to.data.value = null;
      to.error.value = new Problem(0, "not_live", "");
      to.busy.value = false;
      return () => {};
    }
    if (turn.value !== heard.current) {
      heard.current = turn.value;
      if (holds === "values") grace.current ??= setTimeout(() => (to.data.value = null), GRACE);
    }
    const stopping = new AbortController();
    void settle(read(stopping.signal), stopping.signal, to).then((settled) => {
      if (!settled) return;
      clearTimeout(grace.current);
      grace.current = undefined;
    });
    return () => stopping.abort();
  };
  const reading = useRef<() => void>(undefined);
  reading.current ??= effect(() => look.current()); // asks at once, and not when the screen stands
  useLayoutEffect(() => () => reading.current?.(), []);
  const again = () => {
    if (lost.peek()) retry();
    tries.value = tries.peek() + 1;
  };
  return { ...to, again };
}

/** Puts an answer in its place; false when another question was asked meanwhile. */
async function settle<T>(reading: Promise<T>, stop: AbortSignal, to: Places<T>): Promise<boolean> {
  to.busy.value = true;
  const [found, problem] = await reading.then(
    (answer): [T | null, unknown] => [answer, null],
    (error: unknown): [T | null, unknown] => [null, error],
  );
  if (stop.aborted) return false;
  to.data.value = found;
  to.error.value = problem;
  to.busy.value = false;
  return true;
}
