/**
 * This scheduler's place among the others: it registers, shows that it lives, and takes over from the silent.
 *
 * A claim belongs to an instance and lasts as long as its heartbeats. Heartbeats are coordination and stay out
 * of the log; what follows from a missing one is an event.
 */
import type { Instance } from "../store/engine.ts";
import type { StoreCore } from "../store/store-core.ts";
import { systemEvent } from "../store/system-events.ts";
import type { Work } from "../store/work.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** Tasks that one commit takes over from a lost instance. */
const takeoverBatch = 500;

/** The pause before the rest of a takeover: other transactions may hold some of its tasks. */
const takeoverPauseMs = 10;

/** A difference between clocks that an operator should know of, and every change of it by as much. */
const worthTellingMs = 1_000;

/** Heartbeats per claim time: two may be missed. */
export const beatsPerClaim = 3;

export interface MembershipOptions {
  readonly core: StoreCore;
  readonly telemetry: Telemetry;
  readonly name: string;
  readonly taskTypes: readonly string[];
  readonly claimMs: number;
  readonly maxLostClaims: number;
  /** Called when another instance took this one for dead: the claims it had are gone. */
  readonly onDeclaredDead: () => void;
  /** Called when tasks were taken over, which are due now. */
  readonly onTakeover: () => void;
}

interface Takeover {
  readonly instance: Instance;
  readonly tasks: number;
  readonly silentMs: number;
  readonly complete: boolean;
}

export class Membership {
  readonly #options: MembershipOptions;
  #instance = 0;
  #lastBeatMs = Number.NaN;
  /** The correction of the clock that was last told of. */
  #toldOffsetMs = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** The number of this instance; 0 before `join`. */
  get instance(): number {
    return this.#instance;
  }

  /** Registers, and records that this scheduler has started. */
  async join(): Promise<void> {
    const { core, telemetry, name } = this.#options;
    this.#instance = await core.queue.submit({ run: (work) => this.#register(work) });
    this.#lastBeatMs = core.clock.now();
    telemetry.emit({ name: "scheduler.started", instance: this.#instance, instanceName: name });
    this.#tellOfClock();
  }

  /** One heartbeat and a look at the others; returns the milliseconds until the next. */
  async beat(): Promise<number> {
    const { core, claimMs } = this.#options;
    const intervalMs = Math.ceil(claimMs / beatsPerClaim);
    const { nowMs, declaredDead, takeovers } = await core.queue.submit({
      run: async (work) => {
        // The instant of the write, not of the wish: the write lock may have been waited for.
        const { nowMs } = work.context;
        if (!(await work.engine.heartbeat(this.#instance, nowMs))) {
          return { nowMs, declaredDead: await this.#register(work), takeovers: [] };
        }
        // Whoever was silent itself (it slept, its clock was set, or a long transaction kept everybody from
        // writing) judges nobody before the others had time for a beat.
        const silentMs = nowMs - this.#lastBeatMs;
        const sound = silentMs >= 0 && silentMs <= claimMs;
        return { nowMs, declaredDead: null, takeovers: sound ? await this.#takeOver(work) : [] };
      },
    });
    this.#lastBeatMs = nowMs;
    this.#tellOfClock();
    if (declaredDead !== null) this.#rejoin(declaredDead);
    this.#announce(takeovers);
    if (takeovers.some(({ complete }) => !complete)) return takeoverPauseMs;
    return Math.min(intervalMs, await this.#msUntilSilence());
  }

  /** When the first claim of an instance will have run out, unless it shows that it lives. */
  async #msUntilSilence(): Promise<number> {
    const { core } = this.#options;
    const nowMs = core.clock.now();
    // Its own claim is no exception: it has just been renewed, and lasts for several beats.
    const instances = await core.engine.reads.listInstances();
    const left = instances.map(({ heartbeatAtMs, claimMs }) => heartbeatAtMs + claimMs + 1 - nowMs);
    // Whose time is up already, and who was spared this time, is looked at with the next beat.
    return Math.min(...left.filter((ms) => ms > 0));
  }

  /** Records the end and unregisters, as the last part of a shutdown. */
  async leave(work: Work, released: number, holdsNothing: boolean): Promise<void> {
    work.append(systemEvent("SchedulerStopped", { instance: this.#instance, released }));
    if (holdsNothing) await work.engine.removeInstance(this.#instance);
  }

  #tellOfClock(): void {
    const { core, telemetry } = this.#options;
    if (core.clock.virtual === true) return;
    const offsetMs = core.engine.clockOffsetMs();
    if (Math.abs(offsetMs - this.#toldOffsetMs) < worthTellingMs) return;
    this.#toldOffsetMs = offsetMs;
    telemetry.emit({ name: "scheduler.clock-differs", instance: this.#instance, offsetMs });
  }

  async #register(work: Work): Promise<number> {
    const { name, claimMs, taskTypes } = this.#options;
    const instance = await work.engine.addInstance({ name, nowMs: work.context.nowMs, claimMs });
    const { tzdata } = work.context;
    work.append(systemEvent("SchedulerStarted", { instance, name, taskTypes, claimMs, tzdata }));
    return instance;
  }

  #rejoin(instance: number): void {
    const { telemetry, onDeclaredDead } = this.#options;
    this.#instance = instance;
    onDeclaredDead();
    telemetry.emit({ name: "scheduler.declared-dead", instance });
  }

  async #takeOver(work: Work): Promise<Takeover[]> {
    const { nowMs } = work.context;
    const silent = await work.engine.lockSilentInstances(nowMs);
    const takeovers: Takeover[] = [];
    // This instance is not among them: its heartbeat is of this moment.
    for (const instance of silent) takeovers.push(await this.#takeOverFrom(work, instance, nowMs));
    return takeovers;
  }

  async #takeOverFrom(work: Work, instance: Instance, nowMs: number): Promise<Takeover> {
    const { maxLostClaims } = this.#options;
    const silentMs = nowMs - instance.heartbeatAtMs;
    await work.flush();
    const locked = await work.engine.lockTasksRunBy(instance.id, takeoverBatch);
    const claimed = work.know(locked.tasks);
    const detail = `Instance ${instance.id} (${instance.name}) was last heard at ${new Date(instance.heartbeatAtMs).toISOString()}; its claims last ${instance.claimMs} ms. Taken over by instance ${this.#instance}.`;
    for (const state of claimed) {
      if (state.run === null) continue;
      const run = state.run.number;
      work.dispatch(state, { kind: "release", run, because: "claim-lost", detail, maxLostClaims });
    }
    const complete = claimed.length < takeoverBatch && locked.held.length === 0;
    if (complete) {
      work.append(
        systemEvent("SchedulerLost", {
          instance: instance.id,
          lastHeardMs: instance.heartbeatAtMs,
          by: this.#instance,
        }),
      );
      await work.engine.removeInstance(instance.id);
    }
    return { instance, tasks: claimed.length, silentMs, complete };
  }

  #announce(takeovers: readonly Takeover[]): void {
    const { telemetry, onTakeover } = this.#options;
    for (const { instance, tasks, silentMs } of takeovers) {
      telemetry.emit({ name: "scheduler.lost", instance: instance.id, instanceName: instance.name, silentMs, tasks });
    }
    if (takeovers.some(({ tasks }) => tasks > 0)) onTakeover();
  }
}
