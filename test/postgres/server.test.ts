/** The harness itself: servers that start, die, recover, and leave nothing behind. */
import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { test as base, expect, onTestFinished } from "vitest";
import { until } from "../store/scratch-stores.ts";
import { canStartServers, freshServer } from "./databases.ts";
import { childrenOf, livingOf } from "./process-table.ts";
import { type PostgresServer, startServer } from "./server.ts";
import { removeStaleDirectories } from "./server-directory.ts";

const test = base.skipIf(!canStartServers());

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  // A server that is killed ends its connections; an error without a listener would end this process.
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function valueOf(url: string, sql: string): Promise<unknown> {
  const client = await connect(url);
  const { rows } = await client.query<Record<string, unknown>>(sql);
  await client.end();
  return Object.values(rows[0] ?? {})[0];
}

const setting = (server: PostgresServer, name: string) => valueOf(server.url, `SHOW ${name}`);

async function remember(url: string, value: number): Promise<void> {
  const client = await connect(url);
  await client.query(`CREATE TABLE IF NOT EXISTS kept (value integer); INSERT INTO kept VALUES (${value})`);
  await client.end();
}

const remembered = (url: string) => valueOf(url, "SELECT string_agg(value::text, ',' ORDER BY value) FROM kept");

const logOf = (server: PostgresServer) => readFileSync(join(server.directory, "log"), "utf8");

const isAlive = (pid: number | undefined) => livingOf([pid ?? -1]).length > 0;

test("a server has the settings of the tests, and those asked for", async () => {
  const server = await freshServer({ settings: { max_connections: 20, work_mem: "1MB" } });
  expect(await valueOf(server.url, "SELECT 40 + 2")).toBe(42);
  const expected = {
    server_encoding: "UTF8",
    listen_addresses: "",
    fsync: "off",
    synchronous_commit: "on",
    full_page_writes: "off",
    max_prepared_transactions: "10",
    max_connections: "20",
    work_mem: "1MB",
  };
  for (const [name, value] of Object.entries(expected)) expect(await setting(server, name)).toBe(value);
  expect(await valueOf(server.url, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'")).toBe("C");
  // PostgreSQL refuses to be root.
  const own = process.getuid?.();
  expect(statSync(join(server.directory, "data")).uid).toBe(own === 0 ? 65_534 : own);
});

test("two servers side by side know nothing of each other, and nothing is left of one that is disposed of", async () => {
  const [one, two] = await Promise.all([freshServer(), freshServer()]);
  await remember(one.url, 1);
  await remember(two.url, 2);
  expect(await remembered(one.url)).toBe("1");
  const { pid, directory } = one;
  expect(isAlive(pid)).toBe(true);
  await one.dispose();
  await one.dispose();
  expect(isAlive(pid)).toBe(false);
  expect(existsSync(directory)).toBe(false);
  expect(await remembered(two.url)).toBe("2");
});

test("a stopped server has its data when it starts again", async () => {
  const server = await freshServer();
  for (const [count, mode] of (["fast", "immediate", "smart"] as const).entries()) {
    await remember(server.url, count);
    await server.stop(mode);
    expect(server.pid).toBeUndefined();
    await expect(connect(server.url)).rejects.toThrow(/ENOENT|ECONNREFUSED/);
    await server.stop(mode);
    await server.start();
  }
  expect(await remembered(server.url)).toBe("0,1,2");
  await expect(server.start()).rejects.toThrow("runs already");

  // "smart" waits for the clients.
  const client = await connect(server.url);
  const stopped = server.stop("smart");
  await until(() => logOf(server).split("smart shutdown").length === 3, "the server hears of it");
  expect((await client.query<{ answer: number }>("SELECT 42 AS answer")).rows).toEqual([{ answer: 42 }]);
  await client.end();
  await stopped;
});

test("a killed server recovers, also while its clients work", async () => {
  const server = await freshServer();
  await remember(server.url, 1);
  const busy = await connect(server.url);
  await busy.query("BEGIN; INSERT INTO kept VALUES (99)");
  const working = expect(busy.query("SELECT count(*) FROM generate_series(1, 1e12)")).rejects.toThrow();
  const postmaster = server.pid ?? -1;
  const children = childrenOf(postmaster);
  expect(children.length).toBeGreaterThan(3);
  await server.kill();
  expect(livingOf([postmaster, ...children])).toEqual([]);
  await working;
  await server.start();
  expect(logOf(server)).toContain("was not properly shut down; automatic recovery in progress");
  await remember(server.url, 2);
  expect(await remembered(server.url)).toBe("1,2");
});

test("a server that does not start says why, and leaves nothing", async () => {
  const ofThisProcess = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`azoth-pg-${process.pid}-`));
  const before = ofThisProcess();
  await expect(startServer({ settings: { max_connections: "many" } })).rejects.toThrow(
    /ended while it started.*invalid value for parameter "max_connections": "many"/s,
  );
  expect(ofThisProcess()).toEqual(before);
});

function linesOf({ stdout }: ChildProcess) {
  if (stdout === null) throw new Error("The output is not piped.");
  return createInterface(stdout);
}

test.each(["SIGTERM", "SIGKILL"] as const)("a server ends with the process that started it (%s)", async (signal) => {
  const owner = fork(fileURLToPath(new URL("owner.mjs", import.meta.url)), { execArgv: [], stdio: "pipe" });
  onTestFinished(() => void owner.kill("SIGKILL"));
  const gone = once(owner, "exit").then(() => ["null"]);
  const [line] = (await Promise.race([once(linesOf(owner), "line"), gone])) as [string];
  const { pid, directory, url } = JSON.parse(line) as { pid: number; directory: string; url: string };
  await connect(url);
  owner.kill(signal);
  await until(() => !isAlive(pid) && !existsSync(directory), "the server ends");
});

test("directories are removed later if the guard was killed as well", () => {
  const base = mkdtempSync(join(tmpdir(), "azoth-stale-"));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const { pid: deadPid } = spawnSync(process.execPath, ["--version"]);
  const names = [`azoth-pg-${deadPid}-abcdef`, `azoth-pg-${deadPid}-young1`, `azoth-pg-${process.pid}-living`, "other"];
  for (const name of names) {
    mkdirSync(join(base, name, "data"), { recursive: true });
    const moreThanAnHourAgo = new Date(Date.now() - 3_700_000);
    if (!name.endsWith("young1")) utimesSync(join(base, name), moreThanAnHourAgo, moreThanAnHourAgo);
  }
  removeStaleDirectories(base);
  expect(readdirSync(base).toSorted()).toEqual(names.slice(1).toSorted());
});
