/** A process of its own that owns a server: prints its process id, directory and URL as JSON, and waits to be ended. */
import { fileURLToPath } from "node:url";
import { createViteServer } from "vitest/node";

// Node 20 does not run TypeScript.
const vite = await createViteServer({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  configFile: false,
  appType: "custom",
  optimizeDeps: { noDiscovery: true, include: [] },
  server: { middlewareMode: true, watch: null, ws: false, hmr: false },
});
const { startServer } = await vite.ssrLoadModule("/test/postgres/server.ts");
const { pid, directory, url } = await startServer();
process.stdout.write(`${JSON.stringify({ pid, directory, url })}\n`);
setInterval(() => {}, 60_000);
// The test itself has died.
process.once("disconnect", () => process.exit());
