/**
 * Review: what a commit would do to the workspace, as rows for the person who is asked.
 *   TTY-14.1  Paths, link targets and lines stand behind a bar; sizes, counts, modes and what is left out are the kernel's rows at the margin.
 *   TTY-14.2  Each step says what it does before its path, and whether tools obey it, it can run, or it is a link; the first diff row follows the path.
 *   TTY-14.3  What is left out is counted where it is left out, and the last row names the command that shows it.
 */
import type { Review, ReviewedStep, Side, StepMark } from "../../files/review.ts";
import { plural } from "../../lib/plural.ts";
import { formatBytes } from "./format.ts";
import { neutraliseLine } from "./neutralise.ts";
import { escapedRows, quoted } from "./quote.ts";
import type { Palette, Tone } from "./screen.ts";
import { wrap } from "./width.ts";

/** `more` is the command that shows everything. */
export function renderReview(review: Review, more: string, width: number, colours: Palette): readonly string[] {
  const count = review.steps.length + review.stepsLeft;
  const rows = review.steps.flatMap((step, index) => stepRows(step, `${index + 1} of ${count}`, width, colours));
  const left = review.stepsLeft > 0 ? wrap(`and ${plural(review.stepsLeft, "more path")}, not shown here`, width) : [];
  const cut = review.stepsLeft > 0 || review.steps.some(isCut);
  const all = cut ? wrap(`this is not all of it: ${more}`, width).map((row) => colours.paint("warn", row)) : [];
  if (count === 0) return wrap("it would change nothing: the workspace has it all", width);
  return [...rows, ...left, ...all];
}

function isCut({ content, rows, rowsLeft }: ReviewedStep): boolean {
  return content === "large" || rowsLeft > 0 || rows.some((row) => row.cut > 0);
}

function stepRows(step: ReviewedStep, place: string, width: number, colours: Palette): readonly string[] {
  const words = [`${place}: ${changeOf(step)}`, ...noticesOf(step), ...sizesOf(step), ...contentOf(step)];
  const tone: Tone = step.marks.length > 0 ? "bad" : "strong";
  const target = step.after?.target ?? null;
  return [
    ...wrap(words.join(", "), width).map((row) => colours.paint(tone, row)),
    ...named(step.path, width),
    ...(target === null ? [] : ["points to:", ...named(target, width)]),
    ...step.rows.flatMap((row) => [
      ...quoted(`${row.mark}${row.text}`, width).map((text) => painted(row.mark, text, colours)),
      ...(row.cut > 0 ? wrap(`and ${plural(row.cut, "more character")} of this line`, width) : []),
    ]),
    ...(step.rowsLeft > 0 ? wrap(`and ${plural(step.rowsLeft, "more changed line")} of this file`, width) : []),
  ];
}

/** A name is one line, and shown in escaped form too where letters could be taken for others. */
function named(name: string, width: number): readonly string[] {
  const escaped = escapedRows(name.replaceAll("\n", "\\n"), width);
  return [...quoted(neutraliseLine(name), width), ...(escaped.length > 0 ? ["escaped:", ...escaped] : [])];
}

function painted(mark: string, row: string, colours: Palette): string {
  const tone = tones[mark];
  return tone === undefined ? row : colours.paint(tone, row);
}

const tones: Readonly<Record<string, Tone>> = { "+": "good", "-": "bad", "@": "name" };

function changeOf({ before, after }: ReviewedStep): string {
  if (before === null) return `new ${after?.type ?? "file"}`;
  if (after === null) return `${before.type} removed`;
  return before.type === after.type ? `${after.type} changed` : `${before.type} becomes a ${after.type}`;
}

const notices: Readonly<Record<StepMark, string>> = {
  obeyed: "TOOLS OBEY IT UNASKED",
  executable: "IT CAN RUN",
  script: "A SCRIPT",
  link: "A LINK",
};

function noticesOf({ marks, before, after }: ReviewedStep): readonly string[] {
  const files = before?.type === "file" && after?.type === "file";
  const mode = files && before.executable !== after.executable;
  return [
    ...marks.map((mark) => notices[mark]),
    ...(mode ? [after.executable ? "which it could not before" : "it cannot run any more"] : []),
  ];
}

function sizesOf({ before, after }: ReviewedStep): readonly string[] {
  const [was, is] = [before?.bytes ?? null, after?.bytes ?? null];
  if (was !== null && is !== null) return [`${formatBytes(was)} before, ${formatBytes(is)} after`];
  return was !== null ? [`${formatBytes(was)} before`] : is !== null ? [formatBytes(is)] : [];
}

function contentOf({ content, added, removed, before, after }: ReviewedStep): readonly string[] {
  const digests = `SHA-256 ${short(before)} before, ${short(after)} after`;
  switch (content) {
    case "lines":
      return [`+${added} -${removed} lines`];
    case "binary":
      return [`not text: ${digests}`];
    case "large":
      return [`too large to be compared here: ${digests}`];
    case "missing":
      return [`the content is not kept: ${digests}`];
    case "same":
      return before?.type === "file" && after?.type === "file" ? ["the content stays"] : [];
  }
}

function short(side: Side | null): string {
  return side?.digest?.slice(0, 12) ?? "nothing";
}
