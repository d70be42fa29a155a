/** Who hears of the process's signals: the command line, which ends by them; or the command that has taken them over. */

export type SignalName = "SIGINT" | "SIGTERM" | "SIGHUP";
export type SignalTaker = (name: SignalName) => void;

let taker: SignalTaker | undefined;

/** Tells each signal to whoever has taken them over, else to `otherwise`. */
export function hearSignals(names: readonly SignalName[], otherwise: SignalTaker): void {
  for (const name of names) process.on(name, () => (taker ?? otherwise)(name));
}

/** Takes the signals over, SIGHUP as well, until the returned function is called. */
export function takeSignals(listener: SignalTaker): () => void {
  const hangUp = () => listener("SIGHUP");
  taker = listener;
  process.on("SIGHUP", hangUp);
  return () => {
    taker = undefined;
    process.off("SIGHUP", hangUp);
  };
}
