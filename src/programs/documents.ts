/**
 * Documents: what a folder holds, and how each document is read within a window. Acts only through Sys.
 *   PRG-5.1  Every file of the folder is either a document or skipped with its reason; none disappears.
 *   PRG-5.2  Documents come in the order of their paths; a document larger than its share comes in parts that cover every line once.
 *   PRG-5.3  A text read back has its lines' own numbers.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Sys } from "../abi/sys.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { withoutCut, type Line } from "../lib/text-blocks.ts";

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

/** Bytes a token stands for in prose, on the careful side. */
const bytesPerToken = 3.6;
/** The share of the window one read may fill, and how many windows one process may read through. */
const readShare = 0.16;
const windowsPerPart = 1.5;

export async function takeInventory(sys: Sys, root: string, windowTokens: number): Promise<Result<Inventory, SysError>> {
  const files: Found[] = [];
  const skipped: Skipped[] = [];
  const walked = await walk(sys, root.replace(/\/+$/, ""), 0, files, skipped);
  if (!walked.ok) return walked;
  const parts: DocumentPart[] = [];
  const documents: { path: string; lines: number }[] = [];
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const probed = await probe(sys, file);
    if (typeof probed === "string") skipped.push({ path: file.path, why: probed });
    else {
      documents.push({ path: file.path, lines: probed });
      parts.push(...partsOf(file, probed, windowTokens));
    }
  }
  return ok({ parts, documents, skipped: skipped.toSorted((a, b) => (a.path < b.path ? -1 : 1)) });
}

interface Found {
  readonly path: string;
  /** null where the listing does not say. */
  readonly bytes: number | null;
}

async function walk(sys: Sys, path: string, depth: number, files: Found[], skipped: Skipped[]): Promise<Result<void, SysError>> {
  const listing = await sys.call("fs.list", { path: path === "" ? "." : path });
  if (!listing.ok) {
    if (depth > 0) skipped.push({ path, why: whyNot(listing.error) });
    else if (listing.error.errno === "ENOENT") return listing;
    else files.push({ path, bytes: null });
    return ok(undefined);
  }
  if (isCut(listing.value))
    skipped.push({ path: path === "" ? "." : path, why: "its listing was cut; what it did not show was not read" });
  for (const entry of entriesOf(listing.value, path)) {
    const name = entry.path.split("/").at(-1) ?? "";
    if (entry.type === "folder" && depth < limits.documentDepthMax && !name.startsWith(".") && name !== "node_modules") {
      await walk(sys, entry.path, depth + 1, files, skipped);
    } else if (entry.type !== "file") skipped.push({ path: entry.path, why: kinds[entry.type] ?? "no file" });
    else if (files.length >= limits.documentsMax)
      return fail("E2BIG", `${path} holds more than ${limits.documentsMax} files; name a smaller folder`);
    else if (entry.bytes !== null && entry.bytes > limits.fileBytesMax) {
      skipped.push({ path: entry.path, why: `too large: ${entry.bytes} bytes` });
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

/** How many lines a document has, or why it is none. */
async function probe(sys: Sys, file: Found): Promise<number | string> {
  if (file.bytes === 0) return "empty";
  const read = await readLines(sys, file.path, 1, 1);
  if (!read.ok) return whyNot(read.error);
  const sample = read.value.lines.map((line) => line.text).join("\n");
  if (isBinary(sample)) return "binary";
  return read.value.of === 0 ? "empty" : read.value.of;
}

/** What the reader of a brief is told of an entry that is no document. */
const kinds: Readonly<Record<string, string>> = { link: "a link", folder: "a hidden or very deep folder" };

/** `binary, a PNG image of 512 bytes` where the error says what it is; else the error. What it advises a process to do next is not for a reader. */
function whyNot({ errno, message }: SysError): string {
  if (errno === "EPERM" || errno === "EACCES") return "it is not permitted";
  const what = /\bnot text but (.{1,80}? bytes)\b/.exec(message)?.[1];
  if (what !== undefined) return `binary, ${what}`;
  return /\bbinary\b/i.test(message) ? "binary" : message;
}

/** A NUL, or replacement characters in more than one of fifty. */
function isBinary(sample: string): boolean {
  if (sample.includes("\u0000")) return true;
  const broken = sample.match(/[\ufffd\u0001-\u0008\u000e-\u001a]/g)?.length ?? 0;
  return broken > sample.length / 50;
}

function partsOf(file: Found, lines: number, windowTokens: number): DocumentPart[] {
  const tokens = (file.bytes ?? lines * 80) / bytesPerToken;
  const tokensPerLine = Math.max(tokens / lines, 0.5);
  const linesPerRead = Math.max(1, Math.min(400, Math.floor((windowTokens * readShare) / tokensPerLine)));
  const count = Math.max(1, Math.min(lines, Math.ceil(tokens / (windowTokens * windowsPerPart))));
  const size = Math.ceil(lines / count);
  const parts: DocumentPart[] = [];
  for (let from = 1; from <= lines; from += size) {
    parts.push({ path: file.path, from, to: Math.min(lines, from + size - 1), of: lines, linesPerRead });
  }
  return parts;
}

export interface ReadLines {
  readonly lines: readonly Line[];
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
  const lines = text === "" ? [] : text.split("\n").flatMap(lineOf);
  return ok({ lines, of: range === null ? (lines.at(-1)?.n ?? 0) : Number(range[3]) });
}

function lineOf(row: string): Line[] {
  const match = /^\s*(\d+)│ ?(.*)$/s.exec(row);
  return match === null ? [] : [{ n: Number(match[1]), text: withoutCut(match[2] ?? "") }];
}

const linesPerCall = 2_000;

/** A whole document, in as many reads as it takes. */
export async function readDocument(sys: Sys, path: string): Promise<Result<readonly Line[], SysError>> {
  const lines: Line[] = [];
  for (let from = 1; ;) {
    const read = await readLines(sys, path, from, from + linesPerCall - 1);
    if (!read.ok) return read;
    lines.push(...read.value.lines);
    const next = (lines.at(-1)?.n ?? 0) + 1;
    if (next > read.value.of || next <= from) return ok(lines);
    from = next;
  }
}
