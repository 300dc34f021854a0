/**
 * Fs find: the calls that look through folders, fs.list and fs.search.
 *   FIL-13.4  fs.search runs in time linear in what it reads, bounded in files, bytes and hits, and says when a bound was met.
 *   FIL-13.7  fs.search does not open a file that policy keeps from it, and says how many there were.
 */
import type * as Re2 from "re2js";
import type { CallContext, CallValue } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Files, FileStat } from "../../abi/files.ts";
import { limits } from "../../abi/limits.ts";
import type { Label } from "../../abi/label.ts";
import { lazy } from "../../lib/lazy.ts";
import { matches, parseGlob, type Glob } from "../../lib/glob.ts";
import { plural } from "../../lib/plural.ts";
import { ok, type Result } from "../../lib/result.ts";

/** Loaded with the first search. */
const engine = lazy<typeof Re2>("re2js");

export interface ListArgs {
  readonly path?: string;
  readonly depth?: number;
  readonly glob?: string;
}
export interface SearchArgs {
  readonly query: string;
  readonly path?: string;
  readonly glob?: string;
  readonly regex?: boolean;
  readonly ignoreCase?: boolean;
}

type Outcome = Result<CallValue, SysError>;

export const untrusted: Label = { integrity: "untrusted", confidentiality: "workspace" };

const foldersLeftOut = new Set([".git", "node_modules"]);

export async function list(files: Files, args: ListArgs): Promise<Outcome> {
  const glob = parsed(args.glob);
  if (!glob.ok) return glob;
  const lines: string[] = [];
  const entries: { path: string; type: FileStat["type"]; bytes: number }[] = [];
  let cut = false;
  const depth = args.depth ?? (args.glob === undefined ? 1 : 16);
  for await (const entry of walk(files, args.path ?? ".", depth)) {
    if (!entry.ok) return entry;
    if (glob.value !== null && !matches(glob.value, entry.value.path)) continue;
    if (lines.length === limits.listEntriesMax) {
      cut = true;
      break;
    }
    const { path, type, bytes } = entry.value;
    entries.push({ path, type, bytes });
    lines.push(entryLine(entry.value));
  }
  if (cut) lines.push(`[more than ${limits.listEntriesMax} entries: list a folder below, or narrow it with \`glob\`]`);
  const text = lines.length === 0 ? "nothing here" : lines.join("\n");
  return ok({
    value: { path: args.path ?? ".", entries, text },
    source: args.path ?? ".",
    label: untrusted,
  });
}

const pauseEveryFiles = 32;

export async function search(
  view: Files,
  args: SearchArgs,
  context: CallContext,
  searchable: (path: string) => boolean,
): Promise<Outcome> {
  if (args.query === "") return fail("EINVAL", "`query` is empty; give a text or, with `regex`, an expression to look for");
  const glob = parsed(args.glob);
  if (!glob.ok) return glob;
  const test = tester(args);
  if (!test.ok) return test;
  const hits: string[] = [];
  let files = 0;
  let skipped = 0;
  let kept = 0;
  for await (const entry of walk(view, args.path ?? ".", 64)) {
    if (!entry.ok) return entry;
    if (context.signal.aborted) return fail("ECANCELED", "the search was cancelled");
    if (entry.value.type !== "file" || (glob.value !== null && !matches(glob.value, entry.value.path))) continue;
    if (files === limits.searchFilesMax || hits.length >= limits.searchHitsMax) break;
    files += 1;
    if (!searchable(entry.value.path)) {
      kept += 1;
      continue;
    }
    if (files % pauseEveryFiles === 0) await new Promise(setImmediate);
    const data = entry.value.bytes > limits.searchFileBytesMax ? null : await view.read(entry.value.path);
    if (data === null || !data.ok || data.value.includes(0)) skipped += 1;
    else collect(data.value.toString("utf8"), entry.value.path, test.value, hits);
  }
  const notes = [
    ...(hits.length >= limits.searchHitsMax
      ? [`[stopped at ${limits.searchHitsMax} hits: narrow it with \`path\`, \`glob\` or a longer query]`]
      : []),
    ...(files === limits.searchFilesMax
      ? [`[stopped after ${limits.searchFilesMax} files: narrow it with \`path\` or \`glob\`]`]
      : []),
    ...(kept > 0 ? [`[left out ${plural(kept, "file")}, kept from this search by policy]`] : []),
    ...(skipped > 0 ? [`[left out ${plural(skipped, "binary or large file")}]`] : []),
  ];
  const text = [...(hits.length === 0 ? ["no hit"] : hits), ...notes].join("\n");
  return ok({
    value: { query: args.query, hits: hits.length, files, text },
    source: `search ${JSON.stringify(args.query)}`,
    label: untrusted,
  });
}

export function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
}

function parsed(glob: string | undefined): Result<Glob | null, SysError> {
  if (glob === undefined) return ok(null);
  const result = parseGlob(glob.includes("/") ? glob : `**/${glob}`);
  return result.ok ? result : fail("EINVAL", result.error);
}

type Tester = (line: string) => boolean;

function tester(args: SearchArgs): Result<Tester, SysError> {
  if (args.regex !== true && args.ignoreCase !== true) return ok((line) => line.includes(args.query));
  try {
    const { RE2JS } = engine();
    const source = args.regex === true ? args.query : RE2JS.quote(args.query);
    const expression = RE2JS.compile(source, args.ignoreCase === true ? RE2JS.CASE_INSENSITIVE : 0);
    return ok((line) => expression.matcher(line).find());
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail(
      "EINVAL",
      `\`query\` is not an expression of the RE2 syntax: ${why}. Look-around and back-references do not exist in it`,
    );
  }
}

function collect(text: string, path: string, test: Tester, hits: string[]): void {
  const lines = linesOf(text);
  for (let index = 0; index < lines.length && hits.length < limits.searchHitsMax; index += 1) {
    const line = lines[index] ?? "";
    if (test(line))
      hits.push(
        `${path}:${index + 1}: ${line.length > limits.searchLineCharsMax ? `${line.slice(0, limits.searchLineCharsMax)}…` : line}`,
      );
  }
}

/** Entries below a folder, a folder before what is in it. Version control and installed packages are named, not entered. */
async function* walk(files: Files, path: string, depth: number): AsyncGenerator<Result<FileStat, SysError>> {
  const entries = await files.list(path);
  if (!entries.ok) {
    const file = entries.error.errno === "EINVAL" ? await files.stat(path) : entries;
    yield file;
    return;
  }
  for (const entry of entries.value) {
    yield ok(entry);
    const name = entry.path.slice(entry.path.lastIndexOf("/") + 1);
    if (entry.type !== "folder" || depth <= 1 || foldersLeftOut.has(name)) continue;
    for await (const below of walk(files, entry.path, depth - 1)) if (below.ok) yield below;
  }
}

function entryLine(entry: FileStat): string {
  switch (entry.type) {
    case "folder":
      return `${entry.path}/`;
    case "file":
      return `${entry.path}  ${plural(entry.bytes, "byte")}`;
    case "link":
      return `${entry.path}  link`;
    case "other":
      return `${entry.path}  special file`;
  }
}
