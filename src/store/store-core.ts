/** What the store's own parts and the scheduler share; users see AzothDb instead. */
import type { Clock } from "../clock.ts";
import type { PayloadRules } from "../codec.ts";
import { IdGenerator } from "../ids.ts";
import type { Random } from "../random.ts";
import type { PayloadCodec } from "../payload-codec.ts";
import { type Admission, builtInDefaults, resolveRequest } from "../tasks/request.ts";
import type { Engine } from "./engine.ts";
import { Notices } from "./notices.ts";
import { Sealing } from "./sealing.ts";
import { WriteQueue } from "./write-queue.ts";

export interface StoreOptions {
  readonly maxPayloadBytes: number;
  readonly transactionTimeoutMs: number;
  readonly eventLoopBudgetMs: number;
  readonly noticeIntervalMs: number;
  readonly busyTimeoutMs: number;
  readonly maxQueuedBytes: number;
  /** Absent if payloads are stored as they are. */
  readonly payloadCodec?: PayloadCodec;
}

/** Told of work that nobody waits for, and that failed. */
export type FailureListener = (what: string, error: unknown, retryInMs: number) => void;

export class StoreCore {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  readonly options: StoreOptions;
  readonly sealing: Sealing;
  readonly payloads: PayloadRules;
  readonly ids: IdGenerator;
  readonly queue: WriteQueue;
  readonly notices: Notices;
  /** Who tells of what the store does in the background: the schedulers that run on it. */
  readonly failureListeners = new Set<FailureListener>();
  /** The door of transactions that belong to no scheduler: it checks everything but the payload's meaning. */
  admission: Admission;

  constructor(engine: Engine, clock: Clock, random: Random, options: StoreOptions) {
    this.engine = engine;
    this.clock = clock.virtual === true ? clock : sharedClock(engine, clock);
    this.random = random;
    this.options = options;
    this.sealing = new Sealing(options.payloadCodec);
    this.payloads = { maxBytes: options.maxPayloadBytes, secret: this.sealing.isOn };
    this.ids = new IdGenerator(random);
    this.notices = new Notices(engine, this.clock, options.noticeIntervalMs);
    this.queue = new WriteQueue({
      engine,
      clock: this.clock,
      random,
      sealing: this.sealing,
      busyTimeoutMs: options.busyTimeoutMs,
      eventLoopBudgetMs: options.eventLoopBudgetMs,
      maxQueuedBytes: options.maxQueuedBytes,
      onCommit: () => this.notices.announce(),
    });
    this.admission = {
      admit: (request) => resolveRequest(request, { defaultsOf: () => builtInDefaults, payloads: this.payloads }),
    };
  }
}

/** The clock that all nodes of one store agree on. */
function sharedClock(engine: Engine, clock: Clock): Clock {
  return {
    now: () => clock.now() + engine.clockOffsetMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
}
