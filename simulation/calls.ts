/**
 * Lives one day again and again, and lets the store fail at each of its statements and commits, in each way:
 * `npm run torture:calls`. Some minutes; `-- --every 10` takes a tenth of it, from another beginning each time.
 */
import { parseArgs } from "node:util";
import { type Fault, faultsOf, fullDay, playDay } from "./fail-at-call.ts";

const usage = `npm run torture:calls -- [options]

  --every <n>        only each so many-th fault (1), begun anywhere below that
  --mood <n>         of the handlers, from which the day is looked for (0)
  --way <way>, --call <n>   only this fault, as it was printed
`;

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      every: { type: "string", default: "1" },
      mood: { type: "string", default: "0" },
      way: { type: "string" },
      call: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const every = Number(values.every);
  const mood = Number(values.mood);
  if (values.help || !(every >= 1) || !Number.isSafeInteger(mood)) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  const day = await fullDay(mood);
  const all = await faultsOf(day);
  const isWanted = ({ way, call }: Fault) =>
    values.way === undefined || (way === values.way && call === Number(values.call));
  const first = Math.floor(Math.random() * every);
  const faults = all.filter((fault, index) => isWanted(fault) && (values.way !== undefined || index % every === first));
  console.log(`mood ${day.mood}: ${faults.length} of ${all.length} faults`);
  const startedAtMs = performance.now();
  let bad = 0;
  for (const fault of faults) {
    const { violations } = await playDay(day, fault);
    if (violations.length === 0) continue;
    bad++;
    console.log(`\n--mood ${day.mood} --way "${fault.way}" --call ${fault.call}`);
    for (const violation of violations.slice(0, 10)) console.log(`- ${violation}`);
  }
  console.log(
    `${faults.length} faults in ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s, ${bad} with violations`,
  );
  return bad === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
