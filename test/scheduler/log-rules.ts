/** What must hold in every log, as the simulation's checker says it. */
import type { RecordedEvent } from "azoth-scheduler";
import { expect } from "vitest";
import { LogChecker } from "../../simulation/check-log.ts";
import { engineUnderTest } from "../engine-under-test.ts";

/** Fails if a log, from its beginning, shows anything that must not be. */
export function checkLog(log: readonly RecordedEvent[]): void {
  // With many writers, what was drawn by a transaction that rolled back stays a hole.
  const positions = engineUnderTest === "sqlite" ? "none" : "holes";
  expect(new LogChecker({ positions, maxLostClaims: 10 }).readAll(log).violations).toEqual([]);
}
