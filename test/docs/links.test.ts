/** Every link of the docs leads somewhere: to a file or folder of the project, and to a heading if it names one. */
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { pages, proseOf, root } from "./markdown.ts";

/** GitHub's name for a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}

function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
}

function linksOf(page: string): string[] {
  const prose = proseOf(page).replaceAll(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = ""]) => target);
}

/** Why a link leads nowhere, or null. */
function problemOf(page: string, target: string): string | null {
  if (/^(https?|mailto):/.test(target)) return null;
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? page : normalize(join(dirname(page), path));
  if (file.startsWith("..")) return "leads out of the project";
  if (!existsSync(join(root, file))) return "does not exist";
  if (anchor === undefined) return null;
  return anchorsOf(file).includes(anchor) ? null : "has no such heading";
}

describe("links", () => {
  test.each(pages)("of %s", (page) => {
    const broken = linksOf(page).flatMap((target) => {
      const problem = problemOf(page, target);
      return problem === null ? [] : [`${target} ${problem}`];
    });
    expect(broken).toEqual([]);
  });
});
