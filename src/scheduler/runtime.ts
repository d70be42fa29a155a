/**
 * A running scheduler: its loops, and their orderly start and end.
 *
 *   start()   registers, then runs the task loop, the heartbeat, and one loop per event handler
 *   stop()    takes nothing more; waits for handlers; fires their signals; releases the rest; unregisters
 */
import { sleepThrough, systemClock } from "../clock.ts";
import { AzothError } from "../errors.ts";
import type { FailureListener, StoreCore } from "../store/store-core.ts";
import type { Work } from "../store/work.ts";
import type { Delivery } from "../subscriptions/delivery.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { HandlerAdmission } from "./admission.ts";
import { Executor } from "./executor.ts";
import { LoopWatch } from "./loop-watch.ts";
import { beatsPerClaim, Membership } from "./membership.ts";
import type { SchedulerSettings } from "./options.ts";
import { TaskLoop } from "./task-loop.ts";
import { Ticker } from "./ticker.ts";
import { recordRuns } from "./turn.ts";

/** After their signals, handlers get this long to settle before their tasks are released. */
const settleMs = 1_000;
/** The pause of an event handler while a transaction in progress holds back its events: its rollback tells nobody. */
const heldWaitMs = 20;
/** Tries to write the last commit of a shutdown, while the store fails. */
const farewellTries = 5;

export interface RuntimeOptions {
  readonly core: StoreCore;
  readonly settings: SchedulerSettings;
  readonly admission: HandlerAdmission;
  readonly telemetry: Telemetry;
  readonly deliveries: readonly Delivery[];
}

export class Runtime {
  /** Resolves when it has stopped. */
  readonly stopped: Promise<void>;
  readonly #options: RuntimeOptions;
  readonly #membership: Membership;
  readonly #executor: Executor;
  readonly #loop: TaskLoop;
  readonly #taskTicker: Ticker;
  readonly #beatTicker: Ticker;
  /** Looks after the event loop, if anybody is told. */
  readonly #watchTickers: readonly Ticker[];
  readonly #deliveryTickers: readonly Ticker[];
  #stopListening: () => void = () => {};
  #resolveStopped: () => void = () => {};
  #stopping: Promise<void> | undefined;
  /** Aborts when running handlers are to be waited for no longer. */
  readonly #hurry = new AbortController();
  /** Called on each report while stopping. */
  #onSettled: (() => void) | undefined;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    const { core, settings, admission, telemetry, deliveries } = options;
    const { taskTypes } = admission;
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    this.#executor = new Executor({
      core,
      admission,
      telemetry,
      slots: settings.slots,
      gracePeriodMs: settings.gracePeriodMs,
      onReport: () => {
        this.#taskTicker.wake();
        this.#onSettled?.();
      },
    });
    this.#membership = new Membership({
      core,
      telemetry,
      taskTypes,
      name: settings.name,
      claimMs: settings.claimMs,
      maxLostClaims: settings.maxLostClaims,
      onDeclaredDead: () => {
        const reason = new AzothError(
          "CLAIM_LOST",
          "This scheduler was silent for too long, and its claims were taken over.",
        );
        this.#executor.stop(() => reason);
      },
      onTakeover: () => this.#taskTicker.wake(),
    });
    this.#loop = new TaskLoop({
      core,
      telemetry,
      taskTypes,
      executor: this.#executor,
      claimAhead: settings.claimAhead,
      instance: () => this.#membership.instance,
      pollIntervalMs: settings.pollIntervalMs,
      maxLostClaims: settings.maxLostClaims,
      // Which finds that out as well, and registers anew.
      onDeclaredDead: () => this.#beatTicker.wake(),
    });
    this.#taskTicker = this.#ticker("the task loop", () => this.#loop.runOnce());
    this.#beatTicker = this.#ticker("the heartbeat", () => this.#membership.beat());
    this.#watchTickers = this.#watchLoop();
    this.#deliveryTickers = deliveries.map((delivery) => {
      return this.#ticker(`event handler ${delivery.handler.name}`, () => this.#deliver(delivery));
    });
  }

  async start(): Promise<void> {
    await this.#membership.join();
    const { core } = this.#options;
    const stopListening = core.notices.listen(() => {
      this.#taskTicker.wake();
      for (const ticker of this.#deliveryTickers) ticker.wake();
    });
    // On a clock that a test moves nothing is to start before it says so.
    const stopTakingAlong = core.clock.virtual === true ? () => {} : core.queue.onDue(this.#loop.takeAlong);
    const onFailure = (...failure: Parameters<FailureListener>) => this.#failed(...failure);
    core.failureListeners.add(onFailure);
    this.#stopListening = () => {
      core.failureListeners.delete(onFailure);
      stopListening();
      stopTakingAlong();
    };
    for (const ticker of this.#tickers) ticker.start();
  }

  /** Called again, it can only shorten the wait. */
  stop(gracePeriodMs?: number): Promise<void> {
    const { core, settings } = this.#options;
    if (this.#stopping !== undefined && gracePeriodMs !== undefined) {
      void sleepThrough(core.clock, gracePeriodMs, this.#hurry.signal).then(() => this.#hurry.abort());
    }
    this.#stopping ??= this.#shutDown(gracePeriodMs ?? settings.gracePeriodMs).finally(() => {
      this.#hurry.abort();
      this.#resolveStopped();
    });
    return this.#stopping;
  }

  async #shutDown(gracePeriodMs: number): Promise<void> {
    const { settings, telemetry } = this.#options;
    const givenBack = await this.#giveBackClaimed();
    await this.#settled(gracePeriodMs, this.#hurry.signal);
    const reason = new AzothError("SHUTTING_DOWN", "The scheduler is stopping.");
    this.#executor.stop(() => reason);
    await this.#settled(Math.min(settleMs, settings.gracePeriodMs));
    this.#stopListening();
    // No heartbeat after the farewell: it would find this instance gone, and register it anew.
    await Promise.all(this.#tickers.map((ticker) => ticker.stop()));
    const released = await this.#farewell(givenBack);
    telemetry.emit({ name: "scheduler.stopped", instance: this.#membership.instance, released });
  }

  /** At once, and not with the last commit: others can run them while this one waits for its handlers. */
  async #giveBackClaimed(): Promise<number> {
    try {
      return await this.#loop.stopAccepting();
    } catch (error) {
      // They are released with the last commit.
      this.#failed("the shutdown", error, 0);
      return 0;
    }
  }

  /** Resolves when no handler runs any more, at the latest after `ms`. */
  async #settled(ms: number, hurry?: AbortSignal): Promise<void> {
    const { clock } = this.#options.core;
    const settled = new AbortController();
    const early = hurry === undefined ? settled.signal : AbortSignal.any([settled.signal, hurry]);
    this.#onSettled = () => {
      if (this.#executor.running.length === 0) settled.abort();
    };
    this.#onSettled();
    await sleepThrough(clock, ms, early);
    this.#onSettled = undefined;
  }

  /** The last commit: what finished is recorded, what did not is released, and this instance unregisters. */
  async #farewell(givenBack: number): Promise<number> {
    const { core } = this.#options;
    await this.#loop.finishAside();
    const reports = this.#executor.takeReports();
    for (let tried = 1; ; tried++) {
      try {
        return await core.queue.submit({ run: (work) => this.#leave(work, reports, givenBack) });
      } catch (error) {
        // Unrecorded, they would wait until the claim runs out; that is the fallback, not the aim.
        if (tried === farewellTries) throw error;
        this.#failed("the shutdown", error, 100 * tried);
        await core.clock.sleep(100 * tried);
      }
    }
  }

  async #leave(work: Work, reports: Parameters<typeof recordRuns>[1]["reports"], givenBack: number): Promise<number> {
    const { maxLostClaims } = this.#options.settings;
    const { instance } = this.#membership;
    await recordRuns(work, { reports, maxLostClaims });
    await work.flush();
    const locked = await work.engine.lockTasksRunBy(instance, Number.MAX_SAFE_INTEGER);
    const claimed = work.know(locked.tasks);
    for (const state of claimed) {
      if (state.run === null) continue;
      const what = state.phase === "claimed" ? "the handler was called" : "the handler had finished";
      work.dispatch(state, {
        kind: "release",
        run: state.run.number,
        because: "shutdown",
        detail: `The scheduler stopped before ${what}.`,
        maxLostClaims,
      });
    }
    // What another transaction holds just now is taken over when this instance has been silent for its claim time.
    const released = givenBack + claimed.length;
    await this.#membership.leave(work, released, locked.held.length === 0);
    return released;
  }

  async #deliver(delivery: Delivery): Promise<number> {
    const { pollIntervalMs } = this.#options.settings;
    const state = await delivery.deliverOnce();
    if (state.is === "more") return 0;
    if (state.is === "held") return Math.min(heldWaitMs, pollIntervalMs);
    return state.is === "retrying" ? Math.min(state.inMs, pollIntervalMs) : pollIntervalMs;
  }

  get #tickers(): readonly Ticker[] {
    return [this.#taskTicker, this.#beatTicker, ...this.#watchTickers, ...this.#deliveryTickers];
  }

  #watchLoop(): Ticker[] {
    const { core, settings, telemetry } = this.#options;
    // Time that a test moves passes while the event loop stands still.
    if (core.clock.virtual === true || !telemetry.observed) return [];
    const { claimMs } = settings;
    const instance = () => this.#membership.instance;
    const watch = new LoopWatch({ telemetry, instance, claimMs, worthTellingMs: claimMs / beatsPerClaim });
    return [new Ticker({ clock: systemClock, runOnce: async () => watch.look(), onError: () => {} })];
  }

  #ticker(what: string, runOnce: () => Promise<number>): Ticker {
    const { clock } = this.#options.core;
    return new Ticker({ clock, runOnce, onError: (error, retryInMs) => this.#failed(what, error, retryInMs) });
  }

  #failed(what: string, error: unknown, retryInMs: number): void {
    const shown = error instanceof Error ? error : new Error(String(error));
    this.#options.telemetry.emit({ name: "store.failed", what, error: shown, retryInMs });
  }
}
