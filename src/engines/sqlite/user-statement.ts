/**
 * What a user's SQL statement may not do, told from its words: end or nest the transaction, come in twos,
 * or write to the store's own tables. SQLite itself judges everything else.
 */
import { AzothError, quote } from "../../errors.ts";

/** Comments, texts, quoted names, words, and single signs. */
const tokenShape =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[\p{L}\p{N}_$]+|\S/gu;

const transactionVerbs = new Set(["begin", "commit", "end", "rollback", "savepoint", "release"]);
const otherVerbs = new Set(["pragma", "attach", "detach", "vacuum", "reindex"]);
const readingVerbs = new Set(["select", "values", "explain"]);
const dataVerbs = new Set(["insert", "replace", "update", "delete", "with"]);
/** Words that the name of something written to, or hung on, comes after. */
const beforeTarget = new Set(["into", "update", "from", "table", "index", "view", "trigger", "on", "to", "references"]);
const betweenThem = new Set(["or", "rollback", "abort", "replace", "fail", "ignore", "if", "not", "exists"]);
const ownName = /^(?:azoth|sqlite)_/;

/** Returns whether the statement is of the kind that changes rows. @throws AzothError INVALID_SQL */
export function checkStatement(sql: unknown): { readonly changesRows: boolean } {
  if (typeof sql !== "string") throw refusal(`A statement must be a text of SQL, and is ${quote(sql)}`);
  // SQLite would run what stands before it, and drop the rest in silence.
  if (sql.includes("\0")) throw refusal(`A statement cannot have a NUL, and is ${quote(sql)}`);
  const tokens = tokensOf(sql);
  const verb = tokens[0];
  if (verb === undefined) throw refusal(`A statement must be a text of SQL, and is ${quote(sql)}`);
  const name = verb.toUpperCase();
  if (transactionVerbs.has(verb))
    throw refusal(`${name} cannot run inside of a transaction of the store. Leave it out`);
  if (otherVerbs.has(verb) || (verb === "explain" && tokens.includes("pragma"))) {
    throw refusal(`${quote(sql)} cannot run through the store: ${name} reaches beyond its transaction`);
  }
  const isTrigger = verb === "create" && tokens.slice(1, 3).includes("trigger");
  // SQLite would compile the first and drop the rest in silence.
  if (!isTrigger && tokens.slice(tokens.indexOf(";")).some((token) => token !== ";") && tokens.includes(";")) {
    throw refusal(`${quote(sql)} has more than one statement. Run them one by one`);
  }
  if (!readingVerbs.has(verb) && targetsOf(tokens).some((target) => ownName.test(target))) {
    throw refusal(
      "Tables whose names begin with azoth_ or sqlite_ are not yours to write. Use the store's API, or another table name",
    );
  }
  return { changesRows: dataVerbs.has(verb) };
}

/** In lower case, without comments and without signs before the first word. */
function tokensOf(sql: string): string[] {
  const tokens = (sql.match(tokenShape) ?? []).filter((token) => !token.startsWith("--") && !token.startsWith("/*"));
  const start = tokens.findIndex((token) => token !== ";");
  return start === -1 ? [] : tokens.slice(start).map((token) => token.toLowerCase());
}

/** The names of all that the statement writes to, alters, or attaches something to. */
function targetsOf(tokens: readonly string[]): string[] {
  const targets: string[] = [];
  for (const [index, token] of tokens.entries()) {
    if (!beforeTarget.has(token)) continue;
    // What is only read comes after FROM as well, but then FROM does not follow DELETE; joins have their ON.
    if (token === "from" && tokens[index - 1] !== "delete") continue;
    if (token === "on" && tokens[0] !== "create") continue;
    let at = index + 1;
    while (betweenThem.has(tokens[at] ?? "")) at++;
    if (tokens[at + 1] === ".") at += 2;
    targets.push(unquoted(tokens[at] ?? ""));
  }
  return targets;
}

function unquoted(token: string): string {
  return /^["'`[]/.test(token) ? token.slice(1, -1) : token;
}

function refusal(problem: string): AzothError {
  return new AzothError("INVALID_SQL", `${problem}.`);
}
