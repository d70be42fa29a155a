/** `next`: the coming occurrences of a cron expression. */
import { Option, type Command } from "commander";
import { cron, upcomingOccurrences, type UpcomingOccurrence } from "../../index.ts";
import { action } from "../action.ts";
import type { Context } from "../context.ts";
import { parseCount } from "../options.ts";
import { instantOf } from "../when.ts";
import { dayTime, offsetAt, relative } from "../times.ts";
import { Table } from "../table.ts";

interface NextOptions {
  readonly tz?: string;
  readonly count: number;
  readonly from?: string;
}

export function addNext(program: Command, context: Context): void {
  program
    .command("next")
    .summary("show when a cron expression is due")
    .description(
      "Show the coming occurrences of a cron expression: five fields (minute first), six (second first), or a nickname such as @daily. What a clock change does to an occurrence is marked.",
    )
    .argument("<expression>", 'the cron expression, in quotes: "30 2 * * *"')
    .option("--tz <zone>", "IANA time zone whose wall clock counts (default: this machine's)")
    .addOption(new Option("-n, --count <n>", "how many").argParser(parseCount).default(10))
    .option("--from <instant>", "begin after this: an ISO time, or 3d from now (default: now)")
    .action(
      action<NextOptions, readonly [expression: string]>(context, async ({ output, options, args: [expression] }) => {
        const timeZone = options.tz ?? context.timeZone;
        const after = new Date(instantOf(options.from ?? "now", "--from", context));
        const schedule = cron(expression, { timeZone });
        const upcoming = upcomingOccurrences(schedule, { after, count: options.count });
        if (output.json) {
          for (const { at, ...change } of upcoming)
            await output.object({ at, local: dayTime(at, timeZone), ...change });
          return;
        }
        const rows = upcoming.map((occurrence, index) => {
          const before = upcoming[index - 1]?.at ?? after;
          return { ...occurrence, remark: remarkOn(occurrence, before, timeZone) };
        });
        const table = new Table<(typeof rows)[number]>(output, [
          { title: `TIME IN ${timeZone}`, cell: ({ at }) => dayTime(at, timeZone) },
          { title: "FROM NOW", cell: ({ at }) => relative(at, context.clock.now()) },
          { title: "CLOCK CHANGE", cell: ({ remark }) => remark, paint: (text) => output.colors.yellow(text) },
        ]);
        await table.print(rows);
      }),
    );
}

/** What the clocks did between an occurrence and the one before it. */
function remarkOn({ at, dst, dropped }: UpcomingOccurrence, before: Date, timeZone: string): string {
  const lost = dropped === undefined ? [] : [`${dropped} before it lost in a gap`];
  if (dst === "gap") return ["moved: its time does not exist", ...lost].join("; ");
  if (dst === "overlap") return ["its time comes twice: the first", ...lost].join("; ");
  const [from, to] = [offsetAt(before, timeZone), offsetAt(at, timeZone)];
  return [...(from === to ? [] : [`offset ${from} to ${to}`]), ...lost].join("; ");
}
