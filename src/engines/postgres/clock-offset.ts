/** How far this machine's clock is from the database's, measured along with what is asked of it anyway. */
import type { Clock } from "../../clock.ts";
import type { Session } from "./session.ts";

/** Differences smaller than this, beside the time that the answer took, are not corrected. */
const toleranceMs = 2;
/** A measurement is good for this long. */
const freshMs = 1_000;

/** The database's instant, in epoch milliseconds. */
export const databaseNow = "extract(epoch FROM clock_timestamp())::float8 * 1000";

export class ClockOffset {
  readonly #clock: Clock;
  #offsetMs = 0;
  #measuredAtMs = Number.NEGATIVE_INFINITY;

  /** @param clock this machine's, uncorrected */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What to add to this machine's clock. */
  get ms(): number {
    return this.#offsetMs;
  }

  /** True if it was measured just now, by this machine's clock. */
  get isFresh(): boolean {
    return Math.abs(this.#clock.now() - this.#measuredAtMs) < freshMs;
  }

  /** Measures, unless that was done just now. */
  async refresh(session: Session): Promise<void> {
    if (this.isFresh) return;
    await this.measure(
      () => session.rows(`SELECT ${databaseNow}`),
      ([row]) => row?.[0] as number,
    );
  }

  /**
   * Asks, and returns the answer.
   * @param ask sends the question, and not before it is called: on a busy machine the answer may be there a moment later
   * @param instantOf the database's instant in the answer
   */
  async measure<Answer>(ask: () => Promise<Answer>, instantOf: (answer: Answer) => number): Promise<Answer> {
    const askedAtMs = this.#clock.now();
    const answer = await ask();
    this.#correct(askedAtMs, instantOf(answer), this.#clock.now());
    return answer;
  }

  #correct(askedAtMs: number, databaseMs: number, answeredAtMs: number): void {
    // The clock was set while the question was under way: ask again another time.
    if (answeredAtMs < askedAtMs) return;
    this.#measuredAtMs = answeredAtMs;
    const doubtMs = (answeredAtMs - askedAtMs) / 2 + toleranceMs;
    const offsetMs = databaseMs - (askedAtMs + answeredAtMs) / 2;
    // Within the doubt, the present correction is as good as the new one, and time goes on evenly.
    if (Math.abs(offsetMs - this.#offsetMs) > doubtMs) this.#offsetMs = Math.round(offsetMs);
  }
}
