/**
 * Review: a commit's steps as a person is shown them before they allow it.
 *   FIL-14.1  Every step is listed or counted as left out. What a tool obeys, what can run and what is a link comes first, then path by path.
 *   FIL-14.2  A text's rows, where none is left out, applied to what stands there give what it becomes; rows and characters left out are counted.
 *   FIL-14.3  Both sides of a step are told by size and digest; what is no text, is not kept or is too much to compare is told as that.
 *   FIL-14.4  What is shown never exceeds the bounds, however many and however large the files are.
 */
import type { FileStep } from "../abi/files.ts";
import type { Digest } from "../lib/hash.ts";
import { linkMark } from "./commit.ts";
import { diffRows, type DiffRow } from "./diff.ts";
import { diffLines, splitLines } from "./lines.ts";
import { textOf } from "./merge.ts";

/** Why a step deserves the first look. */
export type StepMark = "obeyed" | "executable" | "script" | "link";

/** What stands at the path, or is to stand there. */
export interface Side {
  readonly type: "file" | "link" | "folder";
  /** null for a folder. */
  readonly digest: Digest | null;
  /** null for a folder, and where the content is not kept. */
  readonly bytes: number | null;
  readonly executable: boolean;
  /** Where a link points; null for anything else. */
  readonly target: string | null;
}

export interface ReviewRow extends DiffRow {
  /** Characters of the line that are left out. */
  readonly cut: number;
}

export interface ReviewedStep {
  readonly path: string;
  readonly marks: readonly StepMark[];
  readonly before: Side | null;
  readonly after: Side | null;
  /** `lines`: `rows` say what changes · `binary`: no text · `large`: not compared here · `missing`: not kept · `same`: nothing in the content. */
  readonly content: "lines" | "binary" | "large" | "missing" | "same";
  readonly added: number;
  readonly removed: number;
  readonly rows: readonly ReviewRow[];
  /** Added and removed lines that `rows` leaves out. */
  readonly rowsLeft: number;
}

export interface Review {
  readonly steps: readonly ReviewedStep[];
  /** Steps that are not listed; none of them is marked unless all that are listed are. */
  readonly stepsLeft: number;
}

/** Of the rows `all` in one review and `each` for one step; a line's characters; bytes of text that are compared. */
export interface ReviewBounds {
  readonly steps: number;
  readonly all: number;
  readonly each: number;
  readonly chars: number;
  readonly bytes: number;
}

export interface ReviewRequest {
  readonly steps: readonly FileStep[];
  /** Contents by digest; null where it is not kept. */
  readonly content: (digest: Digest) => Uint8Array | null;
  readonly obeyed: (path: string) => boolean;
  readonly bounds: ReviewBounds;
}

export function review({ steps, content, obeyed, bounds }: ReviewRequest): Review {
  const marked = steps.map((step) => ({ step, marks: marksOf(step, content, obeyed) }));
  const listed = marked.toSorted((a, b) => rank(a.marks) - rank(b.marks) || order(a.step.path, b.step.path));
  let rowsLeft = bounds.all;
  let bytesLeft = bounds.bytes;
  const shown = listed.slice(0, bounds.steps).map(({ step, marks }): ReviewedStep => {
    const sides = { before: beforeOf(step, content), after: afterOf(step, content) };
    const bytes = (sides.before?.bytes ?? 0) + (sides.after?.bytes ?? 0);
    const compared = compare(step, content, bytes <= bytesLeft, Math.min(rowsLeft, bounds.each), bounds.chars);
    if (compared.content === "lines") bytesLeft -= bytes;
    rowsLeft -= compared.rows.length;
    return { path: step.path, marks, ...sides, ...compared };
  });
  return { steps: shown, stepsLeft: listed.length - shown.length };
}

function rank(marks: readonly StepMark[]): number {
  return marks.length > 0 ? 0 : 1;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function marksOf(step: FileStep, content: ReviewRequest["content"], obeyed: ReviewRequest["obeyed"]): readonly StepMark[] {
  const marks: StepMark[] = obeyed(step.path) ? ["obeyed"] : [];
  if (step.op === "write" && (step.type === "link" || (step.from !== null && step.typeFrom === "link"))) marks.push("link");
  if (step.op !== "write" || step.type === "link") return marks;
  if (step.executable) marks.push("executable");
  const data = content(step.to);
  if (data?.[0] === 0x23 && data[1] === 0x21) marks.push("script");
  return marks;
}

function beforeOf(step: FileStep, content: ReviewRequest["content"]): Side | null {
  if (step.op === "mkdir" || (step.op === "write" && step.from === null)) return null;
  if (step.op === "rmdir") return folder;
  const type = step.op === "remove" ? step.type : step.typeFrom;
  return step.from === null ? null : sideOf(type, step.from, step.executableFrom, content);
}

function afterOf(step: FileStep, content: ReviewRequest["content"]): Side | null {
  if (step.op === "mkdir") return folder;
  return step.op === "write" ? sideOf(step.type, step.to, step.executable, content) : null;
}

const folder: Side = { type: "folder", digest: null, bytes: null, executable: false, target: null };

function sideOf(type: "file" | "link", digest: Digest, executable: boolean, content: ReviewRequest["content"]): Side {
  const data = content(digest);
  if (type === "file") return { type, digest, bytes: data?.length ?? null, executable, target: null };
  const target = data === null ? null : Buffer.from(data).toString("utf8").slice(linkMark.length);
  return { type, digest, bytes: null, executable: false, target };
}

type Compared = Pick<ReviewedStep, "content" | "added" | "removed" | "rows" | "rowsLeft">;

function compare(step: FileStep, content: ReviewRequest["content"], fits: boolean, rowsMax: number, charsMax: number): Compared {
  const nothing = { added: 0, removed: 0, rows: [], rowsLeft: 0 } as const;
  if (step.op === "mkdir" || step.op === "rmdir") return { ...nothing, content: "same" };
  const from = step.op === "write" && step.typeFrom === "link" ? null : step.from;
  const to = step.op === "write" && step.type === "file" ? step.to : null;
  if (step.op === "remove" && step.type === "link") return { ...nothing, content: "same" };
  if (from === to) return { ...nothing, content: "same" };
  const [before, after] = [from === null ? empty : content(from), to === null ? empty : content(to)];
  if (before === null || after === null) return { ...nothing, content: "missing" };
  if (!fits) return { ...nothing, content: "large" };
  const [was, is] = [textOf(before), textOf(after)];
  if (was === null || is === null) return { ...nothing, content: "binary" };
  const [a, b] = [splitLines(was), splitLines(is)];
  const hunks = diffLines(a, b);
  const added = hunks.reduce((sum, hunk) => sum + hunk.to, 0);
  const removed = hunks.reduce((sum, hunk) => sum + hunk.from, 0);
  const rows: ReviewRow[] = [];
  if (rowsMax > 0)
    for (const row of diffRows(hunks, a, b)) {
      rows.push(cut(row, charsMax));
      if (rows.length >= rowsMax) break;
    }
  const told = rows.filter(({ mark }) => mark === "+" || mark === "-").length;
  return { content: "lines", added, removed, rows, rowsLeft: added + removed - told };
}

const empty = new Uint8Array();

function cut({ mark, text }: DiffRow, charsMax: number): ReviewRow {
  if (text.length <= charsMax) return { mark, text, cut: 0 };
  const shown = text.slice(0, charsMax).replace(/[\ud800-\udbff]$/, "");
  return { mark, text: shown, cut: text.length - shown.length };
}
