import { useSignal } from "@preact/signals";

/** An act with its state: `run` does it once at a time and keeps what went wrong. */
export function useAct() {
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  async function run(act: () => Promise<void>): Promise<void> {
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      await act();
    } catch (found) {
      error.value = found;
    } finally {
      busy.value = false;
    }
  }
  return { busy, error, run };
}
