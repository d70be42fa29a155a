/** AbortSignals as users pass them in: checked at the door, because what is no signal would fail only later and elsewhere. */
import { AzothError, quote } from "./errors.ts";
import { readSafely } from "./names.ts";

/** Returns the signal if it is one, or undefined. @throws AzothError INVALID_OPTION */
export function parseSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  const listens = readSafely("signal", "INVALID_OPTION", () => typeof signal?.addEventListener === "function");
  if (listens) return signal;
  throw new AzothError("INVALID_OPTION", `signal must be an AbortSignal, and is ${quote(signal)}.`);
}
