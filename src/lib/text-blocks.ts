/**
 * Blocks: read a document as headings, prose, items and rows, each piece with the line it stands on. A document may come in chunks:
 * reading is a fold over them, and what a chunk leaves open is either carried on or read again with the next chunk.
 *   TXT-4.1  Every character of a block comes from the line its mark names; lines count from the document's first.
 *   TXT-4.2  A document read in chunks gives the same sentences as the document read at once, as long as a chunk holds a whole paragraph.
 *   TXT-4.3  Comments, scripts, invisible elements, code and quoted mail are never prose; what a person cannot see is kept apart as hidden.
 *   TXT-4.4  No input makes a reader fail or take more than linear time in lines.
 */
import { sentenceSpans } from "./text.ts";
import { codeReader } from "./text-code.ts";
import { htmlReader } from "./text-html.ts";
import { markdownReader } from "./text-markdown.ts";
import { plainReader } from "./text-plain.ts";
import { tableReader } from "./text-table.ts";

export type DocumentKind = "markdown" | "plain" | "html" | "table" | "code";

/** One line of the document; `n` counts from 1. */
export interface Line {
  readonly n: number;
  readonly text: string;
}

export type BlockKind = "heading" | "prose" | "item" | "row" | "comment" | "hidden";

export interface Block {
  readonly kind: BlockKind;
  /** As a person reads it: without markup, white space folded. */
  readonly text: string;
  /** Where in the text which line begins; the first mark is at 0. */
  readonly marks: readonly { readonly at: number; readonly line: number }[];
  /** The heading it stands under. */
  readonly section: string;
}

/** What one chunk tells the next. */
export interface Carry {
  readonly section: string;
  /** The names of a table's columns while inside it. */
  readonly columns: readonly string[];
  /** The construct that is still open: a fence, a comment, a script; empty for none. */
  readonly open: string;
}

export interface Reading {
  readonly blocks: readonly Block[];
  readonly carry: Carry;
  /** The first line the next chunk must hold: an unfinished paragraph is read again whole. */
  readonly next: number;
}

/** `last`: no chunk follows, so what is open ends here. */
export type Reader = (lines: readonly Line[], carry: Carry, last: boolean) => Reading;

export interface Sentence {
  readonly text: string;
  readonly line: number;
  /** The line it ends on. */
  readonly to: number;
  readonly kind: BlockKind;
  readonly section: string;
}

export const noCarry: Carry = { section: "", columns: [], open: "" };

const readers: Readonly<Record<DocumentKind, (path: string) => Reader>> = {
  markdown: () => markdownReader,
  plain: () => plainReader,
  html: () => htmlReader,
  table: tableReader,
  code: codeReader,
};

export function readBlocks(path: string, lines: readonly Line[], carry: Carry, last: boolean): Reading {
  return readers[documentKind(path)](path)(lines, carry, last);
}

const kinds: readonly (readonly [DocumentKind, RegExp])[] = [
  ["markdown", /\.(?:md|markdown|mdx|rst|adoc)$/i],
  ["html", /\.(?:html?|xhtml)$/i],
  ["table", /\.(?:csv|tsv)$/i],
  [
    "code",
    /\.(?:[cm]?[jt]sx?|py|rb|go|rs|java|kt|c|cc|cpp|h|hpp|cs|php|sh|bash|sql|lua|pl|r|swift|scala|ya?ml|toml|ini|css|json|jsonl|xml)$/i,
  ],
];

export function documentKind(path: string): DocumentKind {
  return kinds.find(([, pattern]) => pattern.test(path))?.[0] ?? "plain";
}

/** The sentences of a block. A row is one; a heading and hidden text are none. */
export function sentencesOf(block: Block): Sentence[] {
  const { kind, section } = block;
  if (kind === "heading" || kind === "hidden") return [];
  const spans = kind === "row" ? [{ from: 0, to: block.text.length }] : sentenceSpans(block.text);
  return spans.map(({ from, to }) => ({
    text: block.text.slice(from, to),
    line: lineAt(block, from),
    to: lineAt(block, to - 1),
    kind,
    section,
  }));
}

function lineAt(block: Block, offset: number): number {
  let line = block.marks[0]?.line ?? 1;
  for (const mark of block.marks) {
    if (mark.at > offset) break;
    line = mark.line;
  }
  return line;
}

/** Split a whole text into its lines. */
export function linesOf(text: string): Line[] {
  const rows = text.split(/\r\n|\r|\n/);
  if (rows.at(-1) === "") rows.pop();
  return rows.map((row, index) => ({ n: index + 1, text: row }));
}

/** fs.read shortens a very long line and says so at its end; that note is not the document's. */
export function withoutCut(line: string): string {
  return line.replace(/… \[\d+ more characters\]$/, "");
}
