/** Table: read comma-, semicolon- and tab-separated values (RFC 4180). A record is a row; the first line names the columns. See TXT-4. */
import type { Line, Reader } from "./text-blocks.ts";
import { blockWriter, rowText } from "./text-writer.ts";

/** A quoted field over more lines than this is an unclosed quote. */
const recordLinesMax = 50;

export function tableReader(path: string): Reader {
  return (lines, carry, last) => {
    const out = blockWriter(carry);
    const separator = carry.open === "" ? guess(path, lines) : carry.open;
    out.open = separator;
    let index = 0;
    while (index < lines.length) {
      const record = readRecord(lines, index, separator);
      const first = lines[index];
      if (first === undefined) break;
      const unfinished = record.unclosed && !last && index > 0 && lines.length - index < recordLinesMax;
      if (unfinished) return { ...out.finish(lines.slice(0, index), false, "row"), next: first.n };
      if (out.columns.length === 0 && isHeader(record.cells)) out.columns = record.cells;
      else out.whole("row", rowText(record.cells, out.columns), first.n);
      index = record.next;
    }
    return out.finish(lines, last, "row");
  };
}

function guess(path: string, lines: readonly Line[]): string {
  if (/\.tsv$/i.test(path)) return "\t";
  const head = lines[0]?.text ?? "";
  const count = (mark: string): number => head.split(mark).length;
  return [",", ";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best), ",");
}

/** Names of columns hold letters and no long text. */
function isHeader(cells: readonly string[]): boolean {
  return cells.length > 1 && cells.every((cell) => cell.length < 60 && !/^[\d.,\s%-]+$/.test(cell));
}

interface Record {
  readonly cells: readonly string[];
  readonly next: number;
  readonly unclosed: boolean;
}

function readRecord(lines: readonly Line[], from: number, separator: string): Record {
  let text = lines[from]?.text ?? "";
  let next = from + 1;
  let cells = split(text, separator);
  while (cells === null && next < lines.length && next - from < recordLinesMax) {
    text += `\n${lines[next]?.text ?? ""}`;
    next += 1;
    if ((lines[next - 1]?.text ?? "").includes('"')) cells = split(text, separator);
  }
  /** An unclosed quote is text: the line stands for itself. */
  if (cells === null) return { cells: (lines[from]?.text ?? "").split(separator), next: from + 1, unclosed: true };
  return { cells, next, unclosed: false };
}

/** The fields of a record; null while a quote is open. */
function split(text: string, separator: string): string[] | null {
  const cells: string[] = [];
  let at = 0;
  while (at <= text.length) {
    if (text[at] !== '"') {
      const end = text.indexOf(separator, at);
      cells.push(text.slice(at, end < 0 ? text.length : end));
      if (end < 0) return cells;
      at = end + separator.length;
      continue;
    }
    const close = closingQuote(text, at + 1);
    if (close < 0) return null;
    const end = text.indexOf(separator, close + 1);
    cells.push(text.slice(at + 1, close).replaceAll('""', '"') + text.slice(close + 1, end < 0 ? text.length : end));
    if (end < 0) return cells;
    at = end + separator.length;
  }
  return cells;
}

function closingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at;
}
