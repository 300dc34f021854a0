/** A screen that remembers, and one that interprets the few control sequences daimon writes. */
import type { Screen } from "../../../src/cli/term/screen.ts";

export interface Recorded extends Screen {
  readonly text: () => string;
}

export function recorder(size: { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number } = {}): Recorded {
  let text = "";
  return { ...size, write: (part) => void (text += Buffer.from(part).toString()), text: () => text };
}

/** What a person would see: cursor up, carriage return, erase below, and nothing else. Anything else throws. */
export function rendered(text: string): { readonly lines: readonly string[]; readonly cursorShown: boolean } {
  const lines: string[] = [""];
  let row = 0;
  let cursorShown = true;
  const tokens = text.matchAll(/\u001b\[(\d*)A|\u001b\[J|\u001b\[\?25([hl])|\u001b\[[\d;]*m|\r|\n|([^\u001b\r\n]+)|(\u001b)/g);
  for (const [whole, up, cursor, plain, unknown] of tokens) {
    if (unknown !== undefined) throw new Error("an unknown control sequence");
    if (up !== undefined) row = Math.max(0, row - Number(up));
    else if (cursor !== undefined) cursorShown = cursor === "h";
    else if (whole === "\u001b[J") lines.splice(row, Infinity, "");
    else if (whole === "\n") lines[++row] ??= "";
    else if (plain !== undefined) lines[row] = (lines[row] ?? "") + plain;
  }
  return { lines, cursorShown };
}
