/**
 * A configuration in TypeScript, which can bring handlers of its own:
 *
 *     azoth-scheduler run examples/daemon/azoth.config.ts
 */
import { eventHandler, taskHandler } from "azoth-scheduler";
import { defineConfig } from "azoth-scheduler/config";

const greet = taskHandler({
  taskType: "greet",
  execute: (_, { name }: { name: string }) => ({ eventType: "greeted", payload: { name } }),
});

const count = eventHandler<{ name: string }>({
  name: "count-greetings",
  eventType: "greeted",
  setUp: (tx) => tx.execute("CREATE TABLE IF NOT EXISTS greetings (name TEXT PRIMARY KEY, count INTEGER)"),
  async handle({ payload: { name } }, tx) {
    const sql = "INSERT INTO greetings VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET count = greetings.count + 1";
    await tx.execute(sql, [name]);
  },
});

export default defineConfig({
  timeZone: "Europe/Rome",
  handlers: [greet],
  eventHandlers: [count],
  tasks: {
    greeting: { every: "1s", taskType: "greet", payload: { name: "world" } },
    uptime: { cron: "*/2 * * * * *", shell: "uptime" },
  },
  settings: { drainTime: "10s" },
});
