/** Reads a configuration file: JSON, JavaScript, or TypeScript; and says what is wrong with it, all at once. */
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { z } from "zod";
import { parseDuration } from "../../duration.ts";
import { messageOf, quote } from "../../errors.ts";
import { type Declared, type DeclaredSettings, WrongFile } from "../declared.ts";
import { escapeControls } from "../text.ts";
import { configTasks } from "./config-tasks.ts";
import { configSchema, jsonConfigSchema, type ParsedConfig } from "./schema.ts";

export function isConfigFile(file: string): boolean {
  return /\.(json|[cm]?[jt]s)$/.test(file);
}

/** @throws WrongFile */
export async function readConfig(file: string): Promise<Declared> {
  try {
    const config = file.endsWith(".json") ? readJson(file) : checked(configSchema, await importFile(file));
    const { handlers = [], eventHandlers = [], store = {}, settings = {} } = config;
    const { drainTime, ...rest } = settings;
    return {
      tasks: configTasks(config, path.dirname(path.resolve(file))),
      handlers,
      eventHandlers,
      settings: rest as DeclaredSettings,
      ...(drainTime === undefined ? {} : { drainTimeMs: parseDuration(drainTime, { what: "drainTime" }) }),
      store: store as Declared["store"],
      notes: [],
    };
  } catch (error) {
    if (!(error instanceof WrongFile)) throw error;
    throw new WrongFile(error.complaints.map((complaint) => escapeControls(`${file}: ${complaint}`)));
  }
}

function readJson(file: string): ParsedConfig {
  const text = readFileSync(file, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new WrongFile([`this is not JSON: ${messageOf(error)}${placeOf(messageOf(error), text)}`]);
  }
  return checked(jsonConfigSchema, value);
}

/** Some versions of Node tell the position only, and the newest tell line and column themselves. */
function placeOf(message: string, text: string): string {
  const position = /at position (\d+)(?! \(line)/.exec(message)?.[1];
  if (position === undefined) return "";
  const before = text.slice(0, Number(position)).split("\n");
  return ` (line ${before.length} column ${(before.at(-1) ?? "").length + 1})`;
}

function checked(schema: typeof configSchema | typeof jsonConfigSchema, value: unknown): ParsedConfig {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new WrongFile(complaintsOf(result.error.issues));
}

function complaintsOf(issues: readonly z.core.$ZodIssue[]): string[] {
  return issues.flatMap((issue) => {
    // Of the forms that a value may have, those count that it comes nearest to.
    const inner = issue.code === "invalid_union" ? issue.errors.flat().filter(isNear) : [];
    if (inner.length > 0) {
      return complaintsOf(inner.map((one) => ({ ...one, path: [...issue.path, ...one.path] })));
    }
    const where = issue.path.length === 0 ? "" : `${issue.path.map(String).join(".")}: `;
    return [`${where}${issue.message}`];
  });
}

/** It was of the right form, and something in it was not. */
function isNear({ path, code }: z.core.$ZodIssue): boolean {
  return path.length > 0 || code !== "invalid_type";
}

/** The default export. */
async function importFile(file: string): Promise<unknown> {
  const resolved = path.resolve(file);
  // Modules are kept by their address: a changed file gets another one.
  const version = statSync(resolved).mtimeMs;
  const isTypeScript = /\.[cm]?ts$/.test(file);
  try {
    if (isTypeScript && !process.features.typescript) return await importByJiti(resolved);
    const module = (await import(`${pathToFileURL(resolved).href}?${version}`)) as { default?: unknown };
    if (module.default === undefined) throw new Error("it has no default export");
    return module.default;
  } catch (error) {
    if (error instanceof WrongFile) throw error;
    throw new WrongFile([`it cannot be loaded: ${messageOf(error)}`]);
  }
}

/** For versions of Node that do not read TypeScript by themselves. */
async function importByJiti(file: string): Promise<unknown> {
  const { createJiti } = await import("jiti").catch(() => {
    const mend = "Install jiti (npm install jiti), use Node 22.18 or later, or write it in JavaScript or JSON.";
    throw new WrongFile([`Node ${quote(process.version)} does not read TypeScript by itself. ${mend}`]);
  });
  const jiti = createJiti(import.meta.url, { moduleCache: false });
  const config = await jiti.import(file, { default: true });
  // Without a default export it is the module itself.
  if (typeof config === "object" && config !== null && Object.prototype.toString.call(config) === "[object Module]") {
    throw new Error("it has no default export");
  }
  return config;
}
