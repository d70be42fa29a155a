/** Runs before each test file of the vitest project "postgres": without a server its tests are skipped, or fail. */
import { beforeEach, inject } from "vitest";

const server = inject("sharedServer");

// Where vitest was killed, this process would go on with its test, and its servers with it.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));

beforeEach((context) => {
  if (server.state === "failed") throw new Error(server.reason);
  if (server.state === "absent") context.skip(server.reason);
});
