/** Where the store is: the server, and the schema in it. */
import { AzothError, quote } from "../../errors.ts";

export interface Place {
  /** For `pg`; may hold a password. */
  readonly connectionString: string;
  /** The schema's name, as a text. */
  readonly schema: string;
  /** The schema's name, quoted for SQL. */
  readonly quotedSchema: string;
  /** For messages: without a password. */
  readonly shown: string;
}

const defaultSchema = "azoth";

/**
 * The schema is taken from the option, else from `?schema=…` of the URL, else it is "azoth".
 * @throws AzothError INVALID_LOCATION, INVALID_OPTION
 */
export function parsePlace(location: string, schemaOption: string | undefined): Place {
  let url: URL;
  try {
    url = new URL(location);
  } catch {
    // Neither the location itself nor the cause, which has it as well: it may hold a password.
    const message = "The location is no PostgreSQL URL. It looks like postgres://user:password@host:5432/database.";
    throw new AzothError("INVALID_LOCATION", message);
  }
  const schema = schemaOption ?? url.searchParams.get("schema") ?? defaultSchema;
  url.searchParams.delete("schema");
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(schema) || /^pg_/i.test(schema)) {
    const shape = "letters, digits and underscores, at most 63, not beginning with a digit or pg_";
    throw new AzothError("INVALID_OPTION", `schema must be a name of ${shape}, and is ${quote(schema)}.`);
  }
  const user = url.username === "" ? "" : `${url.username}@`;
  const host = url.searchParams.get("host") ?? url.host;
  const shown = `postgres://${user}${host}${url.pathname}, schema ${schema}`;
  return { connectionString: url.href, schema, quotedSchema: `"${schema}"`, shown };
}
