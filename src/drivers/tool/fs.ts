/**
 * Fs: the file calls of a process. All but fs.commit work in the process's own copy-on-write session.
 *   FIL-13.1  fs.read gives numbered lines, as many as fit one result, says how to read on, and names the lines as its source.
 *   FIL-13.2  fs.edit replaces text that occurs exactly once, or every occurrence when told to; otherwise it says how often and where.
 *   FIL-13.3  fs.write refuses an empty text, and a file that is not what the caller last saw when it says what that was.
 *   FIL-13.5  After a crash, writes are verified by digest before anything is done again.
 *   FIL-13.8  A commit that a person is asked about is worked out before they are, and its plan is what their yes is for.
 *   FIL-13.6  What a file of the session says is untrusted text, whoever asked for it.
 */
import type { CallContext, CallHandler, CallValue, Verdict } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Change, Files, Session, Tier } from "../../abi/files.ts";
import { limits } from "../../abi/limits.ts";
import type { Pid } from "../../abi/process.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { plural } from "../../lib/plural.ts";
import { ok, type Awaitable, type Result } from "../../lib/result.ts";
import { estimateTokens } from "../../lib/tokens.ts";
import { linesOf, list, search, untrusted, type SearchArgs } from "./fs-find.ts";
import { fsSpecs } from "./fs-specs.ts";
import { lineCount, lineOf, readText, Texts } from "./fs-text.ts";

export interface FsDeps {
  session(pid: Pid): Awaitable<Result<Session, SysError>>;
  /** What the path's tier is; null for a path in the session. */
  tier(path: string): Tier | null;
  /** The session's changes as a unified diff. */
  diff(session: Session, paths: readonly string[] | null, context: CallContext): Awaitable<Result<string, SysError>>;
  /** Works a commit out and keeps the plan; conflicts are ESTALE with every path named. */
  freeze(session: Session, paths: readonly string[], context: CallContext): Awaitable<Result<Digest, SysError>>;
  /** Plans, journals and performs; conflicts are ESTALE with every path named, and so is a plan other than `context.frozen`. */
  commit(session: Session, paths: readonly string[], context: CallContext): Awaitable<Result<unknown, SysError>>;
  /** The digests of these paths in the workspace itself; null where nothing is. */
  workspace(paths: readonly string[]): Awaitable<Result<ReadonlyMap<string, Digest | null>, SysError>>;
  /** Whether policy lets a search of this folder look into a file below it. */
  searchable(folder: string, context: CallContext): (path: string) => boolean;
}

interface ReadArgs {
  readonly path: string;
  readonly from?: number;
  readonly to?: number;
}
interface WriteArgs {
  readonly path: string;
  readonly text: string;
  readonly expect?: string | null;
}
interface EditArgs {
  readonly path: string;
  readonly old: string;
  readonly new: string;
  readonly all?: boolean;
}
interface PathsArgs {
  readonly paths?: readonly string[];
}
interface CommitArgs {
  readonly paths: readonly string[];
}

type Outcome = Result<CallValue, SysError>;

export function fsCalls(deps: FsDeps): readonly CallHandler[] {
  const on =
    <A>(act: (session: Session, args: A, context: CallContext) => Awaitable<Outcome>) =>
    async (args: A, context: CallContext): Promise<Outcome> => {
      const session = await deps.session(context.pid);
      return session.ok ? act(session.value, args, context) : session;
    };
  /** In the session or a tier: of a tier's files the label is known. */
  const looking =
    <A extends { readonly path?: string }>(act: (files: Files, args: A, context: CallContext) => Awaitable<Outcome>) =>
    async (args: A, context: CallContext): Promise<Outcome> => {
      const path = args.path ?? ".";
      const tier = deps.tier(path);
      if (tier === null) return await on(act)(args, context);
      const found = await act(tier, args, context);
      return found.ok ? ok({ ...found.value, label: tier.label(path) }) : found;
    };
  const texts = new Texts(limits.textsBytesMax);
  const verified =
    <A>(look: (session: Session, args: A) => Awaitable<Verdict>) =>
    async (args: A, context: CallContext): Promise<Verdict> => {
      const session = await deps.session(context.pid);
      return session.ok ? look(session.value, args) : unknown(session.error.message);
    };
  return [
    { spec: fsSpecs.read, perform: looking((files, args: ReadArgs) => read(files, args, texts)) },
    { spec: fsSpecs.write, perform: on(write), verify: verified(verifyWrite) },
    { spec: fsSpecs.edit, perform: on(edit), verify: verified(verifyEdit) },
    { spec: fsSpecs.list, perform: looking(list) },
    {
      spec: fsSpecs.search,
      perform: looking((files, args: SearchArgs, context) =>
        search(files, args, context, deps.searchable(args.path ?? ".", context)),
      ),
    },
    {
      spec: fsSpecs.diff,
      perform: on(async (session, args: PathsArgs, context) => {
        const text = await deps.diff(session, args.paths ?? null, context);
        if (!text.ok) return text;
        return ok({ value: text.value === "" ? "nothing has changed" : text.value, source: "session diff", label: untrusted });
      }),
    },
    {
      spec: fsSpecs.commit,
      freeze: async (args: CommitArgs, context: CallContext) => {
        const session = await deps.session(context.pid);
        return session.ok ? await deps.freeze(session.value, args.paths, context) : session;
      },
      perform: on(async (session, args: CommitArgs, context) => {
        const done = await deps.commit(session, args.paths, context);
        return done.ok ? ok(committedValue(args)) : done;
      }),
      verify: verified((session, args: CommitArgs) => verifyCommit(session, args, deps)),
    },
  ];
}

/** Room for the line that names path, lines and digest. */
const textTokensMax = limits.resultTokensMax - 120;

async function read(files: Files, args: ReadArgs, texts: Texts): Promise<Outcome> {
  const found = await texts.read(files, args.path);
  if (!found.ok) return found;
  const count = lineCount(found.value);
  const from = args.from ?? 1;
  const to = Math.min(args.to ?? count, count);
  if (from > Math.max(1, count)) {
    return fail("EINVAL", `${args.path} has ${plural(count, "line")}; \`from\` is ${from}. Ask for a line that is there`);
  }
  if (args.to !== undefined && args.to < from) return fail("EINVAL", `\`to\` is ${args.to}, before \`from\`, which is ${from}`);
  const out: string[] = [];
  let tokens = 0;
  let last = from - 1;
  while (last < to) {
    const numbered = `${last + 1}│ ${shown(lineOf(found.value, last + 1))}`;
    tokens += estimateTokens(numbered) + 1;
    if (tokens > textTokensMax && out.length > 0) break;
    out.push(numbered);
    last += 1;
  }
  if (last < to) out.push(`[read on with fs.read {"path":${JSON.stringify(args.path)},"from":${last + 1}}]`);
  const range = count === 0 ? "none, the file is empty" : `${from}-${last} of ${count}`;
  return ok({
    value: { path: args.path, lines: range, digest: found.value.digest, text: out.join("\n") },
    source: count === 0 ? args.path : `${args.path}#L${from}-L${last}`,
    label: untrusted,
  });
}

function shown(line: string): string {
  const more = line.length - limits.lineCharsMax;
  return more > 0 ? `${line.slice(0, limits.lineCharsMax)}… [${more} more characters]` : line;
}

async function write(session: Session, args: WriteArgs): Promise<Outcome> {
  if (args.text === "") return fail("EINVAL", `the text for ${args.path} is empty; give the file's whole new text`);
  const written = await session.write(args.path, Buffer.from(args.text), args.expect);
  if (!written.ok) return written;
  return ok(writtenValue(args));
}

function writtenValue(args: WriteArgs): CallValue {
  return { value: { path: args.path, digest: sha256(args.text), lines: linesOf(args.text).length } };
}

async function edit(session: Session, args: EditArgs): Promise<Outcome> {
  if (args.old === "") return fail("EINVAL", "`old` is empty; give the text to replace, or use fs.write for a whole file");
  if (args.old === args.new) return fail("EINVAL", "`old` and `new` are the same; nothing would change");
  const found = await readText(session, args.path);
  if (!found.ok) return found;
  const { digest } = found.value;
  const text = found.value.data.toString("utf8");
  const places = occurrences(text, args.old);
  if (places.length === 0) return fail("ENOENT", noMatch(args.path, text, args.old));
  if (places.length > 1 && args.all !== true) {
    const where = places.slice(0, 10).map((place) => lineAt(text, place));
    const more = places.length > where.length ? " …" : "";
    return fail(
      "EINVAL",
      `\`old\` occurs ${places.length} times in ${args.path}, at lines ${where.join(", ")}${more}; give more of the text around the one you mean, or set \`all\``,
    );
  }
  const next = text.split(args.old).join(args.new);
  const written = await session.write(args.path, Buffer.from(next), digest);
  if (!written.ok) return written;
  return ok({ value: { path: args.path, digest: written.value, replaced: places.length, line: lineAt(text, places[0] ?? 0) } });
}

const didNot: Verdict = { verdict: "did-not-happen" };

function unknown(why: string): Verdict {
  return { verdict: "unknown", why };
}

async function verifyWrite(session: Session, args: WriteArgs): Promise<Verdict> {
  const data = await session.read(args.path);
  if (!data.ok) return data.error.errno === "ENOENT" ? didNot : unknown(data.error.message);
  return sha256(data.value) === sha256(args.text) ? { verdict: "happened", value: writtenValue(args) } : didNot;
}

/** Only what can be told from the text alone: a text that still has `old` as before, or has `new` and no `old`. */
async function verifyEdit(session: Session, args: EditArgs): Promise<Verdict> {
  const found = await readText(session, args.path);
  if (!found.ok) return found.error.errno === "ENOENT" ? didNot : unknown(found.error.message);
  const { digest } = found.value;
  const text = found.value.data.toString("utf8");
  const doubt = unknown(`${args.path} does not tell whether the edit was made; read it and decide`);
  if (args.new.includes(args.old) || args.old.includes(args.new)) return doubt;
  const after = occurrences(text, args.new);
  if (text.includes(args.old) === after.length > 0) return doubt;
  if (after.length === 0) return didNot;
  const replaced = args.all === true ? after.length : 1;
  return { verdict: "happened", value: { value: { path: args.path, digest, replaced, line: lineAt(text, after[0] ?? 0) } } };
}

/** Told from the arguments alone, so that a kernel that only finds the commit made answers the same; the journal has each file. */
function committedValue(args: CommitArgs): CallValue {
  return { value: { committed: [...args.paths] } };
}

async function verifyCommit(session: Session, args: CommitArgs, deps: FsDeps): Promise<Verdict> {
  const changes = await session.changes();
  if (!changes.ok) return unknown(changes.error.message);
  const mine = changes.value.filter((change) => change.type !== "folder" && chosen(change, args.paths));
  const happened: Verdict = { verdict: "happened", value: committedValue(args) };
  // A settled commit leaves no change behind.
  if (mine.length === 0) return happened;
  const now = await deps.workspace(mine.map((change) => change.path));
  if (!now.ok) return unknown(now.error.message);
  const at = (change: Change): Digest | null => now.value.get(change.path) ?? null;
  if (mine.every((change) => at(change) === change.now)) return happened;
  if (mine.every((change) => at(change) === change.base)) return didNot;
  return unknown(
    "the workspace holds some of the commit and not the rest; compare with daimon diff, then commit again or roll back",
  );
}

function chosen(change: Change, paths: readonly string[]): boolean {
  return paths.some((path) => path === "." || path === change.path || change.path.startsWith(`${path}/`));
}

function occurrences(text: string, part: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) places.push(at);
  return places;
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

/** Says where it would match but for white space, the usual reason. */
function noMatch(path: string, text: string, old: string): string {
  const loose = (line: string): string => line.replace(/\s+/g, " ").trim();
  const first = loose(linesOf(old).find((line) => line.trim() !== "") ?? "");
  const near = first === "" ? -1 : linesOf(text).findIndex((line) => loose(line) === first);
  const hint =
    near === -1
      ? "read the file again and copy the text exactly"
      : `line ${near + 1} is the same but for white space; copy it exactly`;
  return `\`old\` does not occur in ${path}: ${hint}, without the line numbers`;
}
