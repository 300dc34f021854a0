/**
 * Links: whether what is said stands where it is said to stand. Reads every cited document again; takes nobody's word.
 *   PRG-7.1  A citation holds when its words stand at its line, or when the cited lines hold half of its terms and all its figures; else it is broken.
 *   PRG-7.2  In a published file every line but headings ends with a link, and every link's file and line exist.
 *   PRG-7.3  A document that changed or vanished since it was quoted breaks the quotes it no longer bears.
 */
import { isObject, type Json } from "../lib/json.ts";
import { plural } from "../lib/plural.ts";
import { sourceOf, supportOf, endingLink, type Source, type Support } from "../lib/text-quote.ts";
import type { Sys } from "../abi/sys.ts";
import { readDocument } from "./documents.ts";
import type { Cited } from "./values.ts";

export interface Broken extends Cited {
  readonly why: string;
}

export interface Audit {
  readonly checked: number;
  /** Quoted word for word. */
  readonly exact: number;
  /** Said in other words that the cited lines support. */
  readonly shared: number;
  readonly broken: readonly Broken[];
}

/** Documents that were read for checking, by path; null for one that cannot be read. */
export type Shelf = Map<string, Source | null>;

export async function auditCitations(sys: Sys, cited: readonly Cited[], shelf: Shelf): Promise<Audit> {
  const broken: Broken[] = [];
  const counts: Record<Support, number> = { exact: 0, shared: 0, none: 0 };
  for (const item of cited) {
    const source = await sourceFrom(sys, item.path, shelf);
    const support = source === null ? "none" : supportOf(source, item.text, item.line, item.to);
    counts[support] += 1;
    if (support === "none") broken.push({ ...item, why: whyBroken(source, item) });
  }
  return { checked: cited.length, exact: counts.exact, shared: counts.shared, broken };
}

async function sourceFrom(sys: Sys, path: string, shelf: Shelf): Promise<Source | null> {
  const known = shelf.get(path);
  if (known !== undefined) return known;
  const read = await readDocument(sys, path);
  const source = read.ok ? sourceOf(path, read.value.lines) : null;
  shelf.set(path, source);
  return source;
}

function whyBroken(source: Source | null, item: Cited): string {
  if (source === null) return `${item.path} cannot be read`;
  if (item.line < 1 || item.line > source.lines.length)
    return `${item.path} has ${plural(source.lines.length, "line")} and the quote names line ${item.line}`;
  return `line ${item.line} of ${item.path} does not say ${JSON.stringify(item.text.slice(0, 120))}`;
}

/** What is wrong with a published file; empty when every line holds. `known` are files that exist without being text. */
export async function auditFile(
  sys: Sys,
  lines: readonly string[],
  known: ReadonlySet<string>,
  shelf: Shelf,
): Promise<{ audit: Audit; wrong: string[] }> {
  const wrong: string[] = [];
  const cited: Cited[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "" || /^#{1,6}\s/.test(line)) continue;
    const found = endingLink(line);
    if (found === null) wrong.push(`line ${index + 1} ends with no link to its source: ${JSON.stringify(line.slice(0, 80))}`);
    else if (found.link.line === null) {
      if (!known.has(found.link.path) && (await sourceFrom(sys, found.link.path, shelf)) === null) {
        wrong.push(`line ${index + 1} links to ${found.link.path}, which cannot be read`);
      }
    } else
      cited.push({ text: plain(found.text), path: found.link.path, line: found.link.line, to: found.link.to ?? found.link.line });
  }
  const audit = await auditCitations(sys, cited, shelf);
  return { audit, wrong: [...wrong, ...audit.broken.map((item) => item.why)] };
}

/** The sentence without its list mark and escapes. */
function plain(text: string): string {
  return text.replace(/^\s*(?:[-*+]|\d+[.)])\s+/, "").replace(/\\([!-/:-@[-`{-~])/g, "$1");
}

export function auditValue(audit: Audit): Json {
  const { checked, exact, shared, broken } = audit;
  return { checked, exact, shared, broken: broken.map((item) => ({ ...item })) };
}

/** Whether a value holds one of these citations. */
export function holds(value: Json, broken: readonly Broken[]): boolean {
  if (Array.isArray(value)) return (value as readonly Json[]).some((item) => holds(item, broken));
  if (!isObject(value)) return false;
  const own = broken.some((item) => item.text === value["text"] && item.path === value["path"] && item.line === value["line"]);
  return own || Object.values(value).some((field) => holds(field, broken));
}
