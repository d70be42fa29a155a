/**
 * Makes docs/cli.md from the commands themselves: `npm run docs:cli`.
 *
 * Reads the built package; test/docs/cli.test.ts holds the page to it.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const page = new URL("../docs/cli.md", import.meta.url);

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("<", "\\<");

/** The commands that do something, with all their names. */
function* commandsOf(command, path) {
  if (command.commands.length === 0) yield { command, path };
  for (const child of command.commands) yield* commandsOf(child, `${path} ${child.name()}`);
}

function optionRows(options) {
  const rows = options.map(({ flags, description, argChoices, defaultValue, mandatory }) => {
    const choices = argChoices === undefined ? "" : `: ${argChoices.join(", ")}`;
    const usual = defaultValue === undefined ? "" : ` (default: ${defaultValue})`;
    return `| \`${flags}\` | ${cell(`${description}${choices}${usual}${mandatory ? "; required" : ""}`)} |`;
  });
  return `| option | |\n| --- | --- |\n${rows.join("\n")}\n`;
}

function section({ command, path }) {
  const args = command.registeredArguments.map((argument) => {
    const name = argument.required ? `<${argument.name()}>` : `[${argument.name()}]`;
    return { name, text: argument.description, choices: argument.argChoices };
  });
  const usage = [path, ...args.map(({ name }) => name), ...(command.options.length > 0 ? ["[options]"] : [])].join(" ");
  const parts = [`### ${path.replace(/^[^ ]+ /, "")}\n`, `${cell(command.description())}\n`, `    ${usage}\n`];
  const rows = args.map(({ name, text, choices }) => {
    return `| \`${name}\` | ${cell(text)}${choices === undefined ? "" : `: ${choices.join(", ")}`} |`;
  });
  if (rows.length > 0) parts.push(`| argument | |\n| --- | --- |\n${rows.join("\n")}\n`);
  if (command.options.length > 0) parts.push(optionRows(command.options));
  return parts.join("\n");
}

export function cliPage(program, exitCodes) {
  const codes = Object.values(exitCodes).map(({ code, meaning }) => `| ${code} | ${cell(meaning)} |`);
  return [
    introduction,
    `## Options of all commands\n\n${optionRows(program.options)}`,
    `## Exit codes\n\n| code | means |\n| --- | --- |\n${codes.join("\n")}\n`,
    `## Commands\n\n${[...commandsOf(program, program.name())].map(section).join("\n")}`,
  ].join("\n");
}

const introduction = `# The command line

<!-- Made by \`npm run docs:cli\` from src/cli. Edit that. -->

\`npx azoth-scheduler\` looks into any store, also while schedulers run on it, and changes what you tell it to. \`--help\` after any command says
what it takes.

- **The store** is a directory, a store's file or a \`postgres://\` URL: \`--store\`, else the environment variable \`AZOTH_STORE\`, else
  \`./azoth-data\`. Only \`init\`, \`restore\` and \`copy\` make one, and only \`migrate\` changes the schema of one. Passwords are never printed;
  keep them out of the list of processes by way of \`AZOTH_STORE\` or \`PGPASSWORD\`. PostgreSQL needs the package \`pg\` beside this one.
- **For people** it prints tables and sentences, with colours on a terminal only (\`NO_COLOR\` and \`FORCE_COLOR\` are honoured). Lists are short on a
  terminal; piped, they are whole, and nothing is cut. Control characters in ids, payloads and errors are written out.
- **For programs** \`--json\` prints one object a line: instants as ISO texts in UTC, bigints as decimal texts, bytes in base64, and
  \`{"sealed":true}\` for what is encrypted. Remarks are left out; an error is one object on standard error, \`{"error":{…}}\`.
- **Instants** are shown in this machine's time zone (\`TZ=UTC\` for another), and given as ISO times, in that zone if they have no offset, or as
  \`2h\`, \`-30m\`, \`3d\`. Where something past is asked for, \`2h\` is two hours ago, and \`03:07\` the latest such time.
- **Encrypted stores**: the command line has no keys. It shows what is sealed as such, and takes no payloads and reasons there.
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { buildProgram } = await import("../dist/cli/program.js");
  const { exitCodes } = await import("../dist/cli/exit-codes.js");
  const stream = { write: () => true };
  writeFileSync(page, cliPage(buildProgram({ stdout: stream, stderr: stream, env: {} }), exitCodes));
}
