/**
 * daimon diff: what a process changed in its own copy of the workspace and did not commit.
 *   CLI-20.2  The result is a unified diff; JSON: { pid, session, changes, diff }. No change is an empty diff and exit 0.
 *   CLI-20.3  While a kernel runs the workspace it is EBUSY with what to do: the files are not looked at under its hands.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Change } from "../abi/files.ts";
import { diffSession } from "../boot/workspace-files.ts";
import { openSessionFiles, type SessionFiles } from "../boot/session-files.ts";
import { selected } from "../files/commit.ts";
import { ok, type Result } from "../lib/result.ts";
import { note, printFinding, printJson, type Io } from "./io.ts";
import { sessionOf, type Meant } from "./session.ts";
import { neutralise } from "./term/neutralise.ts";

export async function run(words: readonly string[], io: Io): Promise<Result<number, SysError>> {
  const [word = "", ...paths] = words;
  const meant = await sessionOf(word, io);
  if (!meant.ok) return meant;
  if (!meant.value.exists) return show(meant.value, { changes: [], diff: "" }, io);
  const files = await openSessionFiles(meant.value.layout, io.clock);
  if (!files.ok) return files;
  try {
    const compared = await compare(files.value, meant.value, paths.length === 0 ? null : paths);
    if (!compared.ok) return compared;
    const { degraded } = files.value.sessions;
    if (degraded !== null) printFinding(io, degraded);
    return show(meant.value, compared.value, io);
  } finally {
    await files.value.close();
  }
}

interface Compared {
  readonly changes: readonly Change[];
  readonly diff: string;
}

async function compare(
  { sessions, blobs }: SessionFiles,
  { owner }: Meant,
  paths: readonly string[] | null,
): Promise<Result<Compared, SysError>> {
  const session = await sessions.open(owner);
  if (!session.ok) return session;
  const changes = await session.value.changes();
  if (!changes.ok) return changes;
  const missing = paths?.find((path) => !changes.value.some((change) => selected(change.path, [path])));
  if (missing !== undefined)
    return fail("ENOENT", `${missing} is not changed in this session; \`daimon diff ${owner}\` without a path shows what is`);
  const diff = await diffSession(session.value, paths, blobs);
  if (!diff.ok) return diff;
  return ok({ changes: changes.value.filter((change) => selected(change.path, paths)), diff: diff.value });
}

function show({ pid, owner, commits }: Meant, { changes, diff }: Compared, io: Io): Result<number, SysError> {
  if (io.json) {
    const shown = changes.map(({ path, kind, type }) => ({ path, kind, type }));
    printJson(io, { pid, session: owner, changes: shown, diff });
  } else if (diff === "" && changes.length === 0) {
    const taken = commits > 0 ? `; what it committed, \`daimon rollback ${owner}\` takes back` : "";
    note(io, `process ${pid} has no change that is not committed${taken}`);
  } else for (const line of diff.trimEnd().split("\n")) io.out.write(`${painted(line, io)}\n`);
  return ok(0);
}

function painted(line: string, io: Io): string {
  const text = neutralise(line);
  if (line.startsWith("+++") || line.startsWith("---") || line.startsWith("diff ")) return io.colours.paint("strong", text);
  if (line.startsWith("@@")) return io.colours.paint("name", text);
  if (line.startsWith("+")) return io.colours.paint("good", text);
  return line.startsWith("-") ? io.colours.paint("bad", text) : text;
}
