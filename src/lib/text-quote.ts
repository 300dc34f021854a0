/**
 * Quote: does a cited line say what is claimed, and how a quote is written so that it stays a quote.
 *   TXT-6.1  A quote is exact when its words stand in order, without a gap, from the cited line on.
 *   TXT-6.2  A sentence in other words is supported when the cited lines hold half of its terms and all of its figures.
 *   TXT-6.3  A quoted text can bring no link, image, HTML, control or invisible character into a Markdown file; its words stay as they were.
 */
import { noCarry, readBlocks, type Line } from "./text-blocks.ts";
import { terms, words } from "./text.ts";

export type Support = "exact" | "shared" | "none";

/** A document prepared for many checks. */
export interface Source {
  readonly lines: readonly Line[];
  /** The words of each line as a person reads them, by the line's number. */
  readonly read: ReadonlyMap<number, readonly string[]>;
}

interface PlacedWord {
  readonly word: string;
  readonly line: number;
}

export function sourceOf(path: string, lines: readonly Line[]): Source {
  const read = new Map<number, string[]>();
  for (const block of readBlocks(path, lines, noCarry, true).blocks) {
    for (const [index, mark] of block.marks.entries()) {
      const line = read.get(mark.line) ?? [];
      for (const word of words(block.text.slice(mark.at, block.marks[index + 1]?.at))) line.push(word);
      read.set(mark.line, line);
    }
  }
  return { lines, read };
}

/** How far a quote may run on beyond the line on which it begins. */
const runOnLinesMax = 12;

/** What share of a reworded sentence's terms must stand on the cited lines. */
export const sharedTermsMin = 0.5;

export function supportOf(source: Source, text: string, line: number, to: number): Support {
  const wanted = words(text);
  if (wanted.length === 0 || line < 1 || line > source.lines.length) return "none";
  const near = source.lines.slice(line - 1, Math.max(to, line) + runOnLinesMax);
  const read = near.flatMap(({ n }) => placed(source.read.get(n) ?? [], n));
  if (runs(read, wanted, line)) return "exact";
  const raw = near.flatMap((own) => placed(words(own.text), own.n));
  if (runs(raw, wanted, line)) return "exact";
  const cited = [...read, ...raw].filter((word) => word.line <= Math.max(to, line));
  return shares(cited.map((word) => word.word).join(" "), text) ? "shared" : "none";
}

function placed(found: readonly string[], line: number): PlacedWord[] {
  return found.map((word) => ({ word, line }));
}

function runs(stream: readonly PlacedWord[], wanted: readonly string[], line: number): boolean {
  for (const [start, first] of stream.entries()) {
    if (first.line !== line || start + wanted.length > stream.length) continue;
    if (wanted.every((word, index) => stream[start + index]?.word === word)) return true;
  }
  return false;
}

function shares(cited: string, text: string): boolean {
  const have = new Set([...terms(cited), ...words(cited)]);
  const wanted = [...new Set(terms(text))];
  const figures = words(text).filter((word) => /\d/.test(word));
  if (wanted.length === 0 || figures.some((figure) => !have.has(figure))) return false;
  return wanted.filter((term) => have.has(term)).length / wanted.length >= sharedTermsMin;
}

/** Without control, invisible, direction-changing and tag characters; white space folded to single spaces. */
export function printable(text: string): string {
  return text
    .replace(
      /[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu,
      "",
    )
    .replace(/\s+/g, " ")
    .trim();
}

/** As one line of Markdown text that renders as the text itself. */
export function escapeMarkdown(text: string): string {
  return printable(text)
    .replace(/[\\`*[\]<>|~]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, "\\$&")
    .replace(/&(?=#?\w+;)/g, "\\&")
    .replace(/(https?|ftp|mailto):/gi, "$1\\:")
    .replace(/www\./gi, "www\\.")
    .replace(/@(?=\w)/g, "\\@")
    .replace(/^(\s*)([#+\-=]|\d+(?=[.)]\s))/, (_, space: string, mark: string) =>
      /\d/.test(mark) ? `${space}${mark}` : `${space}\\${mark}`,
    )
    .replace(/^(\d+)([.)])(?=\s)/, "$1\\$2");
}

/** The target of a link to a path, with a fragment for its lines: `inbox/a%20b.md#L3-L4`. */
export function linkTarget(path: string, line: number | null, to: number | null): string {
  const encoded = path
    .split("/")
    .map(encodeURIComponent)
    .join("/")
    .replace(/[()]/g, (mark) => (mark === "(" ? "%28" : "%29"));
  if (line === null) return encoded;
  return to === null || to <= line ? `${encoded}#L${line}` : `${encoded}#L${line}-L${to}`;
}

/** `[inbox/a.md:3](inbox/a.md#L3)` */
export function citation(path: string, line: number | null, to: number | null): string {
  const label = line === null ? path : to === null || to <= line ? `${path}:${line}` : `${path}:${line}-${to}`;
  return `[${escapeMarkdown(label)}](${linkTarget(path, line, to)})`;
}

export interface Link {
  readonly path: string;
  readonly line: number | null;
  readonly to: number | null;
}

/** The citation a line of Markdown ends with, and the text before it; null without one. */
export function endingLink(markdown: string): { readonly text: string; readonly link: Link } | null {
  const line = markdown.trimEnd();
  const match = /(?<!\\)\[(?:\\.|[^[\]\\])*\]\(([^()\s]+)\)$/.exec(line);
  if (match === null) return null;
  const target = /^([^#]+)(?:#L(\d{1,9})(?:-L(\d{1,9}))?)?$/.exec(match[1] ?? "");
  const path = decodePath(target?.[1] ?? "");
  if (target === null || path === null || /^[a-z][a-z0-9+.-]*:/i.test(path)) return null;
  const from = target[2] === undefined ? null : Number(target[2]);
  const to = target[3] === undefined ? from : Number(target[3]);
  return { text: line.slice(0, match.index).trim(), link: { path, line: from, to } };
}

function decodePath(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
