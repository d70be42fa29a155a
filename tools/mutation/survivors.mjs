/**
 * Mutants by what they change instead of by line numbers, so that a list of them outlives other changes of a file;
 * and the comparison of those that survived with the list that explains them (survivors.json).
 */

const longest = 100;
const short = (text) => {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
};

/** A mutant as the line that it changes, before and after. */
export function describeMutant(source, { location: { start, end }, replacement }) {
  const lines = source.split("\n");
  const line = lines[start.line - 1];
  const before = line.slice(0, start.column - 1);
  if (start.line === end.line) return `${line.trim()} → ${short(before + replacement + line.slice(end.column - 1))}`;
  return `${line.trim()} … → ${short(before + replacement)}`;
}

/** True if a test noticed it. A mutant that never ends is noticed, too. */
export const isCaught = ({ status }) => status === "Killed" || status === "Timeout";

/** True if no test noticed it, or none came by. */
export const isSurvivor = ({ status }) => status === "Survived" || status === "NoCoverage";

/**
 * @param survived the survivors of a run, as { file, mutant }
 * @param explained the list, as { file, mutants, why }
 * @param ranWhole whether a file's mutants were all tried
 * @returns what survived and is not in the list, and what is in the list and did not survive
 */
export function compare(survived, explained, ranWhole) {
  const key = ({ file, mutant }) => `${file}\n${mutant}`;
  const listed = explained.flatMap(({ file, mutants }) => mutants.map((mutant) => ({ file, mutant })));
  const listedKeys = new Set(listed.map(key));
  const survivedKeys = new Set(survived.map(key));
  return {
    unexplained: survived.filter((each) => !listedKeys.has(key(each))),
    obsolete: listed.filter((each) => ranWhole(each.file) && !survivedKeys.has(key(each))),
  };
}
