/**
 * Reads a crontab as crontab(5) tells it, and besides: a sixth field in front for the second, `CRON_TZ`, `L` and `#`,
 * and comments with wishes. Pure: text in, jobs and problems out, and never an exception.
 */
import { messageOf, quote } from "../../errors.ts";
import { cron } from "../../index.ts";
import { readCommandText } from "./command-text.ts";
import {
  atStart,
  type Crontab,
  type CrontabForm,
  type CrontabJob,
  type CrontabProblem,
  type Wishes,
} from "./crontab.ts";
import { type EnvironmentLine, readEnvironmentLine } from "./environment-line.ts";
import { isWishes, readWishes } from "./wishes.ts";

interface Word {
  readonly text: string;
  /** From 0. */
  readonly at: number;
}

/** The schedule at the head of a line, and where the rest begins. */
interface Timing {
  readonly expression: string;
  readonly rest: number;
}

export function parseCrontab(text: string, form: CrontabForm): Crontab {
  const parser = new Parser(form);
  const lines = text.replace(/^\ufeff/, "").split("\n");
  for (const [index, line] of lines.entries()) parser.read(line.replace(/\r$/, ""), index + 1);
  return parser;
}

class Parser implements Crontab {
  readonly jobs: CrontabJob[] = [];
  readonly problems: CrontabProblem[] = [];
  readonly notes: CrontabProblem[] = [];
  readonly #form: CrontabForm;
  #line = 0;
  #environment: Readonly<Record<string, string>> = {};
  #timeZone: string | undefined;
  #wishes: Wishes = {};

  constructor(form: CrontabForm) {
    this.#form = form;
  }

  read(text: string, line: number): void {
    this.#line = line;
    if (isWishes(text)) {
      const { wishes, problems } = readWishes(text, line);
      this.#wishes = wishes;
      this.problems.push(...problems);
      return;
    }
    if (/^[ \t]*(#|$)/.test(text)) return;
    if (text.includes("\0")) return this.#problem(text.indexOf("\0"), "the line has a zero byte; is this a text file?");
    const setting = readEnvironmentLine(text);
    if (setting !== null) return this.#set(setting);
    const wishes = this.#wishes;
    this.#wishes = {};
    // A minus before the minute tells some crons to write nothing to the system's log.
    const body = /^[ \t]*-(?=\S)/.exec(text)?.[0].length ?? 0;
    const words = wordsOf(text, body);
    const timing = words[0]?.text.startsWith("@") ? this.#nickname(words) : this.#fields(words, text);
    if (timing !== null) this.#job(timing, text, wishes);
  }

  #job({ expression, rest }: Timing, text: string, wishes: Wishes): void {
    const [user] = this.#form === "system" ? wordsOf(text, rest) : [];
    const from = user === undefined ? rest : user.at + user.text.length;
    const command = wordsOf(text, from)[0]?.at;
    if (command === undefined) {
      const missing = this.#form === "system" ? "the user and the command" : "the command";
      return this.#problem(text.trimEnd().length, `${missing} of the line is missing after the schedule`);
    }
    if (text.startsWith("-", command) && this.#form === "user") {
      return this.#problem(
        command,
        `${quote(wordsOf(text, command)[0]?.text)} is no command; flags before it are not known here`,
      );
    }
    const { command: words, input } = readCommandText(text.slice(command));
    if (words === "") return this.#problem(command, 'the command is empty: "%" ends it; write "\\%" for the character');
    this.jobs.push({
      line: this.#line,
      expression,
      ...(this.#timeZone === undefined ? {} : { timeZone: this.#timeZone }),
      ...(user === undefined ? {} : { user: { name: user.text, column: user.at + 1 } }),
      command: words,
      ...(input === undefined ? {} : { input }),
      environment: this.#environment,
      wishes,
    });
  }

  #set({ name, value, nameColumn, valueColumn }: EnvironmentLine): void {
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      return this.#problem(nameColumn - 1, `${quote(name)} is no name of a variable: use letters, digits and "_"`);
    }
    if (name === "CRON_TZ") {
      const refused = refusalOf("@daily", value);
      if (refused !== undefined) return this.#problem(valueColumn - 1, refused);
      this.#timeZone = value;
    } else if (name === "RANDOM_DELAY" && value !== "0") {
      return this.#problem(
        nameColumn - 1,
        "RANDOM_DELAY is not supported: remove the line, or begin the command with a sleep",
      );
    } else if (name === "TZ") {
      this.#note(nameColumn, "TZ is the zone of the commands, as in cron; CRON_TZ is that of the schedules");
    } else if (name === "MAILTO" && value !== "") {
      this.#note(nameColumn, "output is not mailed; it is kept in the history of each task");
    }
    this.#environment = { ...this.#environment, [name]: value };
  }

  #nickname([word]: readonly Word[]): Timing | null {
    if (word === undefined) return null;
    const expression = word.text.toLowerCase();
    const refused = expression === atStart ? undefined : refusalOf(expression, this.#timeZone);
    if (refused === undefined) return { expression, rest: word.at + word.text.length };
    this.#problem(word.at, refused.replace(/(known are .*@hourly)/, `$1, ${atStart}`));
    return null;
  }

  #fields(words: readonly Word[], text: string): Timing | null {
    const count = looksLikeWeekday(words[5]?.text) ? 6 : 5;
    const fields = words.slice(0, count);
    const last = fields[count - 1];
    if (last === undefined) {
      const shape = `minute hour day-of-month month day-of-week ${this.#form === "system" ? "user " : ""}command`;
      this.#problem(words[0]?.at ?? 0, `${quote(text.trim())} is no line of a crontab: write "${shape}"`);
      return null;
    }
    const expression = fields.map(({ text }) => text).join(" ");
    const wrong = fields.flatMap(({ text, at }, index) => {
      const alone = fields.map((_, other) => (other === index ? text : "*")).join(" ");
      const refused = refusalOf(alone);
      // That no month has a 31st of February is a matter of two fields.
      return refused === undefined || refused.includes("never matches") ? [] : [{ at, refused }];
    });
    // One complaint for what is no schedule at all.
    for (const { at, refused } of wrong.length > 2 ? wrong.slice(0, 1) : wrong) this.#problem(at, refused);
    if (wrong.length > 0) return null;
    const refused = refusalOf(expression, this.#timeZone);
    if (refused === undefined) return { expression, rest: last.at + last.text.length };
    this.#problem(fields[0]?.at ?? 0, refused);
    return null;
  }

  #problem(at: number, message: string): void {
    this.problems.push({ line: this.#line, column: at + 1, message: message.replace(/\.$/, "") });
  }

  #note(column: number, message: string): void {
    this.notes.push({ line: this.#line, column, message });
  }
}

/** At most the words that a line can have before its command, and one more. */
function wordsOf(text: string, from: number): Word[] {
  const words: Word[] = [];
  const pattern = /[^ \t]+/g;
  pattern.lastIndex = from;
  for (let match = pattern.exec(text); match !== null && words.length < 7; match = pattern.exec(text)) {
    words.push({ text: match[0], at: match.index });
  }
  return words;
}

const weekday = String.raw`(?:[*?]|(?:\d+|sun|mon|tue|wed|thu|fri|sat)(?:-(?:\d+|sun|mon|tue|wed|thu|fri|sat))?)(?:/\d+)?(?:#\d+|L)?`;
const weekdays = new RegExp(`^${weekday}(?:,${weekday})*$`, "i");

/** True for a sixth word that can only be a weekday, and so makes the first field the second: no command is called "1-5". */
function looksLikeWeekday(word: string | undefined): boolean {
  return word !== undefined && weekdays.test(word);
}

/** Why the scheduler would not take this, in words that fit a line of a crontab. */
function refusalOf(expression: string, timeZone?: string): string | undefined {
  if (expression.includes("~")) return `${quote(expression)} has "~", a time chosen at random, which is not supported`;
  try {
    cron(expression, timeZone === undefined ? {} : { timeZone });
    return undefined;
  } catch (error) {
    return messageOf(error).replace(" of a cron expression", "");
  }
}
