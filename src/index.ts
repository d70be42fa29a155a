/** Everything public, name by name. */

export { type AesGcmKey, type AesGcmOptions, aesGcm } from "./aes-gcm.ts";
export { type Clock, systemClock } from "./clock.ts";
export type { Duration } from "./duration.ts";
export { AzothError, type ErrorCode, errorCatalogue, isAzothError } from "./errors.ts";
export { type PayloadCodec, Sealed } from "./payload-codec.ts";
export { cron } from "./schedule/cron.ts";
export { immediate } from "./schedule/immediate.ts";
export type { Instant } from "./schedule/instant.ts";
export { interval } from "./schedule/interval.ts";
export { nextOccurrences, type UpcomingOccurrence, upcomingOccurrences } from "./schedule/next-occurrences.ts";
export { oneTime } from "./schedule/one-time.ts";
export type {
  CronSchedule,
  ImmediateSchedule,
  IntervalSchedule,
  OneTimeSchedule,
  Schedule,
} from "./schedule/schedule.ts";
export type { Execution, ExecutionOutcome, HistoryOptions, HistoryPage } from "./scheduler/history.ts";
export type { SchedulerOptions } from "./scheduler/options.ts";
export { fail, retryAfter, snooze, TaskOutcome } from "./scheduler/outcomes.ts";
export { Scheduler, type TaskCounts } from "./scheduler/scheduler.ts";
export type { TaskFilter, TaskPage } from "./scheduler/task-filter.ts";
export {
  type AnyTaskHandler,
  type HandlerResult,
  type PayloadOf,
  type RequestFor,
  type TaskContext,
  type TaskHandler,
  type TaskTransaction,
  taskHandler,
} from "./scheduler/task-handler.ts";
export { AzothDb, type AzothDbOptions } from "./store/azoth-db.ts";
export type { ChainHead } from "./store/chain.ts";
export { copyLog } from "./store/copy-log.ts";
export type { CopiedLog, CopyOptions, CopyProgress } from "./store/copying.ts";
export type { PostgresClient, SqlRow, SqlValue } from "./store/engine.ts";
export type { JoinedTransaction } from "./store/joined-transaction.ts";
export type { LifecyclePayloads as LifecycleData, LogFilter, LogQuery, RecordedEvent } from "./store/log.ts";
export type { ReplayOptions, ReplayProgress } from "./store/replay.ts";
export type { SchedulerInstance, StoreStatus } from "./store/status.ts";
export type { SystemEventData } from "./store/system-events.ts";
export type { TaskExecution, TaskInfo } from "./store/task-info.ts";
export type { ScheduledTask } from "./store/task-verbs.ts";
export type { Transaction } from "./store/transaction.ts";
export type { Difference, Verification, VerifyOptions } from "./store/verify.ts";
export type { ErrorStrategy, FinalStrategy } from "./subscriptions/error-strategy.ts";
export {
  type AnyEventHandler,
  type EventHandler,
  type EventHandlerDefinition,
  eventHandler,
} from "./subscriptions/event-handler.ts";
export type { DeadLetter, EventHandlerStatus, EventHandlers } from "./subscriptions/event-handlers.ts";
export type { Failure, PlannedOccurrence } from "./tasks/events.ts";
export type { ScheduleTaskRequest } from "./tasks/request.ts";
export type { RetryOptions, RetryPolicy } from "./tasks/retry-policy.ts";
export type { TaskEvent } from "./tasks/task-event.ts";
export type { TaskStateName } from "./tasks/task-state.ts";
export type { Logger } from "./telemetry/logger.ts";
export type { Signal, SignalListener, SignalName, Signals } from "./telemetry/signals.ts";
