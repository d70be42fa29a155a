/** The Markdown pages of the project, and the fenced blocks and links in them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Paths of all pages, relative to the root. */
export const pages: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  ...readdirSync(join(root, "docs"), { recursive: true })
    .map((name) => join("docs", String(name)))
    .filter((name) => name.endsWith(".md"))
    .toSorted(),
];

export function readPage(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

export interface Fence {
  readonly page: string;
  /** The line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** What follows the language on the line of the fence. */
  readonly directive: string;
  readonly text: string;
}

export function fencesOf(page: string): Fence[] {
  const fences: Fence[] = [];
  let open: { line: number; language: string; directive: string; lines: string[] } | undefined;
  for (const [index, line] of readPage(page).split("\n").entries()) {
    const fence = /^```(\w*) ?(.*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === undefined) {
      open = { line: index + 1, language: fence[1] ?? "", directive: fence[2] ?? "", lines: [] };
    } else {
      const { lines, ...rest } = open;
      fences.push({ page, ...rest, text: `${lines.join("\n")}\n` });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the fence is not closed.`);
  return fences;
}

/** A page without its fenced blocks. */
export function proseOf(page: string): string {
  return readPage(page).replaceAll(/^```[\s\S]*?^```$/gm, "");
}

/** The cells of all rows of the tables in a text, the heads included. */
export function tableRows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^[|\s:-]+$/.test(line))
    .map((line) =>
      line
        .slice(1, line.lastIndexOf("|"))
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll("\\|", "|")),
    );
}
