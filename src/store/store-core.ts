/** What the store's own parts and the scheduler share; users see AzothDb instead. */
import type { Clock } from "../clock.ts";
import { IdGenerator } from "../ids.ts";
import type { Random } from "../random.ts";
import { type Admission, builtInDefaults, resolveRequest } from "../tasks/request.ts";
import type { Engine } from "./engine.ts";
import { Notices } from "./notices.ts";
import { WriteQueue } from "./write-queue.ts";

export interface StoreOptions {
  readonly maxPayloadBytes: number;
  readonly transactionTimeoutMs: number;
  readonly noticeIntervalMs: number;
}

export class StoreCore {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  readonly options: StoreOptions;
  readonly ids: IdGenerator;
  readonly queue: WriteQueue;
  readonly notices: Notices;
  /** The door of transactions that belong to no scheduler: it checks everything but the payload's meaning. */
  admission: Admission;

  constructor(engine: Engine, clock: Clock, random: Random, options: StoreOptions) {
    this.engine = engine;
    this.clock = clock;
    this.random = random;
    this.options = options;
    this.ids = new IdGenerator(random);
    this.notices = new Notices(engine, clock, options.noticeIntervalMs);
    this.queue = new WriteQueue({ engine, clock, random, onCommit: () => this.notices.announce() });
    this.admission = {
      admit: async (request) => {
        return resolveRequest(request, { defaultsOf: () => builtInDefaults, maxPayloadBytes: options.maxPayloadBytes });
      },
    };
  }
}
