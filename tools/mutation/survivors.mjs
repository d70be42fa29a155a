/**
 * Mutants by what they change instead of by line numbers, so that a list of them outlives other changes of a file;
 * and the comparison of those that survived with the list of those that may (survivors.json).
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

const key = ({ file, mutant }) => `${file}\n${mutant}`;

/**
 * @param survived the survivors of a run, as { file, mutant }
 * @param known the list, as { file, mutants, why }
 * @param ranWhole whether a file's mutants were all tried
 * @returns what survived and is not in the list, and what is in the list and did not survive
 */
export function compare(survived, known, ranWhole) {
  const listed = known.flatMap(({ file, mutants }) => mutants.map((mutant) => ({ file, mutant })));
  const listedKeys = new Set(listed.map(key));
  const survivedKeys = new Set(survived.map(key));
  return {
    added: survived.filter((each) => !listedKeys.has(key(each))),
    obsolete: listed.filter((each) => ranWhole(each.file) && !survivedKeys.has(key(each))),
  };
}

/** The list with what is new, for which nobody has given a reason yet, and without what is obsolete. */
export function updated(known, { added, obsolete }) {
  const gone = new Set(obsolete.map(key));
  const kept = known
    .map(({ file, mutants, ...rest }) => ({
      file,
      mutants: mutants.filter((mutant) => !gone.has(key({ file, mutant }))),
      ...rest,
    }))
    .filter(({ mutants }) => mutants.length > 0);
  for (const [file, survivors] of groupedByFile(added)) {
    const mutants = [...new Set(survivors.map(({ mutant }) => mutant))];
    const open = kept.find((entry) => entry.file === file && entry.why === null);
    if (open === undefined) kept.push({ file, why: null, mutants });
    else open.mutants.push(...mutants);
  }
  return kept.toSorted((left, right) => (left.file < right.file ? -1 : left.file > right.file ? 1 : 0));
}

function groupedByFile(survivors) {
  const groups = new Map();
  for (const each of survivors) groups.set(each.file, [...(groups.get(each.file) ?? []), each]);
  return groups;
}
