/** Scores, and the part of docs/mutation-testing.md that a run writes. */
import { parts } from "./parts.mjs";

/** Figures of several files as one. */
export function total(figures) {
  const sum = (name) => figures.reduce((so, each) => so + each[name], 0);
  return {
    killed: sum("killed"),
    timeout: sum("timeout"),
    survived: sum("survived"),
    failed: sum("failed"),
    caught: sum("caught"),
  };
}

/** The share of mutants that were noticed, in percent with one decimal, rounded down. */
export function percent({ caught, survived }) {
  return caught + survived === 0 ? 100 : Math.floor((1000 * caught) / (caught + survived)) / 10;
}

const row = (cells) => `| ${cells.join(" | ")} |`;
const link = (file) => `[${file.replace("src/", "")}](../${file})`;
const code = (text) => `\`${text.replaceAll("|", "\\|").replaceAll("`", "'")}\``;
const line = (what, sums) => row([what, sums.killed, sums.timeout, sums.survived, percent(sums).toFixed(1)]);

/** The page with its figures and explanations made anew, between their marks. */
export function figuresPage(page, { figures, known }) {
  const tables = Object.entries(parts).map(([name, { title }]) => {
    const own = figures.filter(({ part }) => part === name);
    const rows = own.map((each) => line(link(each.file), each));
    const head = [
      row([title, "killed", "timed out", "survived", "score, %"]),
      row(["---", "---:", "---:", "---:", "---:"]),
    ];
    return [...head, ...rows, line("**together**", total(own))].join("\n");
  });
  const whole = total(figures);
  const share = `${whole.caught} of ${whole.caught + whole.survived} mutants were noticed, ${percent(whole).toFixed(1)} %.`;
  const why = known
    .filter(({ why }) => why !== null)
    .map(({ file, mutants, why }) => row([link(file), mutants.map(code).join("<br>"), why]));
  const open = known.filter(({ why }) => why === null).reduce((so, { mutants }) => so + mutants.length, 0);
  const table = [row(["file", "mutant", "why it survives"]), row(["---", "---", "---"]), ...why].join("\n");
  const rest = `${open} others are in the list without a reason: nobody has looked at them yet.`;
  const written = {
    figures: `${share}\n\n${tables.join("\n\n")}`,
    survivors: open === 0 ? table : `${table}\n\n${rest}`,
  };
  return page.replace(/<!-- (figures|survivors) -->[^]*?<!-- end -->/g, (_, what) => {
    return `<!-- ${what} -->\n\n${written[what]}\n\n<!-- end -->`;
  });
}
