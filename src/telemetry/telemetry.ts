/** The one instrumentation call. */
import { type Logger, logSignal, silentLogger } from "./logger.ts";
import type { Signal, SignalListener } from "./signals.ts";

export class Telemetry {
  readonly logger: Logger;
  readonly #listener: SignalListener | undefined;

  constructor(logger: Logger = silentLogger, listener?: SignalListener) {
    this.logger = logger;
    this.#listener = listener;
  }

  /** True if anybody looks: spares building signals that nobody sees on the hot path. */
  get observed(): boolean {
    return this.#listener !== undefined || this.logger !== silentLogger;
  }

  emit(signal: Signal): void {
    try {
      this.#listener?.(signal);
      if (this.logger !== silentLogger) logSignal(this.logger, signal);
    } catch {
      // A listener's fault is its own: observing must not change what is observed.
    }
  }
}
