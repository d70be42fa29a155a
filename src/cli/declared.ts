/** What a file declares: tasks, and in a configuration file handlers and settings as well. */
import type {
  AnyEventHandler,
  AnyTaskHandler,
  AzothDbOptions,
  ScheduleTaskRequest,
  SchedulerOptions,
} from "../index.ts";

export interface DeclaredTask {
  readonly request: ScheduleTaskRequest & { readonly taskId: string };
  /** It runs once at each start of the daemon, and not by the clock. */
  readonly atStart: boolean;
  /** True if it stays disabled when its attempts are used up; else it goes on with its next occurrence. */
  readonly disableAfterRetries: boolean;
}

/** The options of a Scheduler that a file can set. */
export type DeclaredSettings = Omit<
  SchedulerOptions,
  "handlers" | "eventHandlers" | "logger" | "onSignal" | "gracePeriod" | "claimAhead" | "maxLostClaims"
>;

export interface Declared {
  readonly tasks: readonly DeclaredTask[];
  readonly handlers: readonly AnyTaskHandler[];
  readonly eventHandlers: readonly AnyEventHandler[];
  readonly settings: DeclaredSettings;
  /** How long running tasks are waited for at the first signal; absent if the file does not say. */
  readonly drainTimeMs?: number;
  readonly store: Pick<AzothDbOptions, "durability" | "hashChain" | "payloadCodec">;
  /** Remarks for the person who starts it. */
  readonly notes: readonly string[];
}

/** What is wrong with a file: every complaint, each with its place. */
export class WrongFile extends Error {
  override readonly name = "WrongFile";
  readonly complaints: readonly string[];

  constructor(complaints: readonly string[]) {
    super(complaints.join("\n"));
    this.complaints = complaints;
  }
}
