/** What is mutated, and the tests that have to notice: in parts, because a mutant costs as much as the tests that meet it. */

/** Tests in the order in which they run: the first that fails ends the judgement of a mutant, so quick ones go first. */
export const parts = {
  schedule: {
    title: "Schedules",
    files: ["src/schedule/**/*.ts"],
    tests: [
      "test/schedule/interval.test.ts",
      "test/schedule/parse-schedule.test.ts",
      "test/schedule/one-time.test.ts",
      "test/schedule/next-occurrences.test.ts",
      "test/schedule/instant.test.ts",
      "test/schedule/count-occurrences.test.ts",
      "test/schedule/cron-clock-changes.test.ts",
      "test/schedule/cron-syntax.test.ts",
      "test/schedule/civil-date.test.ts",
      "test/schedule/time-zone.test.ts",
      "test/input/bad-schedules.test.ts",
    ],
  },
  tasks: {
    title: "The rules of tasks",
    files: ["src/tasks/**/*.ts"],
    tests: [
      "test/tasks/states.test.ts",
      "test/tasks/pause-resume-run-now.test.ts",
      "test/tasks/rescheduling.test.ts",
      "test/tasks/occurrences.test.ts",
      "test/tasks/retries.test.ts",
      "test/tasks/event-codec.test.ts",
      "test/tasks/task-event.test.ts",
      "test/tasks/retry-policy.test.ts",
      "test/input/bad-tasks.test.ts",
      "test/input/hostile-names.test.ts",
      "test/tasks/evolve.test.ts",
    ],
  },
  claims: {
    title: "The path of a claim",
    files: [
      "src/scheduler/turn.ts",
      "src/scheduler/membership.ts",
      "src/store/work.ts",
      "src/engines/task-columns.ts",
      "src/engines/sqlite/task-rows.ts",
      "src/engines/sqlite/progress-updates.ts",
      "src/engines/sqlite/coordination.ts",
    ],
    tests: [
      "test/store/work.test.ts",
      "test/scheduler/turn.test.ts",
      "test/engines/task-columns.test.ts",
      "test/contract/sqlite.test.ts",
      "test/scheduler/claim-ahead.test.ts",
      "test/scheduler/membership.test.ts",
      "test/scheduler/several-schedulers.test.ts",
      "test/store/group-commit.test.ts",
      "test/scheduler/handler-transactions.test.ts",
      "test/scheduler/cancelling.test.ts",
      "test/scheduler/stopping.test.ts",
    ],
  },
};
