/**
 * Diff: a session's changes as a unified diff, for a person and for a model.
 * Source: GNU diffutils manual, "Detailed Description of Unified Format".
 *   FIL-3.1  A text file's diff, applied by patch(1), gives the new content; a missing last line feed is marked.
 *   FIL-3.2  A binary or unreadable content is one line that says so, with sizes.
 *   FIL-3.3  A path that would break the format (control bytes, quotes) is quoted as git does.
 */
import { diffLines, splitLines, type Hunk } from "./lines.ts";
import { textOf } from "./merge.ts";

export interface DiffFile {
  readonly path: string;
  /** null: the file is not there on this side. */
  readonly before: Uint8Array | null;
  readonly after: Uint8Array | null;
  readonly executableBefore: boolean;
  readonly executableAfter: boolean;
}

/** A line of a diff: ` ` on both sides, `-` only before, `+` only after; `@` begins a place, `\` says that the line above has no line feed. */
export interface DiffRow {
  readonly mark: " " | "-" | "+" | "@" | "\\";
  /** Without mark and line feed. */
  readonly text: string;
}

const contextLines = 3;

export function unifiedDiff(files: readonly DiffFile[]): string {
  return files.map(fileDiff).join("");
}

function fileDiff(file: DiffFile): string {
  const from = file.before === null ? "/dev/null" : quotePath(`a/${file.path}`);
  const to = file.after === null ? "/dev/null" : quotePath(`b/${file.path}`);
  const mode = file.before !== null && file.after !== null && file.executableBefore !== file.executableAfter;
  const head = mode ? `mode of ${quotePath(file.path)}: ${file.executableAfter ? "now" : "no longer"} executable\n` : "";
  const before = textOf(file.before ?? new Uint8Array());
  const after = textOf(file.after ?? new Uint8Array());
  if (before === null || after === null) {
    return `${head}Binary files ${from} (${file.before?.length ?? 0} bytes) and ${to} (${file.after?.length ?? 0} bytes) differ\n`;
  }
  const [a, b] = [splitLines(before), splitLines(after)];
  const hunks = diffLines(a, b);
  if (hunks.length === 0 && file.before !== null && file.after !== null) return head;
  let text = `${head}--- ${from}\n+++ ${to}\n`;
  for (const row of diffRows(hunks, a, b)) text += `${row.mark}${row.text}\n`;
  return text;
}

/** The changed places of two texts, each with the lines around it. */
export function* diffRows(hunks: readonly Hunk[], a: readonly string[], b: readonly string[]): Generator<DiffRow> {
  for (const group of groups(hunks)) yield* groupRows(group, a, b);
}

/** Hunks whose contexts meet are shown as one. */
function groups(hunks: readonly Hunk[]): Hunk[][] {
  const out: Hunk[][] = [];
  for (const hunk of hunks) {
    const last = out.at(-1)?.at(-1);
    if (last !== undefined && hunk.fromAt - (last.fromAt + last.from) <= 2 * contextLines) out.at(-1)?.push(hunk);
    else out.push([hunk]);
  }
  return out;
}

function* groupRows(group: readonly Hunk[], a: readonly string[], b: readonly string[]): Generator<DiffRow> {
  const first = group[0];
  const last = group.at(-1);
  if (first === undefined || last === undefined) return;
  const start = Math.max(0, first.fromAt - contextLines);
  const end = Math.min(a.length, last.fromAt + last.from + contextLines);
  const toStart = first.toAt - (first.fromAt - start);
  const toEnd = last.toAt + last.to + (end - last.fromAt - last.from);
  yield { mark: "@", text: `@ -${range(start, end)} +${range(toStart, toEnd)} @@` };
  let at = start;
  for (const hunk of group) {
    yield* marked(" ", a, at, hunk.fromAt);
    yield* marked("-", a, hunk.fromAt, hunk.fromAt + hunk.from);
    yield* marked("+", b, hunk.toAt, hunk.toAt + hunk.to);
    at = hunk.fromAt + hunk.from;
  }
  yield* marked(" ", a, at, end);
}

function* marked(mark: DiffRow["mark"], lines: readonly string[], from: number, to: number): Generator<DiffRow> {
  for (let at = from; at < to; at += 1) {
    const line = lines[at] ?? "";
    if (line.endsWith("\n")) yield { mark, text: line.slice(0, -1) };
    else {
      yield { mark, text: line };
      yield { mark: "\\", text: " No newline at end of file" };
    }
  }
}

/** An empty range names the line before it. */
function range(start: number, end: number): string {
  return `${end === start ? start : start + 1},${end - start}`;
}

function quotePath(path: string): string {
  return /["\\\u0000-\u001f\u007f]/.test(path) ? JSON.stringify(path) : path;
}
