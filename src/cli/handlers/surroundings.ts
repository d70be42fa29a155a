/** What the built-in task types have of the machine. */
import type { Clock } from "../../index.ts";
import type { Environment } from "./secrets.ts";

export interface Surroundings {
  readonly clock: Clock;
  readonly env: Environment;
  /** The directory of commands that name none. */
  readonly cwd: string;
  /** The numbers of a user other than the daemon's own; undefined for the daemon's own. @throws RunFailed if there is no such user, or it cannot be run as */
  readonly identityOf: (user: string) => { readonly uid: number; readonly gid: number } | undefined;
}
