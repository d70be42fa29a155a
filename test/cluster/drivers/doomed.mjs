/**
 * A process that kills itself with SIGKILL before its Nth step, where every call to the file system and to SQLite
 * is a step (`DoomedConfig` in ../messages.ts). Without an N it tells how many steps there are.
 */
import fs from "node:fs";
import { AzothDb } from "../../../dist/index.js";
import { tell } from "./tell.mjs";

/** @type {import("../messages.ts").DoomedConfig} */
const { location, action, crashAt } = JSON.parse(process.argv[2] ?? "");

let counting = false;
/** @type {string[]} */
const steps = [];

/** @param {string} name */
function step(name) {
  if (!counting) return;
  steps.push(name);
  if (steps.length === crashAt) process.kill(process.pid, "SIGKILL");
}

for (const name of ["mkdirSync", "mkdtempSync", "openSync", "closeSync", "linkSync", "fsyncSync", "rmSync"]) {
  const original = fs[name];
  fs[name] = (...parameters) => {
    step(name);
    return original(...parameters);
  };
}

async function loadDriver() {
  try {
    return process.getBuiltinModule("node:sqlite") ?? (await import("@photostructure/sqlite"));
  } catch {
    return await import("@photostructure/sqlite");
  }
}

const driver = await loadDriver();

class DoomedDatabase {
  #database;

  constructor(path, options = {}) {
    step("open");
    this.#database = new driver.DatabaseSync(path, options);
  }

  get isTransaction() {
    return this.#database.isTransaction;
  }

  exec(sql) {
    step(sql);
    this.#database.exec(sql);
  }

  prepare(sql) {
    const statement = this.#database.prepare(sql);
    const doomed = (method) =>
      function run(...parameters) {
        step(sql);
        return statement[method](...parameters);
      };
    return { run: doomed("run"), get: doomed("get"), all: doomed("all") };
  }

  close() {
    step("close");
    this.#database.close();
  }
}

const options = { sqliteDriver: { DatabaseSync: DoomedDatabase } };
if (action === "create") {
  counting = true;
  const db = await AzothDb.open(location, options);
  await db.transaction((tx) => tx.append({ eventType: "born", payload: null }));
  tell({ is: "acknowledged", taskIds: [] });
  await db.close();
} else {
  const db = await AzothDb.open(location, options);
  counting = true;
  await db.rebuild();
  counting = false;
  await db.close();
}
tell({ is: "steps", steps });
