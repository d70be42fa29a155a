/** An end that many wait for beside their own work. */
export class Ending {
  readonly #waiting = new Set<(reason: Error) => void>();
  #reason: Error | undefined;

  /** Settles as the promise does, unless the end comes first or has come: then it rejects with the end's reason. */
  orEnd<T>(promise: Promise<T>): Promise<T> {
    // Not Promise.race: an end that is long in coming would keep a part of every promise that it was raced with.
    return new Promise<T>((resolve, reject) => {
      if (this.#reason !== undefined) {
        promise.catch(() => {});
        reject(this.#reason);
        return;
      }
      this.#waiting.add(reject);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  end(reason: Error): void {
    this.#reason ??= reason;
    for (const reject of this.#waiting) reject(reason);
    this.#waiting.clear();
  }
}
