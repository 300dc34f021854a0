/**
 * Split: find the single policies of a Cedar text, with the offset and line each starts at.
 *   POL-9.1  A `;` in a string or a comment ends nothing; the parts, joined, hold every token of the text.
 */

export interface Part {
  /** From the first token to the closing `;`. */
  readonly text: string;
  /** Of the first token, in UTF-16 units. */
  readonly offset: number;
  /** 1, 2, 3, … */
  readonly line: number;
}

const token = /\s+|\/\/[^\n]*|"(?:\\[^]|[^"\\])*"|;|[^\s";/]+|[^]/gy;

export function splitPolicies(text: string): readonly Part[] {
  const parts: Part[] = [];
  const lines = lineFinder(text);
  let start = -1;
  for (const match of text.matchAll(token)) {
    const [piece] = match;
    const blank = /^\s/.test(piece) || piece.startsWith("//");
    if (start < 0 && !blank) start = match.index;
    if (piece !== ";" || start < 0) continue;
    parts.push({ text: text.slice(start, match.index + 1), offset: start, line: lines(start).line });
    start = -1;
  }
  if (start >= 0) parts.push({ text: text.slice(start), offset: start, line: lines(start).line });
  return parts;
}

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Line and column, both from 1, of an offset in UTF-16 units. */
export function lineFinder(text: string): (offset: number) => Position {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** Cedar counts UTF-8 bytes. */
export function unitsOfBytes(text: string, bytes: number): number {
  return Buffer.from(text).subarray(0, bytes).toString().length;
}
