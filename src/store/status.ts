/** Where a store stands, for those who look after it. */
import type { StoreCore } from "./store-core.ts";

/** One scheduler that is at work on a store, or was when it was last heard of. */
export interface SchedulerInstance {
  readonly instance: number;
  /** Host name and process id, unless its options name it. */
  readonly name: string;
  /** Its last sign of life. */
  readonly lastHeardAt: Date;
  /** Silent for longer than this, what it runs is taken over. */
  readonly claimMs: number;
  /** True if it is silent for longer, and nobody has taken over yet. */
  readonly silent: boolean;
}

/** What `AzothDb.status` tells. */
export interface StoreStatus {
  readonly engine: "sqlite" | "postgres";
  /** Never with a password. */
  readonly location: string;
  readonly schemaVersion: number;
  /** What the database takes on the disk. */
  readonly bytes: number;
  readonly lastPosition: number;
  /** What is added to this machine's clock, so that all nodes agree; 0 on SQLite. */
  readonly clockOffsetMs: number;
  /** True for a copy that `copyLog` has not finished. */
  readonly unfinished: boolean;
  readonly instances: readonly SchedulerInstance[];
}

export async function readStatus({ engine, clock }: StoreCore): Promise<StoreStatus> {
  const { reads } = engine;
  const [shape, lastPosition, { unfinished }, instances] = await Promise.all([
    reads.describe(),
    reads.lastPosition(),
    reads.counters(),
    reads.listInstances(),
  ]);
  const nowMs = clock.now();
  return {
    engine: engine.kind,
    location: engine.location,
    ...shape,
    lastPosition,
    clockOffsetMs: engine.clockOffsetMs(),
    unfinished,
    instances: instances.map(({ id, name, heartbeatAtMs, claimMs }) => ({
      instance: id,
      name,
      lastHeardAt: new Date(heartbeatAtMs),
      claimMs,
      silent: Math.abs(nowMs - heartbeatAtMs) > claimMs,
    })),
  };
}
