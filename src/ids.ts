/** Time-ordered generated ids: UUID version 7 (RFC 9562), so that keys enter their index at its end. */
import type { Random } from "./random.ts";

/** Makes ids that sort in the order of their making, also within one millisecond and when the clock goes back. */
export class IdGenerator {
  #lastMs = 0;
  #counter = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  next(nowMs: number): string {
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      this.#counter = 0;
    } else {
      this.#counter++;
      // 12 bits of counter; a thirteenth bit borrows the next millisecond (RFC 9562, section 6.2, method 1).
      if (this.#counter > 0xfff) {
        this.#lastMs++;
        this.#counter = 0;
      }
    }
    const time = this.#lastMs.toString(16).padStart(12, "0");
    const counter = this.#counter.toString(16).padStart(3, "0");
    const high = Math.floor(this.#random() * 0x4000) + 0x8000;
    const low = `${hex24(this.#random())}${hex24(this.#random())}`;
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${high.toString(16)}-${low}`;
  }
}

function hex24(random: number): string {
  return Math.floor(random * 0x1000000)
    .toString(16)
    .padStart(6, "0");
}
