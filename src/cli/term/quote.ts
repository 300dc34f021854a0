/**
 * Quote: words that are not the kernel's, behind a bar. All approvals show them this way and no other.
 *   TTY-13.1  Each row begins with `│ `, or with `┆ ` where a long line goes on, and nothing in it acts on the terminal.
 *   TTY-13.2  No row is wider than the terminal, whichever width that gives a character: what it would wrap would stand at the margin, without a bar.
 */
import { neutralise } from "./neutralise.ts";

/** Rows of at most `width` columns. */
export function quoted(text: string, width: number): readonly string[] {
  return neutralise(text)
    .replaceAll("\t", "→   ")
    .split("\n")
    .flatMap((line) => pieces(line, width - 2).map((part, index) => `${index === 0 ? "│" : "┆"} ${part}`));
}

/** What holds more than ASCII also stands in escaped form: look-alikes are told apart there. Empty where there is nothing to tell. */
export function escapedRows(text: string, width: number): readonly string[] {
  return /[^\x20-\x7e\n\t]/.test(text) ? quoted(escaped(text), width) : [];
}

function escaped(value: string): string {
  return value.replaceAll(/[^\x20-\x7e\n]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** ASCII takes one column; of anything else nobody is sure, and it takes two at most. */
function pieces(line: string, columns: number): readonly string[] {
  if (/^[\x20-\x7e]*$/.test(line) && line.length <= columns) return [line];
  const parts: string[] = [];
  let part = "";
  let used = 0;
  for (const character of line) {
    const width = /[\x20-\x7e]/.test(character) ? 1 : 2;
    if (used + width > columns && part !== "") {
      parts.push(part);
      part = "";
      used = 0;
    }
    part += character;
    used += width;
  }
  return [...parts, part];
}
