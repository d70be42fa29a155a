/**
 * What a user's SQL statement may not do, told from its words: end or nest the transaction, come in twos, reach
 * beyond the transaction, or write to the store's own tables. The database itself judges everything else.
 */
import { AzothError, quote } from "../errors.ts";

export type Dialect = "sqlite" | "postgres";

interface Rules {
  /** Comments (of a long one the beginning), texts, quoted names, words, and single signs. */
  readonly tokenShape: RegExp;
  /** Verbs that reach beyond the transaction, or leave something behind on the connection. */
  readonly otherVerbs: ReadonlySet<string>;
  /** Names of tables that are not the user's. */
  readonly ownName: RegExp;
  readonly ownWords: string;
}

const rules: Readonly<Record<Dialect, Rules>> = {
  sqlite: {
    tokenShape: /--[^\n]*|\/\*|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[\p{L}\p{N}_$]+|\S/gu,
    otherVerbs: new Set(["pragma", "attach", "detach", "vacuum", "reindex"]),
    ownName: /^(?:azoth|sqlite)_/,
    ownWords: "azoth_ or sqlite_",
  },
  postgres: {
    tokenShape:
      /--[^\n\r]*|\/\*|\$([\p{L}_][\p{L}\p{N}_]*)?\$[\s\S]*?(?:\$\1\$|$)|[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|(?:[uU]&)?"(?:[^"]|"")*"|[\p{L}\p{N}_$]+|\S/gu,
    otherVerbs: new Set(
      "abort start prepare deallocate vacuum reindex cluster checkpoint discard set reset listen unlisten load copy declare fetch move close".split(
        " ",
      ),
    ),
    ownName: /^(?:azoth|pg)_/,
    ownWords: "azoth_ or pg_",
  },
};

const transactionVerbs = new Set(["begin", "commit", "end", "rollback", "savepoint", "release"]);
/** Verbs that write to no table, whatever names they have in them. */
const harmlessVerbs = new Set(["values", "show", "table", "grant", "revoke"]);
const dataVerbs = new Set(["insert", "replace", "update", "delete", "with", "merge"]);
/** What SET changes until the transaction's end. */
const setsLocally = new Set(["local", "constraints"]);
/** Verbs that take a list of names. */
const listVerbs = new Set(["drop", "truncate"]);
/** Words that the name of something written to, or hung on, comes after. */
const beforeTarget = new Set(
  "into update from table index view sequence trigger on to references inherit inherits".split(" "),
);
const betweenThem = new Set(["or", "rollback", "abort", "replace", "fail", "ignore", "if", "not", "exists", "only"]);
/** The same for SELECT INTO. */
const selectsBetween = new Set([...betweenThem, "temp", "temporary", "unlogged", "table"]);

/** Returns whether the statement is of the kind that changes rows. @throws AzothError INVALID_SQL */
export function checkStatement(sql: unknown, dialect: Dialect): { readonly changesRows: boolean } {
  const { otherVerbs, ownName, ownWords } = rules[dialect];
  if (typeof sql !== "string") throw refusal(`A statement must be a text of SQL, and is ${quote(sql)}`);
  // The database would run what stands before it, and drop the rest in silence.
  if (sql.includes("\0")) throw refusal(`A statement cannot have a NUL, and is ${quote(sql)}`);
  const tokens = wordsOf(sql, dialect);
  const verb = tokens[0];
  if (verb === undefined) throw refusal(`A statement must be a text of SQL, and is ${quote(sql)}`);
  const name = verb.toUpperCase();
  if (transactionVerbs.has(verb))
    throw refusal(`${name} cannot run inside of a transaction of the store. Leave it out`);
  const reachesBeyond = otherVerbs.has(verb) && !(verb === "set" && setsLocally.has(tokens[1] ?? ""));
  if (reachesBeyond || (verb === "explain" && tokens.includes("pragma"))) {
    throw refusal(`${quote(sql)} cannot run through the store: ${name} reaches beyond its transaction`);
  }
  // SQLite would run the first and drop the rest in silence; PostgreSQL refuses it in words of its own.
  // What is created may have a body with signs of its own in it.
  const hasBody = verb === "create" && (dialect === "postgres" || tokens.slice(1, 3).includes("trigger"));
  if (!hasBody && tokens.includes(";") && tokens.slice(tokens.indexOf(";")).some((token) => token !== ";")) {
    throw refusal(`${quote(sql)} has more than one statement. Run them one by one`);
  }
  if (targetsOf(tokens, dialect).some((target) => ownName.test(target))) {
    throw refusal(
      `Tables whose names begin with ${ownWords} are not yours to write. Use the store's API, or another table name`,
    );
  }
  return { changesRows: dataVerbs.has(verb) };
}

/**
 * The statement with `$1`, `$2`, … in the place of `?`, so that the same statement runs on each database.
 * One that numbers its parameters itself, or has none, is left as it is: `?` is an operator of PostgreSQL as well.
 */
export function numberPlaceholders(sql: string, parameters: number): string {
  const tokens = [...tokensIn(sql, "postgres")];
  if (parameters === 0 || tokens.some(({ token }) => /^\$\d+$/.test(token))) return sql;
  let numbered = "";
  let end = 0;
  let count = 0;
  for (const { token, index } of tokens) {
    if (token !== "?") continue;
    // A word that follows at once would become a part of the number.
    const gap = /^[\p{L}\p{N}_$]/u.test(sql.slice(index + 1)) ? " " : "";
    numbered += `${sql.slice(end, index)}$${++count}${gap}`;
    end = index + 1;
  }
  return numbered + sql.slice(end);
}

/** All but comments, and where they stand. */
function* tokensIn(sql: string, dialect: Dialect): Generator<{ readonly token: string; readonly index: number }> {
  const shape = new RegExp(rules[dialect].tokenShape);
  for (let found = shape.exec(sql); found !== null; found = shape.exec(sql)) {
    const [token] = found;
    if (token === "/*") shape.lastIndex = endOfComment(sql, found.index, dialect);
    else if (!token.startsWith("--")) yield { token, index: found.index };
  }
}

/** PostgreSQL has comments within comments. */
function endOfComment(sql: string, start: number, dialect: Dialect): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start + 2;
  let depth = 1;
  for (let found = edge.exec(sql); found !== null; found = edge.exec(sql)) {
    if (found[0] === "*/") depth--;
    else if (dialect === "postgres") depth++;
    if (depth === 0) return edge.lastIndex;
    // Where they do not nest, the sign that ends one may begin within what looks like another.
    if (dialect === "sqlite") edge.lastIndex = found.index + 1;
  }
  return sql.length;
}

/** In lower case, and without signs before the first word. */
function wordsOf(sql: string, dialect: Dialect): string[] {
  const tokens = [...tokensIn(sql, dialect)].map(({ token }) => token.toLowerCase());
  const start = tokens.findIndex((token) => token !== ";");
  return start === -1 ? [] : tokens.slice(start);
}

/** The names of all that the statement writes to, alters, or attaches something to. */
function targetsOf(tokens: readonly string[], dialect: Dialect): string[] {
  const [verb = ""] = tokens;
  if (harmlessVerbs.has(verb)) return [];
  // SQLite explains without doing it.
  if (verb === "explain" && dialect === "sqlite") return [];
  if (listVerbs.has(verb)) return tokens.map(unquoted);
  const targets: string[] = [];
  for (const [index, token] of tokens.entries()) {
    if (!beforeTarget.has(token)) continue;
    if (verb === "select" && token !== "into") continue;
    // What is only read comes after FROM as well, but then FROM does not follow DELETE; joins have their ON.
    if (token === "from" && tokens[index - 1] !== "delete") continue;
    if (token === "on" && verb !== "create") continue;
    let at = index + (token === "inherits" ? 2 : 1);
    const passed = verb === "select" ? selectsBetween : betweenThem;
    while (passed.has(tokens[at] ?? "")) at++;
    while (tokens[at + 1] === ".") at += 2;
    targets.push(unquoted(tokens[at] ?? ""));
  }
  return targets;
}

function unquoted(token: string): string {
  if (!token.startsWith('u&"')) return /^["'`[]/.test(token) ? token.slice(1, -1) : token;
  const signOf = (_: string, code: string) => String.fromCodePoint(Math.min(Number.parseInt(code, 16), 0x10ffff));
  return token.slice(3, -1).replace(/\\\+?([0-9a-f]{4,6})/g, signOf);
}

function refusal(problem: string): AzothError {
  return new AzothError("INVALID_SQL", `${problem}.`);
}
