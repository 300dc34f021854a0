/**
 * Documents: what a folder holds, and how each document is read within a window. Acts only through Sys.
 *   PRG-5.1  Every file of the folder is either a document or skipped with its reason; none disappears.
 *   PRG-5.2  Documents come in the order of their paths; a document larger than its share comes in parts that cover every line once.
 *   PRG-5.4  No read of a part takes more tokens than planned, however unevenly the document is written, unless a single line does.
 *   PRG-5.5  Of a line too long to be read whole the rest is named as not read.
 *   PRG-5.3  A text read back has its lines' own numbers.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Sys } from "../abi/sys.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { withoutCut, type Line } from "../lib/text-blocks.ts";
import { estimateTokens } from "../lib/tokens.ts";
import type { ReadPlan } from "./room.ts";

export interface DocumentPart {
  readonly path: string;
  readonly from: number;
  readonly to: number;
  /** How many lines the whole document has. */
  readonly of: number;
  /** How many lines fit one read. */
  readonly linesPerRead: number;
}

export interface Skipped {
  readonly path: string;
  readonly why: string;
}

export interface Inventory {
  readonly parts: readonly DocumentPart[];
  readonly documents: readonly { readonly path: string; readonly lines: number }[];
  readonly skipped: readonly Skipped[];
}

/** What a folder holds, before any of it is read. */
export interface Listing {
  readonly root: string;
  readonly files: readonly Found[];
  readonly skipped: readonly Skipped[];
}

export async function listDocuments(sys: Sys, root: string): Promise<Result<Listing, SysError>> {
  const files: Found[] = [];
  const skipped: Skipped[] = [];
  const walked = await walk(sys, root.replace(/\/+$/, ""), 0, files, skipped);
  return walked.ok ? ok({ root, files, skipped }) : walked;
}

export async function takeInventory(sys: Sys, listing: Listing, plan: ReadPlan): Promise<Result<Inventory, SysError>> {
  const { root, files } = listing;
  const skipped = [...listing.skipped];
  const parts: DocumentPart[] = [];
  const documents: { path: string; lines: number }[] = [];
  for (const { path, bytes } of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const read = bytes === 0 ? ok(nothing) : await readDocument(sys, path);
    const why = read.ok ? notDocument(read.value) : whyNot(read.error);
    if (!read.ok || why !== null) {
      skipped.push({ path, why: why ?? "it cannot be read" });
      continue;
    }
    const { lines, cut } = read.value;
    documents.push({ path, lines: lines.length });
    parts.push(...partsOf(path, lines, plan));
    if (cut > 0)
      skipped.push({
        path,
        why: `what ${cut === 1 ? "one line holds" : `${cut} lines hold`} beyond ${limits.lineCharsMax} characters`,
      });
  }
  skipped.sort((a, b) => (a.path < b.path ? -1 : 1));
  return parts.length === 0 ? fail("ENOENT", nothingToRead(root, skipped)) : ok({ parts, documents, skipped });
}

const nothing: WholeDocument = { lines: [], cut: 0 };
const namedMax = 3;

function nothingToRead(root: string, skipped: readonly Skipped[]): string {
  const named = skipped.slice(0, namedMax).map(({ path, why }) => `${path} (${why})`);
  const more = skipped.length > namedMax ? [`and ${skipped.length - namedMax} more`] : [];
  const found = named.length === 0 ? "" : `: ${[...named, ...more].join("; ")}`;
  return `${root} holds no document that can be read${found}; name a folder with text, Markdown, HTML, CSV or source files`;
}

export interface Found {
  readonly path: string;
  /** null where the listing does not say. */
  readonly bytes: number | null;
}

async function walk(sys: Sys, path: string, depth: number, files: Found[], skipped: Skipped[]): Promise<Result<void, SysError>> {
  const listing = await sys.call("fs.list", { path: path === "" ? "." : path });
  if (!listing.ok) {
    if (depth > 0) skipped.push({ path, why: whyNot(listing.error) });
    else if (listing.error.errno !== "EINVAL") return listing;
    else files.push({ path, bytes: null });
    return ok(undefined);
  }
  if (isCut(listing.value))
    skipped.push({ path: path === "" ? "." : path, why: `what lies beyond its first ${limits.listEntriesMax} entries` });
  for (const entry of entriesOf(listing.value, path)) {
    const name = entry.path.split("/").at(-1) ?? "";
    if (entry.type === "folder" && depth < limits.documentDepthMax && !name.startsWith(".") && name !== packagesFolder) {
      const below = await walk(sys, entry.path, depth + 1, files, skipped);
      if (!below.ok) return below;
    } else if (entry.type !== "file") skipped.push({ path: entry.path, why: whyNotEntered(entry, name) });
    else if (files.length >= limits.documentsMax)
      return fail("E2BIG", `${path} holds more than ${limits.documentsMax} files; name a smaller folder`);
    else if (entry.bytes !== null && entry.bytes > limits.fileBytesMax) {
      skipped.push({ path: entry.path, why: `too large, with ${entry.bytes} bytes where ${limits.fileBytesMax} can be read` });
    } else files.push({ path: entry.path, bytes: entry.bytes });
  }
  return ok(undefined);
}

interface Entry extends Found {
  readonly type: string;
}

function entriesOf(value: Json, folder: string): Entry[] {
  const list = Array.isArray(value)
    ? (value as readonly Json[])
    : isObject(value) && Array.isArray(value["entries"])
      ? (value["entries"] as readonly Json[])
      : [];
  const seen = new Set<string>();
  return list.flatMap((item) => {
    if (!isObject(item) || typeof item["path"] !== "string") return [];
    const given = item["path"];
    if (given === folder) return [entryOf(item, folder)];
    const path = folder === "" || folder === "." || given.startsWith(`${folder}/`) ? given : `${folder}/${given}`;
    /** A listing may go deeper than one level; each folder is listed on its own. */
    const nested = path.slice(folder === "" || folder === "." ? 0 : folder.length + 1).includes("/");
    if (nested || seen.has(path)) return [];
    seen.add(path);
    return [entryOf(item, path)];
  });
}

function entryOf(item: JsonObject, path: string): Entry {
  const { type, bytes } = item;
  return { path, type: typeof type === "string" ? type : "file", bytes: typeof bytes === "number" ? bytes : null };
}

/** A listing that was cut says so in its text. */
function isCut(value: Json): boolean {
  return isObject(value) && typeof value["text"] === "string" && /\n\[more than \d+ entries/.test(value["text"]);
}

/** Why what was read is no document; null when it is one. */
function notDocument({ lines }: WholeDocument): string | null {
  if (lines.length === 0) return "empty";
  return isBinary(lines[0]?.text ?? "") ? "binary" : null;
}

/** What the reader of a brief is told of an entry that is neither a file nor a folder that is entered. */
function whyNotEntered({ type }: Entry, name: string): string {
  if (type !== "folder") return type === "link" ? "a link" : "no file";
  if (name.startsWith(".")) return "a hidden folder";
  return name === packagesFolder ? "installed packages" : `a folder more than ${limits.documentDepthMax} deep`;
}

const packagesFolder = "node_modules";

/** `binary, a PNG image of 512 bytes` where the error says what it is; else the error. What it advises a process to do next is not for a reader. */
function whyNot({ errno, message }: SysError): string {
  if (errno === "EPERM" || errno === "EACCES") return "not permitted";
  const what = /\bnot text but (.{1,80}? bytes?)\b/.exec(message)?.[1];
  if (what !== undefined) return /^an? /.test(what) ? `binary, ${what}` : what;
  return /\bbinary\b/i.test(message) ? "binary" : message;
}

/** A NUL, or replacement characters in more than one of fifty. */
function isBinary(sample: string): boolean {
  if (sample.includes("\u0000")) return true;
  const broken = sample.match(/[\ufffd\u0001-\u0008\u000e-\u001a]/g)?.length ?? 0;
  return broken > sample.length / 50;
}

function partsOf(path: string, lines: readonly Line[], { tokensPerRead, readsPerPart }: ReadPlan): DocumentPart[] {
  const costs = lines.map(({ n, text }) => estimateTokens(`${n}│ ${text}`) + 1);
  const of = lines.length;
  const parts: DocumentPart[] = [];
  for (let from = 1; from <= of;) {
    const linesPerRead = linesThatFit(
      costs.slice(from - 1, from - 1 + linesPerReadMax * readsPerPart),
      tokensPerRead,
      readsPerPart,
    );
    /** What is left is shared out evenly, so that no part is a mere rest. */
    const count = Math.ceil((of - from + 1) / (linesPerRead * readsPerPart));
    const to = from + Math.ceil((of - from + 1) / count) - 1;
    parts.push({ path, from, to, of, linesPerRead });
    from = to + 1;
  }
  return parts;
}

const linesPerReadMax = 400;

/** So many lines that no read of the first `reads` takes more than `tokens`, wherever it begins; a single line may. */
function linesThatFit(costs: readonly number[], tokens: number, reads: number): number {
  for (let count = linesPerReadMax; count > 1; count = Math.floor(count * 0.8)) {
    let sum = 0;
    const fits = costs.slice(0, count * reads).every((cost, index) => {
      sum += cost - (costs[index - count] ?? 0);
      return sum <= tokens;
    });
    if (fits) return count;
  }
  return 1;
}

export interface ReadLines {
  readonly lines: readonly Line[];
  /** How many of them were too long to be shown whole. */
  readonly cut: number;
  /** How many lines the document has. */
  readonly of: number;
}

/** One fs.read, with the lines taken apart again. */
export async function readLines(sys: Sys, path: string, from: number, to: number): Promise<Result<ReadLines, SysError>> {
  const read = await sys.call("fs.read", { path, from, to });
  if (!read.ok) return read;
  const value = read.value;
  const text = isObject(value) && typeof value["text"] === "string" ? value["text"] : typeof value === "string" ? value : "";
  const range = /^(\d+)-(\d+) of (\d+)$/.exec(isObject(value) && typeof value["lines"] === "string" ? value["lines"] : "");
  const rows = text === "" ? [] : text.split("\n");
  const lines = rows.flatMap(lineOf);
  const cut = rows.filter((row) => withoutCut(row) !== row).length;
  return ok({ lines, cut, of: range === null ? (lines.at(-1)?.n ?? 0) : Number(range[3]) });
}

function lineOf(row: string): Line[] {
  const match = /^\s*(\d+)│ ?(.*)$/s.exec(row);
  return match === null ? [] : [{ n: Number(match[1]), text: withoutCut(match[2] ?? "") }];
}

const linesPerCall = 2_000;

export interface WholeDocument {
  readonly lines: readonly Line[];
  /** How many of them were too long to be read whole. */
  readonly cut: number;
}

/** A whole document, in as many reads as it takes. */
export async function readDocument(sys: Sys, path: string): Promise<Result<WholeDocument, SysError>> {
  const lines: Line[] = [];
  let cut = 0;
  for (let from = 1; ;) {
    const read = await readLines(sys, path, from, from + linesPerCall - 1);
    if (!read.ok) return read;
    lines.push(...read.value.lines);
    cut += read.value.cut;
    const next = (lines.at(-1)?.n ?? 0) + 1;
    if (next > read.value.of || next <= from) return ok({ lines, cut });
    from = next;
  }
}
