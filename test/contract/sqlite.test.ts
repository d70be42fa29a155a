/** The SQLite engine keeps the contract. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEngine } from "../../src/store/open.ts";
import { engineContract } from "./engine-contract.ts";
import { engineOptions } from "./subject.ts";

engineContract({
  name: "SQLite",
  async create() {
    const directory = mkdtempSync(join(tmpdir(), "azoth-contract-"));
    return {
      connect: () => openEngine(directory, engineOptions),
      destroy: async () => rmSync(directory, { recursive: true, force: true }),
    };
  },
});
