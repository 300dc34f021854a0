/**
 * Width: how many columns of a terminal a text takes.
 *   TTY-2.1  East Asian wide and emoji characters take two columns, combining marks none, everything else one.
 *   TTY-2.2  cut() never splits a character, never exceeds its width, and ends what it shortened with `…`.
 *   TTY-2.3  wrap() loses nothing but the spaces at which it breaks, and no line exceeds the width, however long a word.
 * Source: Unicode 17 EastAsianWidth.txt (W and F), UTS #51 for emoji presentation.
 */

export function widthOf(text: string): number {
  if (plain.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes(text)) width += columnsOf(segment);
  return width;
}

/** At most `width` columns; what is cut off is marked. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 0) return "";
  const start = head(text, width - 1);
  return widthOf(start) < width ? `${start}…` : "…";
}

/** Padded with spaces to `width` columns; longer text is left alone. */
export function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  return align === "left" ? text + space : space + text;
}

/** Lines of at most `width` columns. An empty text is one empty line. */
export function wrap(text: string, width: number): readonly string[] {
  const columns = Math.max(2, width);
  const lines: string[] = [];
  let rest = text;
  while (widthOf(rest) > columns) {
    const line = head(rest, columns);
    const space = line.lastIndexOf(" ");
    const soft = rest[line.length] === " " ? line.length : space;
    if (soft > 0) {
      lines.push(rest.slice(0, soft));
      rest = rest.slice(soft + 1);
    } else {
      lines.push(line);
      rest = rest.slice(line.length);
    }
  }
  return [...lines, rest];
}

const plain = /^[\x20-\x7e]*$/;
const zero = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]+$/u;
const emoji = /^\p{Emoji_Presentation}|^\p{Extended_Pictographic}\ufe0f|^\p{Regional_Indicator}{2}|\u20e3$/u;
/** Wide blocks, coarse where unassigned points fall in between. */
const wide =
  /^[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]/u;

/** Made anew each time: the first costs 9 ms of start-up, which plain text must not pay, and the next ones 7 µs. */
function graphemes(text: string): Iterable<Intl.SegmentData> {
  return new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text);
}

function columnsOf(grapheme: string): number {
  if (zero.test(grapheme)) return 0;
  return wide.test(grapheme) || emoji.test(grapheme) ? 2 : 1;
}

/** The longest beginning that fits; at least one character, so that callers always get on. */
function head(text: string, width: number): string {
  if (plain.test(text)) return text.slice(0, Math.max(1, width));
  let used = 0;
  let end = 0;
  for (const { segment, index } of graphemes(text)) {
    used += columnsOf(segment);
    if (used > width && index > 0) break;
    end = index + segment.length;
    if (used > width) break;
  }
  return text.slice(0, end);
}
