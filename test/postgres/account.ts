/** The account that a server runs under: PostgreSQL refuses to be root. */

export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** The user and group "nobody". */
const nobody = 65_534;

/** Nobody if this process is root, else who this process is. */
export function account(): Account {
  return process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
}
