/** Texts for a terminal: nothing that drives it, and how wide they are. */

/** Control characters, marks of direction, and what is no character at all. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The same text on one line, with everything that a terminal would obey written out. */
export function escapeControls(text: string): string {
  return text.replace(unprintable, (character) => {
    const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
    return short ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/** Characters that take two columns: the scripts of East Asia, and pictures. */
const wide =
  /[\u{1100}-\u{115f}\u{2e80}-\u{303e}\u{3041}-\u{a4cf}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{fe30}-\u{fe6f}\u{ff00}-\u{ff60}\u{ffe0}-\u{ffe6}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const mark = /\p{M}/u;

/** How many columns a text takes. */
export function widthOf(text: string): number {
  // Most texts are plain, and tables ask often.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += mark.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

/** The text, cut to so many columns if it is wider. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let shown = "";
  let width = 0;
  for (const character of text) {
    const next = widthOf(character);
    if (width + next > columns - 1) break;
    shown += character;
    width += next;
  }
  return `${shown}…`;
}

export function padEnd(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - widthOf(text)));
}

export function padStart(text: string, columns: number): string {
  return " ".repeat(Math.max(0, columns - widthOf(text))) + text;
}

/** The words on lines of at most so many columns; a word that is longer than a line is broken. */
export function wrap(text: string, columns: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((long) => piecesOf(long, columns - indent.length))) {
    const joined = line === "" ? word : `${line} ${word}`;
    if (line !== "" && widthOf(joined) + indent.length > columns) {
      lines.push(indent + line);
      line = word;
    } else line = joined;
  }
  return [...lines, indent + line];
}

function piecesOf(word: string, columns: number): string[] {
  if (widthOf(word) <= columns) return [word];
  const pieces: string[] = [];
  let piece = "";
  for (const character of word) {
    // At least one in each, however narrow the place is.
    if (piece !== "" && widthOf(piece + character) > columns) {
      pieces.push(piece);
      piece = character;
    } else piece += character;
  }
  return [...pieces, piece];
}

/** "1 task", "3 tasks". */
export function count(number: number, one: string, many: string = `${one}s`): string {
  return `${number.toLocaleString("en-US")} ${number === 1 ? one : many}`;
}
