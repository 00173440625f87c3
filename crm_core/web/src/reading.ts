// Reads that an open screen repeats: at once when what may be seen has changed. A value that cannot be read again is
// taken away, so that nothing stays in sight on the strength of an old answer.

import { type ReadonlySignal, type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { turn } from "./live";

export interface Reading<T> {
  readonly data: ReadonlySignal<T | null>;
  readonly error: ReadonlySignal<unknown>;
  readonly busy: ReadonlySignal<boolean>;
  readonly again: () => void;
}

/**
 * Read with `read`, and anew whenever a signal that it reads before its first `await` changes, or the live turn does.
 * While another question is read the old answer stays in sight; `keep: false` takes it away.
 */
export function useReading<T>(read: (stop: AbortSignal) => Promise<T>, keep = true): Reading<T> {
  const data = useSignal<T | null>(null);
  const error = useSignal<unknown>(null);
  const busy = useSignal(true);
  const tries = useSignal(0);
  useSignalEffect(() => {
    turn.value;
    tries.value;
    const stopping = new AbortController();
    settle(read(stopping.signal), stopping.signal, { data, error, busy }, keep);
    return () => stopping.abort();
  });
  return { data, error, busy, again: () => (tries.value = tries.peek() + 1) };
}

interface Places<T> {
  readonly data: Signal<T | null>;
  readonly error: Signal<unknown>;
  readonly busy: Signal<boolean>;
}

async function settle<T>(reading: Promise<T>, stop: AbortSignal, to: Places<T>, keep: boolean): Promise<void> {
  to.busy.value = true;
  if (!keep) to.data.value = null;
  try {
    const found = await reading;
    if (stop.aborted) return;
    to.data.value = found;
    to.error.value = null;
    to.busy.value = false;
  } catch (problem) {
    if (stop.aborted) return;
    to.data.value = null;
    to.error.value = problem;
    to.busy.value = false;
  }
}
