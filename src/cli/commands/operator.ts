/** The reason of whoever gives none. */
import type { Context } from "../context.ts";

export function byOperator({ env }: Context): string {
  const operator = env["USER"] ?? env["LOGNAME"] ?? env["USERNAME"] ?? "somebody";
  return `by ${operator} on the command line`;
}
