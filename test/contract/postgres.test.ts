/** The PostgreSQL engine keeps the contract. */
import { openEngine } from "../../src/store/open.ts";
import { freshUrl } from "../postgres/databases.ts";
import { engineContract } from "./engine-contract.ts";
import { engineOptions } from "./subject.ts";

engineContract({
  name: "PostgreSQL",
  async create() {
    const url = await freshUrl();
    return {
      connect: () => openEngine(url, engineOptions),
      // The schema goes with the test.
      destroy: async () => {},
    };
  },
});
