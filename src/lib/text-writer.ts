/** Writer: how the readers put blocks together, line by line, and remember where each piece stood. */
import type { Block, BlockKind, Carry, Line, Reading } from "./text-blocks.ts";

export interface BlockWriter {
  section: string;
  columns: readonly string[];
  open: string;
  /** Whether a block is begun. */
  readonly begun: boolean;
  /** The line on which the begun block starts, or null. */
  readonly startLine: number | null;
  readonly text: string;
  /** Put more text under the begun block; pieces are parted by a space unless `glue`. */
  add(text: string, line: number, glue?: boolean): void;
  /** End the begun block. An empty one leaves nothing. */
  end(kind: BlockKind): void;
  /** Forget the begun block. */
  drop(): void;
  whole(kind: BlockKind, text: string, line: number): void;
  /** A block beside the begun one, which goes on. */
  aside(kind: BlockKind, text: string, line: number): void;
  /** The chunk is over. What is begun is read again with the next chunk, unless this is the last or it began with the chunk. */
  finish(lines: readonly Line[], last: boolean, unfinished: BlockKind): Reading;
}

/** Carry must stay small: it travels in a note. */
const sectionCharsMax = 120;
const columnsMax = 24;

export function blockWriter(carry: Carry): BlockWriter {
  const blocks: Block[] = [];
  let text = "";
  /** The text is empty or ends with a space. It is remembered because to look at the end of a growing text is to copy it whole. */
  let parted = true;
  let marks: { at: number; line: number }[] = [];
  const writer: BlockWriter = {
    section: carry.section,
    columns: carry.columns,
    open: carry.open,
    get begun() {
      return marks.length > 0;
    },
    get startLine() {
      return marks[0]?.line ?? null;
    },
    get text() {
      return text;
    },
    add(piece, line, glue = false) {
      const folded = glue ? piece.replace(/\s+/g, " ") : piece.replace(/\s+/g, " ").trim();
      if (folded === "" || (folded === " " && parted)) return;
      if (!glue && !parted) text += " ";
      if (marks.at(-1)?.line !== line) marks.push({ at: text.length, line });
      text += parted || !glue ? folded.trimStart() : folded;
      parted = folded.endsWith(" ");
    },
    end(kind) {
      const trimmed = text.trimEnd();
      if (trimmed !== "") blocks.push({ kind, text: trimmed, marks, section: writer.section });
      if (kind === "heading" && trimmed !== "") writer.section = trimmed.slice(0, sectionCharsMax);
      writer.drop();
    },
    drop() {
      text = "";
      parted = true;
      marks = [];
    },
    whole(kind, piece, line) {
      writer.add(piece, line);
      writer.end(kind);
    },
    aside(kind, piece, line) {
      const folded = piece.replace(/\s+/g, " ").trim();
      if (folded !== "") blocks.push({ kind, text: folded, marks: [{ at: 0, line }], section: writer.section });
    },
    finish(lines, last, unfinished) {
      const { columns, open } = writer;
      const start = writer.startLine;
      const again = !last && start !== null && start > (lines[0]?.n ?? 0);
      if (!again) writer.end(unfinished);
      return {
        blocks,
        carry: { section: writer.section, columns: columns.slice(0, columnsMax), open },
        next: again ? start : (lines.at(-1)?.n ?? 0) + 1,
      };
    },
  };
  return writer;
}

/** Text of one line of Markdown or mail as a person reads it. */
export function withoutMarkup(text: string): string {
  return text
    .replace(/!\[[^\]]{0,500}\]\([^)\s]{0,2000}[^)]{0,500}\)/g, " ")
    .replace(/\[([^\]]{0,500})\]\([^)\s]{0,2000}[^)]{0,500}\)/g, "$1")
    .replace(/\[\^[^\]]{1,40}\]/g, "")
    .replace(/<\/?[a-zA-Z][^<>]{0,500}>/g, " ")
    .replace(/\*\*|__|~~|`/g, "")
    .replace(/(^|[\s("'])[*_](?=\S)/g, "$1")
    .replace(/(\S)[*_](?=[\s.,;:!?)"']|$)/g, "$1")
    .replace(/\\([!-/:-@[-`{-~])/g, "$1")
    .replace(/&(amp|lt|gt|quot|nbsp|#39);/g, (_, name: string) => entities[name] ?? " ");
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", "#39": "'" };

/** Cells of a row as one line: `name: value` where the column has a name. */
export function rowText(cells: readonly string[], columns: readonly string[]): string {
  const shown: string[] = [];
  for (const [index, cell] of cells.entries()) {
    const value = cell.replace(/\s+/g, " ").trim();
    if (value === "" || value === "-" || value === "–") continue;
    const name = columns[index]?.replaceAll("_", " ").trim() ?? "";
    shown.push(name === "" || index === 0 ? value : `${name}: ${value}`);
  }
  return shown.join(" · ");
}
