/** The schema of JSON configurations for editors: `config.schema.json` of the package. */
import { z } from "zod";
import { jsonConfigSchema } from "./schema.ts";

export function configJsonSchema(): string {
  const schema = z.toJSONSchema(jsonConfigSchema, { io: "input", unrepresentable: "any" });
  return `${JSON.stringify({ ...schema, title: "A configuration of azoth-scheduler run" }, null, 2)}\n`;
}
