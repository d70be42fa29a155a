/** A live reader of the log: first catches up, then follows, also what other processes commit. */
import type { EventQuery } from "./engine.ts";
import { Latch } from "./latch.ts";
import { type RecordedEvent, readLog } from "./log.ts";
import type { StoreCore } from "./store-core.ts";

/** A safety net under the notices: no sleep is longer. */
const longestWaitMs = 5_000;
/** The sleep while a transaction in progress holds back what is committed behind it: its rollback tells nobody. */
const heldWaitMs = 20;

/** Ends when `signal` aborts. */
export async function* followLog(
  core: StoreCore,
  query: EventQuery,
  signal: AbortSignal | undefined,
): AsyncGenerator<RecordedEvent, void> {
  const latch = new Latch(core.clock);
  const stopListening = core.notices.listen(() => latch.wake());
  let { afterPosition } = query;
  let held = false;
  try {
    while (!isAborted(signal)) {
      const page = readLog(core, { ...query, afterPosition });
      for (;;) {
        const next = await page.next();
        if (next.done === true) {
          ({ position: afterPosition, held } = next.value);
          break;
        }
        yield next.value;
        if (isAborted(signal)) return;
      }
      await latch.wait(held ? heldWaitMs : longestWaitMs, signal);
    }
  } finally {
    stopListening();
  }
}

/** A function, because a signal changes while the loop waits. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
