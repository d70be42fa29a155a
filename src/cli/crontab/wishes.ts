/** The comment `# azoth: id=backup attempts=3 timeout=2h`: what the line below it wants of this scheduler, and cron does not know. */
import { parseDuration } from "../../duration.ts";
import { messageOf, quote } from "../../errors.ts";
import { parseName } from "../../names.ts";
import type { CrontabProblem, Wishes } from "./crontab.ts";

const head = /^[ \t]*#[ \t]*azoth:/i;
const mostAttempts = 1_000;

export function isWishes(line: string): boolean {
  return head.test(line);
}

export function readWishes(text: string, line: number): { wishes: Wishes; problems: CrontabProblem[] } {
  const problems: CrontabProblem[] = [];
  const wishes: { id?: string; attempts?: number; timeoutMs?: number } = {};
  const start = head.exec(text)?.[0].length ?? 0;
  for (const { 0: word, index } of text.slice(start).matchAll(/\S+/g)) {
    const [, key = "", value = ""] = /^([^=]*)=?(.*)$/.exec(word) ?? [];
    try {
      if (key === "id") wishes.id = parseName(value, "the id", "INVALID_TASK_ID");
      else if (key === "attempts") wishes.attempts = parseAttempts(value);
      else if (key === "timeout") wishes.timeoutMs = parseDuration(value, { what: "the timeout", minMs: 1 });
      else throw new Error(`${quote(key)} is not known here; write id=…, attempts=… or timeout=…`);
    } catch (error) {
      problems.push({ line, column: start + index + 1, message: messageOf(error) });
    }
  }
  return { wishes, problems };
}

function parseAttempts(value: string): number {
  if (/^[1-9]\d{0,3}$/.test(value) && Number(value) <= mostAttempts) return Number(value);
  throw new Error(`attempts must be a whole number from 1 to ${mostAttempts}, and is ${quote(value)}`);
}
