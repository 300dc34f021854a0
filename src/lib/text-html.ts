/** Html: read HTML with htmlparser2, whose positions keep each piece on its line. What a person does not see is hidden. See TXT-4. */
import type * as Html from "htmlparser2";
import type { Parser } from "htmlparser2";
import { lazy } from "./lazy.ts";
import type { BlockKind, Line, Reader } from "./text-blocks.ts";
import { blockWriter, rowText, type BlockWriter } from "./text-writer.ts";

/** Loaded with the first HTML document: most folders have none. */
const html = lazy<typeof Html>("htmlparser2");

const skipped = new Set([
  "script",
  "style",
  "noscript",
  "template",
  "svg",
  "math",
  "iframe",
  "object",
  "select",
  "textarea",
  "button",
  "nav",
]);
const blockTags = new Set(
  "address article aside blockquote body br dd details div dl dt fieldset figcaption figure footer form header hr main ol p pre section summary table tbody thead tfoot ul".split(
    " ",
  ),
);
const concealed =
  /display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])|(?:^|;)\s*color\s*:\s*(?:#fff(?:fff)?|white)\b/i;

interface State {
  readonly out: BlockWriter;
  kind: BlockKind;
  /** Elements that are open and skipped or concealed, innermost last. */
  readonly shut: { readonly tag: string; readonly why: "skip" | "hide" }[];
  cells: string[] | null;
  cell: string | null;
  rowLine: number;
  heads: boolean;
}

export const htmlReader: Reader = (lines, carry, last) => {
  const out = blockWriter({ ...carry, open: "" });
  const state: State = { out, kind: "prose", shut: [], cells: null, cell: null, rowLine: 0, heads: false };
  const lineOf = lineFinder(lines);
  const parser: Parser = new (html().Parser)(
    {
      onopentag: (tag, attributes) => openTag(state, tag, attributes, lineOf(parser.startIndex)),
      onclosetag: (tag) => closeTag(state, tag),
      ontext: (text) => putText(state, text, lineOf(parser.startIndex)),
      oncomment: (text) => out.aside("hidden", text, lineOf(parser.startIndex)),
    },
    { decodeEntities: true, lowerCaseTags: true },
  );
  /** A chunk that begins inside a script or a style says so. */
  const prefix = skipped.has(carry.open) ? `<${carry.open}>` : "";
  lineOf.shift(prefix.length);
  parser.write(prefix + lines.map((line) => line.text).join("\n"));
  const open = state.shut.findLast((shut) => shut.why === "skip")?.tag ?? "";
  if (!last && state.cells !== null && state.rowLine > (lines[0]?.n ?? 0)) {
    out.drop();
    return { ...out.finish(lines, last, state.kind), next: state.rowLine };
  }
  if (last) parser.end();
  out.open = last ? "" : open;
  return out.finish(lines, last, state.kind);
};

function lineFinder(lines: readonly Line[]): { (offset: number): number; shift(by: number): void } {
  const starts: number[] = [];
  let at = 0;
  for (const line of lines) {
    starts.push(at);
    at += line.text.length + 1;
  }
  let shifted = 0;
  /** Positions only grow, so the search goes on where it stood. */
  let index = 0;
  const find = (offset: number): number => {
    const wanted = offset - shifted;
    if ((starts[index] ?? 0) > wanted) index = 0;
    while (index + 1 < starts.length && (starts[index + 1] ?? 0) <= wanted) index += 1;
    return lines[index]?.n ?? 1;
  };
  return Object.assign(find, {
    shift(by: number): void {
      shifted = by;
    },
  });
}

function openTag(state: State, tag: string, attributes: Readonly<Record<string, string>>, line: number): void {
  const { out } = state;
  const shut = skipped.has(tag) ? "skip" : isConcealed(attributes) ? "hide" : null;
  if (shut !== null && !isVoid(tag)) {
    if (state.shut.length === 0) endBlock(state);
    state.shut.push({ tag, why: shut });
    return;
  }
  if (tag === "tr") {
    endBlock(state);
    state.cells = [];
    state.rowLine = line;
    state.heads = true;
  } else if (tag === "td" || tag === "th") {
    endCell(state);
    state.cell = "";
    if (tag === "td") state.heads = false;
  } else if (/^h[1-6]$/.test(tag) || tag === "title" || tag === "caption") {
    endBlock(state);
    state.kind = "heading";
  } else if (tag === "li") {
    endBlock(state);
    state.kind = "item";
  } else if (tag === "table") {
    endBlock(state);
    out.columns = [];
  } else if (blockTags.has(tag) && state.cells === null) endBlock(state);
}

function closeTag(state: State, tag: string): void {
  if (state.shut.at(-1)?.tag === tag) {
    if (state.shut.at(-1)?.why === "hide") state.out.end("hidden");
    state.shut.pop();
    return;
  }
  if (state.shut.length > 0) return;
  if (tag === "td" || tag === "th") endCell(state);
  else if (tag === "tr") endRow(state);
  else if (/^h[1-6]$/.test(tag) || tag === "title" || tag === "caption" || tag === "li") endBlock(state);
  else if (blockTags.has(tag) && state.cells === null) endBlock(state);
  if (tag === "table") state.out.columns = [];
}

function putText(state: State, text: string, line: number): void {
  const why = state.shut.at(-1)?.why;
  if (why === "skip") return;
  if (state.cell !== null && why === undefined) {
    state.cell += text;
    return;
  }
  let at = line;
  for (const [index, piece] of text.split("\n").entries()) {
    if (index > 0) {
      at += 1;
      if (state.out.begun) state.out.add(" ", at - 1, true);
    }
    if (piece.trim() !== "" || state.out.begun) state.out.add(piece, at, true);
  }
}

function endBlock(state: State): void {
  if (state.cells !== null) endRow(state);
  state.out.end(state.shut.length > 0 ? "hidden" : state.kind);
  state.kind = "prose";
}

function endCell(state: State): void {
  if (state.cell !== null && state.cells !== null) state.cells.push(state.cell.replace(/\s+/g, " ").trim());
  state.cell = null;
}

function endRow(state: State): void {
  endCell(state);
  const cells = state.cells ?? [];
  state.cells = null;
  if (cells.length === 0) return;
  if (state.heads) state.out.columns = cells;
  else state.out.whole("row", rowText(cells, state.out.columns), state.rowLine);
}

function isConcealed(attributes: Readonly<Record<string, string>>): boolean {
  return "hidden" in attributes || attributes["aria-hidden"] === "true" || concealed.test(attributes["style"] ?? "");
}

function isVoid(tag: string): boolean {
  return /^(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)$/.test(tag);
}
