/** Queries that walk a whole file, in a thread of their own: SQLite's calls hold the thread they are made in. */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { loadBuiltin, type SqliteDriver } from "./driver.ts";

/** The first row of a query, or why there is none. */
export type Answer = { readonly row: unknown } | { readonly error: unknown };

/** In a text of its own, which every runtime and bundler takes for what it is. It gives all answers of one moment. */
const script = `
  const { parentPort, workerData: { driver, file, queries } } = require("node:worker_threads");
  process.emitWarning = () => {};
  const { DatabaseSync } = require(driver);
  const database = new DatabaseSync(file, { readOnly: true });
  const answer = (sql) => {
    try {
      return { row: database.prepare(sql).get() };
    } catch ({ message, code, errcode }) {
      return { error: { message, code, errcode } };
    }
  };
  try {
    database.exec("PRAGMA busy_timeout = 2000; BEGIN");
    parentPort.postMessage(queries.map(answer));
  } finally {
    database.close();
  }
`;

/** Answers queries on a file, or null if no thread can: the driver is the user's own, or they do without threads. */
export async function answerApart(
  file: string,
  driver: SqliteDriver,
  queries: readonly string[],
): Promise<readonly Answer[] | null> {
  const worker = await startWorker(file, driver, queries);
  if (worker === null) return null;
  const answers = await new Promise<Answer[] | null>((resolve) => {
    let given: Answer[] | null = null;
    worker.once("message", (message: Answer[]) => {
      given = message;
    });
    // Whatever stands in its way, the caller meets it as well, or does without the thread.
    worker.once("error", () => {});
    // Not before: until then it has the file open.
    worker.once("exit", () => resolve(given));
  });
  return answers?.map((answer) => ("error" in answer ? { error: asError(answer.error) } : answer)) ?? null;
}

async function startWorker(file: string, driver: SqliteDriver, queries: readonly string[]): Promise<Worker | null> {
  try {
    const module = await moduleOf(driver);
    if (module === null) return null;
    return new Worker(script, { eval: true, execArgv: [], workerData: { driver: module, file, queries } });
  } catch {
    return null;
  }
}

/** Where another thread finds the driver. */
async function moduleOf(driver: SqliteDriver): Promise<string | null> {
  if (driver === loadBuiltin()) return "node:sqlite";
  const { DatabaseSync } = await import("@photostructure/sqlite");
  if (driver.DatabaseSync !== DatabaseSync) return null;
  return createRequire(import.meta.url).resolve("@photostructure/sqlite");
}

/** As the driver threw it: only plain data comes from another thread. */
function asError(thrown: unknown): Error {
  const { message, ...rest } = thrown as { message: string };
  return Object.assign(new Error(message), rest);
}
