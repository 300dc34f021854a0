/**
 * Field: a name and a text beside it, for reports.
 *   CLI-2.5  On a terminal a long text goes on under its own column; in a pipe it stays one line.
 */
import type { Io } from "./io.ts";
import { neutralise } from "./term/neutralise.ts";
import { columnsOf } from "./term/screen.ts";
import { wrap } from "./term/width.ts";

const column = 12;

export function printField(io: Pick<Io, "out" | "colours">, name: string, text: string): void {
  const head = name === "" ? " ".repeat(column) : `${io.colours.paint("dim", name.padEnd(column - 2))}  `;
  io.out.write(`${head}${hanging(io, text, column)}\n`);
}

/** Neutralised, wrapped, each further row indented by `indent` columns. */
export function hanging(io: Pick<Io, "out">, text: string, indent: number): string {
  const safe = neutralise(text);
  const width = columnsOf(io.out);
  const rows = safe.split("\n").flatMap((line) => (width === null ? [line] : wrap(line, Math.max(20, width - indent))));
  return rows.join(`\n${" ".repeat(indent)}`);
}
