/**
 * Table: rows under their titles.
 *   TTY-5.1  Columns line up whatever the script; numbers stand right.
 *   TTY-5.2  On a terminal no line exceeds its width: flexible columns give way first, widest first, and what is cut ends with `…`.
 *   TTY-5.3  Where even the narrowest table does not fit, each row becomes a block of `title: value` lines, cut nowhere.
 *   TTY-5.4  In a pipe (width null) nothing is cut.
 *   TTY-5.5  Every cell is neutralised and takes one line.
 */
import type { Palette, Tone } from "./screen.ts";
import { neutraliseLine } from "./neutralise.ts";
import { cut, pad, widthOf, wrap } from "./width.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be cut, down to this many columns; others keep their full width. */
  readonly flexMin?: number;
}

export type Cell = string | { readonly text: string; readonly tone: Tone };

export function table(
  rows: readonly (readonly Cell[])[],
  columns: readonly Column[],
  width: number | null,
  colours: Palette,
): string {
  const texts = rows.map((row) => columns.map((_, index) => neutraliseLine(textOf(row[index] ?? ""))));
  const natural = columns.map(({ title }, index) => Math.max(widthOf(title), ...texts.map((row) => widthOf(row[index] ?? ""))));
  const widths = width === null ? natural : shrink(natural, columns, width);
  if (widths === null) return blocks(rows, texts, columns, width ?? 80, colours);
  const line = (cells: readonly string[], paint: (index: number, text: string) => string): string => {
    const shown = cells.map((cell, index) => {
      const [size, align] = [widths[index] ?? 0, columns[index]?.align ?? "left"];
      const last = index === columns.length - 1 && align === "left";
      const fitted = width === null ? cell : cut(cell, size);
      // Padding stays outside the paint, and the last column has none: no trailing spaces.
      const space = " ".repeat(last ? 0 : Math.max(0, size - widthOf(fitted)));
      const painted = paint(index, fitted);
      return align === "left" ? painted + space : space + painted;
    });
    return shown.join("  ").trimEnd();
  };
  const titles = line(
    columns.map((column) => column.title),
    (_, text) => colours.paint("dim", text),
  );
  const body = texts.map((row, at) => line(row, (index, text) => paintCell(rows[at]?.[index], text, colours)));
  return `${[titles, ...body].join("\n")}\n`;
}

/** Null when the narrowest table is still too wide. */
function shrink(natural: readonly number[], columns: readonly Column[], width: number): readonly number[] | null {
  const widths = [...natural];
  let over = widths.reduce((sum, size) => sum + size, 0) + 2 * (columns.length - 1) - width;
  while (over > 0) {
    let widest = -1;
    for (const [index, { flexMin }] of columns.entries()) {
      const [size = 0, best = 0] = [widths[index], widths[widest]];
      if (flexMin !== undefined && size > flexMin && size > best) widest = index;
    }
    if (widest === -1) return null;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over -= 1;
  }
  return widths;
}

function blocks(
  rows: readonly (readonly Cell[])[],
  texts: readonly (readonly string[])[],
  columns: readonly Column[],
  width: number,
  colours: Palette,
): string {
  const label = Math.max(...columns.map(({ title }) => widthOf(title)));
  const room = Math.max(8, width - label - 2);
  const block = (row: readonly string[], at: number): string => {
    const lines = columns.flatMap(({ title }, index) => {
      return wrap(row[index] ?? "", room).map((part, n) => {
        const head =
          n === 0 ? colours.paint("dim", `${title}:`) + " ".repeat(label - widthOf(title) + 1) : pad("", label + 2, "left");
        return (head + paintCell(rows[at]?.[index], part, colours)).trimEnd();
      });
    });
    return lines.join("\n");
  };
  return `${texts.map(block).join("\n\n")}\n`;
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

function paintCell(cell: Cell | undefined, text: string, colours: Palette): string {
  return cell === undefined || typeof cell === "string" ? text : colours.paint(cell.tone, text);
}
