/**
 * A kit for tests of tasks: the real scheduler on a real store, in a time that the test makes pass.
 *
 * @example
 * import { createTestScheduler } from "azoth-scheduler/testing";
 *
 * await using kit = await createTestScheduler({ handlers: [report] });
 * await kit.scheduler.scheduleTask({ taskType: "generate_report", schedule: interval("1h") });
 * await kit.advance("3d");
 */

export { type Random, seededRandom } from "../random.ts";
export { ManualClock } from "./manual-clock.ts";
export { TestInstance } from "./test-instance.ts";
export type { TestSchedulerOptions } from "./test-options.ts";
export { createTestScheduler, TestScheduler } from "./test-scheduler.ts";
