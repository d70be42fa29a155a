/** The lines of a crontab that set a variable: `NAME = value`, with quotes as in crontab(5), and nothing expanded. */

export interface EnvironmentLine {
  readonly name: string;
  readonly value: string;
  /** From 1. */
  readonly nameColumn: number;
  readonly valueColumn: number;
}

const shape = /^([ \t]*)("[^"]*"|'[^']*'|[^\s="']+)[ \t]*=[ \t]*(.*)$/;

/** Null for a line that sets nothing. */
export function readEnvironmentLine(line: string): EnvironmentLine | null {
  const match = shape.exec(line);
  if (match === null) return null;
  const [, indent = "", name = "", value = ""] = match;
  return {
    name: withoutQuotes(name),
    value: withoutQuotes(value.trimEnd()),
    nameColumn: indent.length + 1,
    valueColumn: line.length - value.length + 1,
  };
}

/** A quote that is not closed at the end of the text is a character like any other. */
function withoutQuotes(text: string): string {
  const quote = text[0];
  const quoted = text.length >= 2 && (quote === '"' || quote === "'") && text.endsWith(quote);
  return quoted ? text.slice(1, -1) : text;
}
