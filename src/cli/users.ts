/** The users of this machine, and as whom the daemon can run a command. */
import { readFileSync } from "node:fs";
import os from "node:os";
import { RunFailed } from "./handlers/run-failed.ts";

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export class Users {
  readonly current: User;
  readonly #byName: ReadonlyMap<string, User>;

  constructor(current: User, others: readonly User[]) {
    this.current = current;
    this.#byName = new Map([...others, current].map((user) => [user.name, user]));
  }

  static ofThisMachine(passwdFile = "/etc/passwd"): Users {
    return new Users(currentUser(), readUsers(passwdFile));
  }

  find(name: string): User | undefined {
    return this.#byName.get(name);
  }

  /** Why commands cannot be run as this user here; undefined if they can. */
  refusalOf(name: string): string | undefined {
    const user = this.find(name);
    if (user === undefined) return `there is no user ${JSON.stringify(name)} on this machine`;
    if (user.uid === this.current.uid || this.current.uid === 0) return undefined;
    return `the daemon runs as ${this.current.name}, and only root can run commands as ${name}`;
  }

  /** The numbers of a user other than the daemon's own. @throws RunFailed */
  readonly identityOf = (name: string): { readonly uid: number; readonly gid: number } | undefined => {
    const refused = this.refusalOf(name);
    if (refused !== undefined) throw new RunFailed("CommandFailed", `The command was not started: ${refused}.`);
    const user = this.find(name);
    return user === undefined || user.uid === this.current.uid ? undefined : { uid: user.uid, gid: user.gid };
  };
}

/** In a container there may be no name for the number that the process runs as. */
function currentUser(): User {
  try {
    const { username, uid, gid, homedir } = os.userInfo();
    return { name: username, uid, gid, home: homedir };
  } catch {
    const uid = process.getuid?.() ?? -1;
    return { name: String(uid), uid, gid: process.getgid?.() ?? -1, home: os.homedir() };
  }
}

function readUsers(file: string): User[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return text.split("\n").flatMap((line) => {
    const [name = "", , uid = "", gid = "", , home = "/"] = line.split(":");
    return /^\d+$/.test(uid) && /^\d+$/.test(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [];
  });
}
