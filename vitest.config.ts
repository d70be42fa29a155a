import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** What runs on PostgreSQL only. */
const onPostgres = [
  "test/postgres/**/*.test.ts",
  "test/bench/postgres.test.ts",
  "test/contract/postgres.test.ts",
  "test/cluster/postgres/**/*.test.ts",
  "test/engines/postgres/**/*.test.ts",
  "test/engines/joined/**/*.test.ts",
  "test/store/postgres-*.test.ts",
];

/** What runs on each engine, through test/engine-under-test.ts. */
const onBoth: string[] = [
  "test/cli/operate/{dead-letters,reading,tasks,tasks-words}.test.ts",
  "test/cli/maintain/{doctor,maintain}.test.ts",
  "test/scheduler/**/*.test.ts",
  "test/simulation/simulation.test.ts",
  "test/soak/**/*.test.ts",
  "test/subscriptions/**/*.test.ts",
  "test/input/{bad-filters,bad-tasks,bad-transactions,closed,fuzz,hostile-names}.test.ts",
  "test/store/{backup,copy-log,deferred-keys,group-commit,hash-chain,interleaving,log,nested-writes}.test.ts",
  "test/store/{open,overload,other-processes,replay,sealing,status,transaction}.test.ts",
];

export default defineConfig({
  resolve: {
    // Tests see the source under the package's own name, so that they need no build.
    alias: [
      { find: /^azoth-scheduler$/, replacement: path("src/index.ts") },
      { find: /^azoth-scheduler\/config$/, replacement: path("src/cli/config/index.ts") },
      { find: /^azoth-scheduler\/testing$/, replacement: path("src/testing/index.ts") },
    ],
  },
  test: {
    // Processes, not threads: a native SQLite handle in a worker that is terminated can abort the whole run.
    pool: "forks",
    // One more than there are cores: many tests wait for claims to run out, for silent connections and other processes.
    maxWorkers: availableParallelism() + 1,
    // For what hangs: a busy machine takes twenty times as long as a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: {
      provider: "v8",
      include: ["src/**"],
      reportsDirectory: "coverage",
    },
    projects: [
      {
        extends: true,
        test: {
          name: "sqlite",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...onPostgres],
          provide: { engineUnderTest: "sqlite" },
          // A process for each file would read all modules anew, 0.3 s of processor time. On PostgreSQL each file has its own
          // nevertheless, because the statements whose plans are kept are counted by process.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: "postgres",
          include: [...onPostgres, ...onBoth],
          provide: { engineUnderTest: "postgres" },
          // Only if the run has files of this project.
          globalSetup: ["test/postgres/shared-server.ts"],
          setupFiles: ["test/postgres/needs-server.ts"],
        },
      },
    ],
  },
});
