/** `doctor`: what is wrong with a store, and what to do about it. */
import type { Command } from "commander";
import { action, type Call } from "../action.ts";
import type { Context } from "../context.ts";
import { Ended } from "../errors.ts";
import { checks, examine, type Finding } from "../health.ts";
import { withStore } from "../store.ts";
import { count, padEnd, wrap } from "../text.ts";

export function addDoctor(program: Command, context: Context): void {
  program
    .command("doctor")
    .summary("look for what is wrong")
    .description(
      "Look for what is wrong: changed tables, clocks, schedulers that are not running, stale claims, task types without a handler, overdue and disabled tasks, event handlers that lag, dead letters, disk space. Changes nothing. Exit code 1 if there is a problem.",
    )
    .action(action(context, doctor));
}

async function doctor(call: Call): Promise<void> {
  const { output } = call;
  const { green, yellow, red, bold } = output.colors;
  const signs = { ok: green("ok     "), warning: yellow("warning"), problem: red("PROBLEM") };
  const found = await withStore(call, async (db) => {
    const patient = await examine(db);
    const findings: Finding[] = [];
    for (const check of checks) {
      const finding = await check(patient);
      findings.push(finding);
      if (output.json) await output.object(finding);
      else await print(finding);
    }
    return findings;
  });
  const problems = found.filter(({ level }) => level === "problem").length;
  const warnings = found.filter(({ level }) => level === "warning").length;
  if (!output.json) {
    const words =
      problems + warnings === 0 ? "All is well." : `${count(problems, "problem")}, ${count(warnings, "warning")}.`;
    await output.line(`\n${bold(words)}`);
  }
  if (problems > 0) throw new Ended("failed");

  async function print({ check, level, message, hint }: Finding): Promise<void> {
    const head = `${signs[level]}  ${padEnd(check, 14)}  `;
    const indent = " ".repeat(7 + 2 + 14 + 2);
    const [first = "", ...more] = wrap(message, output.width - indent.length);
    await output.line(`${head}${first}`);
    for (const line of more) await output.line(indent + line);
    if (hint !== undefined)
      for (const line of wrap(hint, output.width - indent.length)) await output.line(indent + output.colors.dim(line));
  }
}
