/** The end of what a program writes: the last bytes are kept, and how many were dropped before them is counted. */

export class OutputTail {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #kept = 0;
  #total = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#kept += chunk.length;
    this.#total += chunk.length;
    // Only now and then: a program may write a million small pieces.
    if (this.#kept > 2 * this.#limit + 65_536) this.#trim();
  }

  /** The tail as text; it begins with a whole character. */
  get text(): string {
    return this.#trim().toString("utf8");
  }

  /** How many bytes there were before it. */
  get cutBytes(): number {
    return this.#total - this.#trim().length;
  }

  #trim(): Buffer {
    const all = Buffer.concat(this.#chunks);
    let from = Math.max(0, all.length - this.#limit);
    // Not in the middle of a character of UTF-8, which has at most three bytes that continue it.
    const furthest = from === 0 ? 0 : Math.min(all.length, from + 3);
    while (from < furthest && ((all[from] ?? 0) & 0xc0) === 0x80) from++;
    const tail = all.subarray(from);
    this.#chunks = [tail];
    this.#kept = tail.length;
    return tail;
  }
}
