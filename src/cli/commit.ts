/**
 * daimon commit: a session's changes into the workspace.
 *   CLI-20.4  Conflicts are named one by one with the options that settle them; then nothing is written, and the exit code is ESTALE's.
 *   CLI-20.5  --dry-run tells what would be written and writes nothing.
 *   CLI-20.6  A path under both --ours and --theirs is EINVAL.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { filesDeps } from "../boot/world-calls.ts";
import { commitSession, type CommitResult } from "../boot/workspace-files.ts";
import { ok, type Result } from "../lib/result.ts";
import type { commitOptions } from "./commands.ts";
import { note, print, printJson, type Io } from "./io.ts";
import { sessionOf } from "./session.ts";
import type { Input } from "./term/args.ts";
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
    const options = { paths: paths.length === 0 ? null : paths, resolutions, dryRun };
    return await commitSession(session.value, options, filesDeps(layout, blobs, io.clock, kernel));
  });
  return committed.ok ? show(committed.value, owner, dryRun, io) : { ok: false, error: withWay(committed.error) };
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
