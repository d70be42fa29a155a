/**
 * The TypeScript blocks of the pages as programs. The fence says what is done with each:
 *
 *   ts run               a program of its own, after the page's latest `ts setup` block if there is one; it must exit with 0
 *   ts run until="text"  gets Ctrl-C when it has printed the text, and must exit with 0 then
 *   ts setup             runs as well, and begins the programs that follow it on the page
 *   ts no-run            only has to compile
 *
 * A block `text output` after a program says what it prints.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { type Fence, fencesOf, pages, root } from "./markdown.ts";

export interface Snippet {
  /** "docs/cron.md:12" */
  readonly name: string;
  /** The file name without its extension, in {@link folder}. */
  readonly file: string;
  readonly code: string;
  readonly runs: boolean;
  readonly until: string | undefined;
  readonly output: string | undefined;
}

export const folder = join(root, ".build/docs");

export function snippets(): Snippet[] {
  return pages.flatMap((page) => {
    let setup = "";
    const fences = fencesOf(page);
    return fences.flatMap((fence, index) => {
      if (fence.language !== "ts") return [];
      const snippet = snippetOf(fence, setup, fences[index + 1]);
      if (fence.directive === "setup") setup = fence.text;
      return [snippet];
    });
  });
}

function snippetOf(fence: Fence, setup: string, next: Fence | undefined): Snippet {
  const name = `${fence.page}:${fence.line}`;
  const directive = /^(setup|run|no-run)(?: until="(.+)")?$/.exec(fence.directive);
  if (directive === null) throw new Error(`${name}: a ts block says "run", "setup" or "no-run" after the language.`);
  const isOutput = next?.language === "text" && next.directive === "output";
  return {
    name,
    file: name.replaceAll(/[^\w]+/g, "-"),
    code: directive[1] === "setup" ? fence.text : setup + fence.text,
    runs: directive[1] !== "no-run",
    until: directive[2],
    output: isOutput ? next.text : undefined,
  };
}

/** Compiles all snippets as a user's project would; returns the complaints. */
export function compile(all: readonly Snippet[]): string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const files = all.map(({ file, code }) => {
    const path = join(folder, `${file}.ts`);
    writeFileSync(path, code);
    return path;
  });
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: object };
  };
  const compilerOptions = {
    ...config.compilerOptions,
    // They see the built package, under its own name.
    paths: {},
    noEmit: false,
    incremental: false,
    tsBuildInfoFile: undefined,
    noUnusedLocals: false,
    noUnusedParameters: false,
    rootDir: folder,
    outDir: folder,
  };
  const { options, errors } = ts.convertCompilerOptionsFromJson(compilerOptions, root);
  const program = ts.createProgram(files, options);
  const found = [...errors, ...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics];
  return found.map((diagnostic) => complaint(diagnostic, all));
}

function complaint({ file, start = 0, messageText }: ts.Diagnostic, all: readonly Snippet[]): string {
  const text = ts.flattenDiagnosticMessageText(messageText, "\n");
  const snippet = all.find((one) => file?.fileName.endsWith(`/${one.file}.ts`));
  if (file === undefined || snippet === undefined) return `${file?.fileName ?? ""} ${text}`;
  const line = file.getLineAndCharacterOfPosition(start).line;
  return `${snippet.name}: ${text}\n    ${snippet.code.split("\n")[line] ?? ""}`;
}
