/**
 * daimon commit: a session's changes into the workspace.
 *   CLI-20.4  Conflicts are named one by one with the options that settle them; then nothing is written, and the exit code is ESTALE's.
 *   CLI-20.5  --dry-run tells what would be written and writes nothing.
 *   CLI-20.10  A file that takes effect by itself (a hook, a start file, an agent's or editor's settings) is committed only where it is named: a program
 *             may have put it among a hundred others.
 *   CLI-20.6  A path under both --ours and --theirs is EINVAL.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Session } from "../abi/files.ts";
import { filesDeps } from "../boot/world-calls.ts";
import { commitSession, type CommitResult } from "../boot/workspace-files.ts";
import { selected } from "../files/commit.ts";
import { done, ok, type Result } from "../lib/result.ts";
import { isObeyed } from "../security/policy/names.ts";
import type { commitOptions } from "./commands.ts";
import { note, print, printJson, type Io } from "./io.ts";
import { sessionOf } from "./session.ts";
import type { Input } from "./term/args.ts";
import { formatCount, many } from "./term/format.ts";
import { neutraliseLine } from "./term/neutralise.ts";
import { withMachine } from "./workspace.ts";

export async function run(input: Input<typeof commitOptions>, io: Io): Promise<Result<number, SysError>> {
  const [word = "", ...paths] = input.positionals;
  const { ours, theirs, "dry-run": dryRun } = input.options;
  const both = ours.find((path) => theirs.includes(path));
  if (both !== undefined) return fail("EINVAL", `${both} stands under --ours and --theirs; choose one version of it`);
  const meant = await sessionOf(word, io);
  if (!meant.ok) return meant;
  const { owner, layout, exists } = meant.value;
  if (!exists) return show({ written: [], merged: [], skipped: [], safety: null }, owner, dryRun, io);
  const resolutions = Object.fromEntries([
    ...ours.map((path) => [path, "ours"] as const),
    ...theirs.map((path) => [path, "theirs"] as const),
  ]);
  const committed = await withMachine(io, { processes: "leave" }, async ({ kernel, sessions, blobs }) => {
    const session = await sessions.open(owner);
    if (!session.ok) return session;
    const unnamed = await takingEffect(session.value, paths);
    if (!unnamed.ok) return unnamed;
    const options = { paths: paths.length === 0 ? null : paths, resolutions, dryRun };
    return await commitSession(session.value, options, filesDeps(layout, blobs, io.clock, kernel));
  });
  return committed.ok ? show(committed.value, owner, dryRun, io) : { ok: false, error: withWay(committed.error) };
}

/** Fails with the changed files that somebody will obey without asking, and that the person has not named. */
async function takingEffect(session: Session, paths: readonly string[]): Promise<Result<void, SysError>> {
  const changes = await session.changes();
  if (!changes.ok) return changes;
  const named = (path: string): boolean => paths.some((name) => name === path || (isObeyed(name) && path.startsWith(`${name}/`)));
  const chosen = changes.value.filter(({ path, type }) => type !== "folder" && selected(path, paths.length === 0 ? null : paths));
  const found = chosen.filter(({ path }) => isObeyed(path) && !named(path)).map(({ path }) => path);
  if (found.length === 0) return done;
  const groups = [...Map.groupBy(found, groupOf)].map(
    ([group, files]) => `${neutraliseLine(group)} (${many(files.length, "file")})`,
  );
  const what = `${found.length === 1 ? "a changed file takes" : `${formatCount(found.length)} changed files take`} effect without being asked for, so nothing was written`;
  const way = "look at them with `daimon diff PID PATH`, and name them beside the rest: `daimon commit PID . PATH...`";
  const left = groups.length > groupsMax ? [`and ${groups.length - groupsMax} more`] : [];
  return fail("EPERM", [`${what}; ${way}`, ...groups.slice(0, groupsMax), ...left].join("\n"));
}

const groupsMax = 20;

/** What is obeyed of the path, and one name below it: `.git/hooks` tells more than `.git`, and less than each of its objects. */
function groupOf(path: string): string {
  const names = path.split("/");
  const root = names.findIndex((_, index) => isObeyed(names.slice(0, index + 1).join("/")));
  return names.slice(0, root + 2).join("/");
}

function show(result: CommitResult, pid: number, dryRun: boolean, io: Io): Result<number, SysError> {
  const { written, merged, skipped } = result;
  if (io.json) {
    printJson(io, { pid, dryRun, ...result });
    return ok(0);
  }
  for (const path of written)
    print(io, `${dryRun ? "would write" : "written"}  ${path}${merged.includes(path) ? " (merged)" : ""}`);
  for (const path of skipped) print(io, `skipped  ${path}`);
  if (written.length === 0) note(io, "nothing to commit");
  else if (!dryRun) note(io, `\`daimon rollback ${pid}\` takes it back`);
  return ok(0);
}

/** The way out belongs to the first line, where the reader of errors looks for it. */
function withWay(error: SysError): SysError {
  if (!("conflicts" in error)) return error;
  const [first = "", ...lines] = error.message.split("\n");
  const way = "for each take the process's version with --ours PATH, or keep the workspace's with --theirs PATH";
  return { ...error, message: [`${first}; ${way}`, ...lines].join("\n") };
}
