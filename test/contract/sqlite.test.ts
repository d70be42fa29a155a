/** The SQLite engine keeps the contract. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine } from "../../src/store/engine.ts";
import { openEngine } from "../../src/store/open.ts";
import { engineContract } from "./engine-contract.ts";

/** Without fsync per commit: what the contract says holds with and without it. */
const connect = (location: string): Promise<Engine> =>
  openEngine(location, { durability: "normal", busyTimeoutMs: 10_000, sqliteDriver: undefined });

engineContract({
  name: "SQLite",
  placeholder: () => "?",
  async create() {
    const directory = mkdtempSync(join(tmpdir(), "azoth-contract-"));
    return {
      connect: () => connect(directory),
      backupTarget: () => join(directory, "backup.db"),
      connectToBackup: connect,
      destroy: async () => rmSync(directory, { recursive: true, force: true }),
    };
  },
});
