/** `azoth-scheduler/config`: types and completion for configuration files in TypeScript and JavaScript. */
import type { z } from "zod";
import type { configSchema } from "./schema.ts";

/** What a configuration file exports by default. */
export type Config = z.input<typeof configSchema>;

/**
 * Returns the configuration as it is, and lets editors know its type.
 *
 * @example
 * export default defineConfig({
 *   timeZone: "Europe/Rome",
 *   tasks: { backup: { cron: "30 2 * * *", shell: "./backup.sh", timeout: "2h" } },
 * });
 */
export function defineConfig(config: Config): Config {
  return config;
}
