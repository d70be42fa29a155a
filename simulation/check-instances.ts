/** What must hold of the schedulers that a log tells of: claims are of those that live, and are taken over from the silent. */
import type { RecordedEvent, SystemEventData } from "azoth-scheduler";

interface Instance {
  readonly claimMs: number;
  is: "living" | "stopped" | "lost";
}

export class InstanceChecker {
  readonly #instances = new Map<number, Instance>();

  lives(number: number): boolean {
    return this.#instances.get(number)?.is === "living";
  }

  /** @param runsOf the executions whose claims an instance holds */
  follow(event: RecordedEvent, runsOf: (instance: number) => readonly string[], say: (what: string) => void): void {
    const { eventType, recordedAt } = event;
    const { instance: number = 0 } = event.payload as { readonly instance?: number };
    const known = this.#instances.get(number);
    switch (eventType) {
      case "SchedulerStarted": {
        const { claimMs } = event.payload as SystemEventData["SchedulerStarted"];
        if (known !== undefined) say(`instance ${number} has started before`);
        this.#instances.set(number, { claimMs, is: "living" });
        return;
      }
      case "SchedulerStopped":
        if (known !== undefined) known.is = "stopped";
        return;
      case "SchedulerLost": {
        if (known === undefined || known.is === "lost") return say(`instance ${number} is not there`);
        const { lastHeardMs } = event.payload as SystemEventData["SchedulerLost"];
        // Or it was heard in what is the future, since clocks were set back.
        const silentMs = Math.abs(recordedAt.getTime() - lastHeardMs);
        if (silentMs <= known.claimMs) say(`instance ${number} was silent for no more than ${silentMs} ms`);
        for (const run of runsOf(number)) say(`instance ${number} still has run ${run}`);
        known.is = "lost";
        return;
      }
      default:
    }
  }
}
