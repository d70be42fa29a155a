import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests see the source under the package's own name, so that they need no build.
    alias: [
      { find: /^azoth-scheduler$/, replacement: path("src/index.ts") },
      { find: /^azoth-scheduler\/testing$/, replacement: path("src/testing/index.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    // Processes, not threads: a native SQLite handle in a worker that is terminated can abort the whole run.
    pool: "forks",
    testTimeout: 30_000,
    hookTimeout: 30_000,
    coverage: {
      provider: "v8",
      include: ["src/**"],
      reportsDirectory: "coverage",
    },
  },
});
