/** Makes config.schema.json from src/cli/config/schema.ts: `npm run docs:config`. Reads the built package. */
import { writeFileSync } from "node:fs";
import { configJsonSchema } from "../dist/cli/config/json-schema.js";

writeFileSync(new URL("../config.schema.json", import.meta.url), configJsonSchema());
