/** How to call another command of this program beside a running one: lines that can be copied into a shell. */
import path from "node:path";
import { shownLocation } from "./store.ts";
import { escapeControls } from "./text.ts";

export interface Invocation {
  /** The path of the script that runs: `process.argv[1]`. */
  readonly script: string;
  readonly cwd: string;
  /** What `--store` or the environment said; undefined or empty if neither did. */
  readonly store: string | undefined;
}

/** The lines for these commands, with what has to be so beforehand. A password of a store's URL is never in them. */
export function besideIt({ script, cwd, store = "" }: Invocation, commands: readonly string[]): string {
  const isSecret = shownLocation(store) !== store;
  const words = [...programOf(script, cwd), ...(store === "" || isSecret ? [] : ["--store", shellQuoted(store)])];
  const lines = commands.map((command) => escapeControls([...words, command].join(" ")));
  return `beside it${isSecret ? ", with AZOTH_STORE set to the same URL" : ""}: ${lines.join(", ")}`;
}

/** npx finds what a project, or npx itself, has installed; only a global installation is on the PATH. */
function programOf(script: string, cwd: string): readonly string[] {
  if (path.basename(script) === "main.js") return ["node", shellQuoted(path.relative(cwd, script))];
  const isInProject = path.dirname(script).endsWith(path.join("node_modules", ".bin"));
  return isInProject ? ["npx", "azoth-scheduler"] : ["azoth-scheduler"];
}

/** One word for a shell of POSIX. */
function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
