/**
 * daimon diff: what a process changed in its own copy of the workspace and did not commit.
 *   CLI-20.2  The result is a unified diff; JSON: { pid, session, changes, diff }. No change is an empty diff and exit 0.
 *   CLI-20.8  Of a question, PID:N, it shows all of what a yes would put into the workspace, also while its kernel runs; one that is over is ESTALE.
 *   CLI-20.3  While a kernel runs the workspace it is EBUSY with what to do: the files are not looked at under its hands.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Change } from "../abi/files.ts";
import { diffSession, reviewPlan } from "../boot/workspace-files.ts";
import { openSessionFiles, type SessionFiles } from "../boot/session-files.ts";
import { selected } from "../files/commit.ts";
import { ok, type Result } from "../lib/result.ts";
import { note, printFinding, printJson, type Io } from "./io.ts";
import { sessionOf, type Meant } from "./session.ts";
import { neutralise } from "./term/neutralise.ts";
import { renderReview } from "./term/review.ts";
import { columnsOf } from "./term/screen.ts";
import { look, procOf } from "./workspace.ts";

export async function run(words: readonly string[], io: Io): Promise<Result<number, SysError>> {
  const [word = "", ...paths] = words;
  if (/^\d+:\d+$/.test(word)) return await showQuestion(word, paths, io);
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

/** From the journal and the blob store alone, so that it does not matter who runs the workspace. */
async function showQuestion(id: string, paths: readonly string[], io: Io): Promise<Result<number, SysError>> {
  const [pid = 0, park = 0] = id.split(":").map(Number);
  const seen = await look(io);
  if (!seen.ok) return seen;
  const { table, blobs, close } = seen.value;
  close();
  const proc = procOf(table, pid);
  if (!proc.ok) return proc;
  const { park: reason, parks } = proc.value;
  if (reason === null || parks !== park)
    return fail(
      "ESTALE",
      `question ${id} is over; \`daimon approve\` lists those that wait, and \`daimon diff ${pid}\` shows the session`,
    );
  if (reason.type !== "approval" || reason.frozen === undefined)
    return fail("EINVAL", `question ${id} is not about files; \`daimon approve ${id}\` shows it`);
  const reviewed = reviewPlan(reason.frozen, blobs, "whole");
  if (!reviewed.ok) return reviewed;
  const steps = reviewed.value.steps.filter((step) => selected(step.path, paths.length === 0 ? null : paths));
  if (io.json) printJson(io, { question: id, frozen: reason.frozen, steps });
  else {
    const rows = renderReview({ steps, stepsLeft: 0 }, "", columnsOf(io.out) ?? unfoldedColumns, io.colours);
    io.out.write(`${rows.join("\n")}\n`);
  }
  return ok(0);
}

/** A pipe has no edge, and a line in it stays one line. */
const unfoldedColumns = 1_000_000;

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
