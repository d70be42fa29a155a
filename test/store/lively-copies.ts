/** The lively store, made once for a file of tests and copied for each of them, on the engine under test. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { engineUnderTest, newLocation } from "../engine-under-test.ts";
import { lastingUrl, schemaOf } from "../postgres/databases.ts";
import { atItsLiveliest } from "./lively-store.ts";
import { tamper } from "./tampering.ts";

interface Template {
  /** Makes the store at a new place be as the lively one was. */
  readonly copyTo: (location: string) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** To be called outside of tests; what it returns makes the place of a copy that goes with its test. */
export function livelyCopies(): () => Promise<string> {
  let making: Promise<Template> | undefined;
  afterAll(async () => (await making)?.remove());
  return async () => {
    // By the first test, and not before all: where there is no server, the tests are skipped.
    making ??= engineUnderTest === "sqlite" ? fileTemplate() : schemaTemplate();
    const { copyTo } = await making;
    const location = await newLocation({ shared: true });
    await copyTo(location);
    return location;
  };
}

async function fileTemplate(): Promise<Template> {
  const home = mkdtempSync(join(tmpdir(), "azoth-template-"));
  const file = join(home, "template.db");
  mkdirSync(join(home, "made"));
  await atItsLiveliest(join(home, "made"), (db) => db.backup(file));
  return {
    copyTo: async (directory) => copyFileSync(file, join(directory, "azoth.db")),
    remove: async () => rmSync(home, { recursive: true, force: true }),
  };
}

async function schemaTemplate(): Promise<Template> {
  const made = lastingUrl();
  const template = lastingUrl();
  await atItsLiveliest(made.url, () => tamper(template.url, copyOfSchema(schemaOf(made.url), schemaOf(template.url))));
  await made.drop();
  return {
    copyTo: (url) => tamper(url, copyOfSchema(schemaOf(template.url), schemaOf(url))),
    remove: template.drop,
  };
}

/** SQL that makes a schema with copies of a store's tables and sequences, as of one moment. */
function copyOfSchema(from: string, to: string): string {
  const tables = ["schema", "names", "events", "chain", "tasks", "due", "runs", "tasks_rebuilt", "rebuilds"];
  const all = [...tables, "instances", "checkpoints", "dead_letters"].map((table) => `azoth_${table}`);
  const sequences = ["azoth_names_id_seq", "azoth_events_position_seq", "azoth_instances_id_seq", "azoth_task_seq"];
  return [
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    `CREATE SCHEMA ${to}`,
    `CREATE SEQUENCE ${to}.azoth_task_seq`,
    ...all.flatMap((table) => [
      `CREATE TABLE ${to}.${table} (LIKE ${from}.${table} INCLUDING ALL)`,
      `INSERT INTO ${to}.${table} OVERRIDING SYSTEM VALUE SELECT * FROM ${from}.${table}`,
    ]),
    ...sequences.map((name) => `SELECT setval('${to}.${name}', last_value, is_called) FROM ${from}.${name}`),
    "COMMIT",
  ].join(";\n");
}
