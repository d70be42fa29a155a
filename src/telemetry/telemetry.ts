/** The one instrumentation call. */
import { type Logger, logSignal, silentLogger } from "./logger.ts";
import type { Signal, SignalListener } from "./signals.ts";

const sealedMessage = "(sealed)";

export class Telemetry {
  readonly logger: Logger;
  readonly #listener: SignalListener | undefined;
  readonly #secret: boolean;

  /** @param secret whether the words of a failure are kept back: they are sealed in the log, and may repeat a payload */
  constructor(logger: Logger = silentLogger, listener?: SignalListener, secret = false) {
    this.logger = logger;
    this.#listener = listener;
    this.#secret = secret;
  }

  /** True if anybody looks: spares building signals that nobody sees on the hot path. */
  get observed(): boolean {
    return this.#listener !== undefined || this.logger !== silentLogger;
  }

  emit(given: Signal): void {
    const signal = this.#secret && "message" in given ? { ...given, message: sealedMessage } : given;
    try {
      this.#listener?.(signal);
      if (this.logger !== silentLogger) logSignal(this.logger, signal);
    } catch {
      // A listener's fault is its own: observing must not change what is observed.
    }
  }
}
