/**
 * Makes docs/errors.md from the table in src/errors.ts: `npm run docs:errors`.
 *
 * Reads the built package; the headings are the table's own comments. test/docs/errors.test.ts holds the page to it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("..", import.meta.url);
const page = new URL("docs/errors.md", root);

/** The sections of the table: each comment in it, with the codes below it. */
function sectionsOf(source) {
  const table = source.slice(source.indexOf("errorCatalogue = {"), source.indexOf("} as const satisfies"));
  const sections = [];
  for (const line of table.split("\n")) {
    const heading = /^ {2}\/\/ (.+)$/.exec(line)?.[1];
    const code = /^ {2}([A-Z_]+): /.exec(line)?.[1];
    if (heading !== undefined) sections.push({ heading, codes: [] });
    if (code !== undefined) sections.at(-1).codes.push(code);
  }
  return sections;
}

export function errorsPage(catalogue, source) {
  const sections = sectionsOf(source);
  const listed = sections.flatMap(({ codes }) => codes);
  const unlisted = Object.keys(catalogue).filter((code) => !listed.includes(code));
  if (unlisted.length > 0) throw new Error(`No section of src/errors.ts has ${unlisted.join(", ")}.`);
  const tables = sections.map(({ heading, codes }) => {
    const rows = codes.map((code) => `| \`${code}\` | ${catalogue[code].map(cell).join(" | ")} |`);
    return `## ${heading}\n\n| code | meaning | how to mend it |\n| --- | --- | --- |\n${rows.join("\n")}\n`;
  });
  return `${introduction}\n${tables.join("\n")}`;
}

const cell = (text) => text.replaceAll("|", "\\|");

const introduction = `# Errors

<!-- Made by \`npm run docs:errors\` from src/errors.ts. Edit that. -->

What the library refuses, and what fails in it, is an \`AzothError\` with a \`code\` from this table. Codes keep their meaning; messages may be
reworded at any time. What your own code throws in a transaction, and the reason of a signal that you abort, come back as they are.

\`\`\`ts run
import { cron, isAzothError } from "azoth-scheduler";

try {
  cron("0 0 25 * * *");
} catch (error) {
  if (!isAzothError(error, "INVALID_CRON")) throw error;
  console.log(error.message);
  console.log(error.details);
}
\`\`\`

\`\`\`text output
The hour field of a cron expression has "25": it is out of range; allowed is 0-23.
{ field: 'hour', allowed: '0-23' }
\`\`\`
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { errorCatalogue } = await import("azoth-scheduler");
  writeFileSync(page, errorsPage(errorCatalogue, readFileSync(new URL("src/errors.ts", root), "utf8")));
}
