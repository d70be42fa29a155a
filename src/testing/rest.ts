/** Tells when everything that was set off has come to rest, so that time may pass again. */
import { systemClock, yieldToEventLoop } from "../clock.ts";
import { AzothError } from "../errors.ts";
import type { ManualClock } from "./manual-clock.ts";
import type { SharedStore } from "./shared-store.ts";
import type { WorkInProgress } from "./work-in-progress.ts";

/** Rounds of the event loop without any activity that count as rest: a loop between two steps shows none in one round. */
const quietRounds = 3;

export interface Stage {
  readonly clock: ManualClock;
  readonly store: SharedStore;
  readonly work: WorkInProgress;
  /** How long work that does nothing is waited for, in real milliseconds. */
  readonly patienceMs: number;
  /** More rounds with activity than these are a loop that feeds on itself. */
  readonly maxRounds: number;
}

/** @throws AzothError TEST_UNSETTLED */
export async function comeToRest({ clock, store, work, patienceMs, maxRounds }: Stage): Promise<void> {
  const activity = () => clock.activity + store.activity + work.activity;
  let seen = activity();
  let rounds = 0;
  for (let quiet = 0; ; quiet++) {
    await yieldToEventLoop();
    const now = activity();
    if (now !== seen) {
      seen = now;
      quiet = -1;
      if (++rounds > maxRounds) throw unsettled(clock, maxRounds);
    } else if (quiet === quietRounds - 1) {
      // Not a matter of rounds: a database, file or socket answers when it answers.
      if (store.isAsked) await store.nextAnswer();
      else if (!work.isWorthWaiting(systemClock.now(), patienceMs)) return;
      quiet = -1;
    }
  }
}

function unsettled(clock: ManualClock, maxRounds: number): AzothError {
  const at = new Date(clock.now()).toISOString();
  const message = `Nothing came to rest at ${at} within ${maxRounds} rounds of the event loop. Look for a handler that makes its task due again at once, or an event handler that feeds on its own events; or raise maxRounds.`;
  return new AzothError("TEST_UNSETTLED", message);
}
