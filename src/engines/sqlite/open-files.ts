/**
 * The files of an open store, as the file system knows them.
 *
 * SQLite goes on writing to a file that somebody has deleted, moved or replaced, and nobody ever finds there what was
 * written. And whoever opens a file in the same process and closes it again takes all of SQLite's locks on it away:
 * https://www.sqlite.org/howtocorrupt.html
 */
import fs from "node:fs";
import { AzothError, quote } from "../../errors.ts";

/** Files that this process has opened as stores. They stay: some drivers keep one open after its close. */
const seenHere = new Set<string>();

function keyOf(file: string): string {
  return `${fs.realpathSync(file)}:${inodeOf(file)}`;
}

/** What tells a file from another one under the same name; undefined if there is none. */
function inodeOf(file: string): number | undefined {
  return fs.statSync(file, { throwIfNoEntry: false })?.ino;
}

/** True for a file that may only be opened through SQLite, because this process may have locks on it. */
export function isSeenHere(file: string): boolean {
  return seenHere.has(keyOf(file));
}

export class OpenFiles {
  readonly #file: string;
  readonly #inodes: readonly (readonly [place: string, inode: number | undefined])[];

  /** @param file is open by now, with its log */
  constructor(file: string) {
    this.#file = file;
    this.#inodes = [file, `${file}-wal`, `${file}-shm`].map((place) => [place, inodeOf(place)]);
    seenHere.add(keyOf(file));
  }

  /** What was deleted, moved or replaced since, in words, or null. */
  get change(): string | null {
    const changed = this.#inodes.find(([place, inode]) => inodeOf(place) !== inode);
    return changed === undefined ? null : `${quote(changed[0])} was deleted, moved or replaced while it was open`;
  }

  /** @throws AzothError STORE_NOT_WRITABLE if what is written now would be found by nobody */
  refuseChanged(): void {
    const { change } = this;
    if (change === null) return;
    const mend = "Put it back; or stop this process, and verify the store";
    throw new AzothError("STORE_NOT_WRITABLE", `${change}: what is written now would be lost. ${mend}.`, {
      details: { file: this.#file },
    });
  }
}
