// What a screen reads, anew whenever a signal changes that the reading looks at before its first `await`.

import { type ReadonlySignal, useSignal, useSignalEffect } from "@preact/signals";

export interface Reading<T> {
  readonly data: ReadonlySignal<T | null>;
  readonly error: ReadonlySignal<unknown>;
  readonly busy: ReadonlySignal<boolean>;
  readonly again: () => void;
}

/** While another question is read the old answer stays in sight. */
export function useReading<T>(read: (stop: AbortSignal) => Promise<T>): Reading<T> {
  const data = useSignal<T | null>(null);
  const error = useSignal<unknown>(null);
  const busy = useSignal(true);
  const tries = useSignal(0);
  useSignalEffect(() => {
    tries.value;
    const stopping = new AbortController();
    busy.value = true;
    const settle = (found: T | null, problem: unknown) => {
      if (stopping.signal.aborted) return;
      data.value = found;
      error.value = problem;
      busy.value = false;
    };
    read(stopping.signal).then(
      (found) => settle(found, null),
      (problem: unknown) => settle(null, problem),
    );
    return () => stopping.abort();
  });
  return { data, error, busy, again: () => (tries.value = tries.peek() + 1) };
}
