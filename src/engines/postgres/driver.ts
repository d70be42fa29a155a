/** The members of `pg` that are used, and how its values become ours. */
import { AzothError } from "../../errors.ts";

export interface PgResult {
  /** Rows as arrays of values. */
  readonly rows: unknown[][];
  readonly rowCount: number | null;
  readonly command: string;
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

export interface PgQuery {
  readonly text: string;
  /** Under which the server keeps the statement for this connection: one name is one text. */
  readonly name?: string;
  readonly values?: readonly unknown[];
  readonly rowMode: "array";
  /** Never several statements in one text, unless it has no values and asks for them. */
  readonly queryMode?: "extended";
  /** In milliseconds, after which the connection is broken off. */
  readonly query_timeout?: number;
}

export interface PgClient {
  connect(): Promise<unknown>;
  query(query: PgQuery): Promise<PgResult>;
  on(event: "notification", listener: (message: { channel: string; payload?: string }) => void): unknown;
  on(event: "error" | "end", listener: (error?: Error) => void): unknown;
  end(): Promise<void>;
  /** Of the server's process, as it told when it was connected. */
  readonly processID?: number | null;
  readonly connection?: { readonly stream?: { destroy(): unknown } };
}

export interface PgPoolClient extends PgClient {
  /** @param destroy true for a connection that is not to be used again */
  release(destroy?: boolean): void;
}

export interface PgPool {
  connect(): Promise<PgPoolClient>;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "connect", listener: (client: PgClient) => void): unknown;
  end(): Promise<void>;
}

/** What `pg` takes of us: https://node-postgres.com/apis/client */
export interface PgConfig {
  readonly connectionString: string;
  readonly application_name: string;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelayMillis: number;
  readonly connectionTimeoutMillis: number;
  readonly query_timeout?: number;
  /** Statements are sent without waiting for the answers of those before. */
  readonly pipeline: boolean;
  readonly types: { getTypeParser: (type: number) => (value: string) => unknown };
}

export interface PgDriver {
  readonly Client: new (config: PgConfig) => PgClient;
  readonly Pool: new (config: PgConfig & PoolConfig) => PgPool;
}

export interface PoolConfig {
  readonly max: number;
  readonly idleTimeoutMillis: number;
  readonly allowExitOnIdle: boolean;
}

/** @throws AzothError DRIVER_MISSING */
export async function loadDriver(): Promise<PgDriver> {
  try {
    const { default: pg } = await import("pg");
    return pg as unknown as PgDriver;
  } catch (cause) {
    throw new AzothError("DRIVER_MISSING", "PostgreSQL needs the package pg. Install it: npm install pg.", { cause });
  }
}

/** Type numbers of PostgreSQL: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const parsers: ReadonlyMap<number, (value: string) => unknown> = new Map<number, (value: string) => unknown>([
  [16, (value) => value === "t"],
  [17, bytesOf],
  [20, wholeNumberOf],
  [21, Number],
  [23, Number],
  [26, Number],
  [700, Number],
  [701, Number],
]);

const asText = (value: string): string => value;

/** Numbers, booleans and bytes as JavaScript has them; everything else (numeric, dates, JSON, arrays) in PostgreSQL's own words. */
export const types: PgConfig["types"] = { getTypeParser: (type) => parsers.get(type) ?? asText };

function wholeNumberOf(value: string): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}

/** Bytes come as "\x…" in hexadecimal digits. */
function bytesOf(value: string): Uint8Array {
  return Uint8Array.from({ length: (value.length - 2) / 2 }, (_, index) =>
    Number.parseInt(value.slice(2 + index * 2, 4 + index * 2), 16),
  );
}
