/** The `%` of a command: the first one ends it, and what follows is its input, a line at each `%`. `\%` is a plain one. */

export interface CommandText {
  readonly command: string;
  /** What the command reads; absent if it has no `%`. */
  readonly input?: string;
}

export function readCommandText(text: string): CommandText {
  const [command = "", ...lines] = text.split(/(?<!\\)%/).map((part) => part.replaceAll("\\%", "%"));
  if (lines.length === 0) return { command };
  const input = lines.join("\n");
  return { command: command.trimEnd(), input: input === "" || input.endsWith("\n") ? input : `${input}\n` };
}
