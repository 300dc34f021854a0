/**
 * Neutralise: text from a file, a model or the journal, made fit for a terminal.
 * Nothing is dropped: what a reader would not see is shown by a sign of its own.
 *   TTY-1.1  The result holds no byte that moves the cursor or changes the terminal: of all controls only tab and line feed are left.
 *   TTY-1.2  Bidi marks, zero-width, tag and separator characters are shown as `⟨U+202E⟩`, C0 controls by their picture (`␛`), CRLF as a line feed.
 *   TTY-1.3  Text without such characters comes back as it is; neutralising twice is neutralising once.
 *   TTY-1.4  neutraliseLine() gives one line: line feeds and tabs are shown as `⏎` and a space.
 */
import { mayHideCharacters, unseen } from "../../lib/unseen.ts";

export function neutralise(text: string): string {
  if (!mayHideCharacters(text)) return text;
  let shown = "";
  let from = 0;
  for (const { index, length, codePoint } of unseen(text)) {
    shown += text.slice(from, index) + sign(codePoint);
    from = index + length;
  }
  return (shown + text.slice(from)).replaceAll("\r\n", "\n");
}

export function neutraliseLine(text: string): string {
  return neutralise(text).replaceAll("\n", "⏎").replaceAll("\t", " ");
}

function sign(codePoint: number): string {
  if (codePoint < 0x20) return String.fromCodePoint(0x2400 + codePoint);
  if (codePoint === 0x7f) return "␡";
  return `⟨U+${codePoint.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
