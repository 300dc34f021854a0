/**
 * Shell: the call `shell.run`, a command in the sandbox over the process's own session.
 *   SBX-9.1  The command sees the session's workspace and nothing else of the host; without a sandbox it is refused.
 *   SBX-9.2  The result says what the command printed, in order, how it ended, and which files it changed.
 *   SBX-9.3  After a crash nobody can say whether a command ran, so the answer to that is `unknown`.
 *   SBX-9.4  What the workspace holds of files that look like secrets cannot be opened by a command; what a command makes itself can.
 *   SBX-9.6  Where something is closed, the commands of one session run one after the other: no cover is put while a command may move what it is for.
 *   SBX-9.5  A command that filled its session is EDQUOT, one that filled the disk ENOSPC, with what to do; its changes stay and deleting works.
 */
import type { CallContext, CallHandler, CallSpec, CallValue } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Change, Session, Stage } from "../../abi/files.ts";
import { limits } from "../../abi/limits.ts";
import type { Pid } from "../../abi/process.ts";
import type { SandboxDriver, SandboxResult } from "../../abi/sandbox.ts";
import { fullSession } from "../files/quota.ts";
import { ok, type Awaitable, type Result } from "../../lib/result.ts";
import { Turn } from "../../lib/turn.ts";

export interface ShellDeps {
  session(pid: Pid): Awaitable<Result<Session, SysError>>;
  readonly sandbox: SandboxDriver;
}

interface RunArgs {
  readonly command: string;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

const fullDisk =
  "the disk is almost full. What it wrote is kept: delete what you do not need with shell.run and rm, or free some space, and try again";
const changedMax = 100;
const timeoutDefaultMs = 60_000;

export function shellCalls(deps: ShellDeps): readonly CallHandler[] {
  const turns = new Map<Pid, Turn>();
  return [
    {
      spec,
      perform: (args: RunArgs, context: CallContext) => run(args, context, deps, turns),
      verify: () => ({ verdict: "unknown", why: "a command leaves no proof of having run" }),
    },
  ];
}

async function run(
  args: RunArgs,
  context: CallContext,
  deps: ShellDeps,
  turns: Map<Pid, Turn>,
): Promise<Result<CallValue, SysError>> {
  if (args.command.trim() === "") return fail("EINVAL", "`command` is empty; give a command for bash");
  const session = await deps.session(context.pid);
  if (!session.ok) return session;
  const stage = await session.value.stage();
  if (!stage.ok) return stage;
  if (stage.value.closed.length === 0) return await runOn(stage.value, session.value, args, context, deps);
  const turn = turns.get(session.value.pid) ?? new Turn();
  turns.set(session.value.pid, turn);
  return await turn.take(async () => {
    /** Looked at anew: the command before may have moved what is to be closed. */
    const now = await session.value.stage();
    return now.ok ? await runOn(now.value, session.value, args, context, deps) : now;
  });
}

async function runOn(
  stage: Stage,
  session: Session,
  args: RunArgs,
  context: CallContext,
  deps: ShellDeps,
): Promise<Result<CallValue, SysError>> {
  const before = await session.changes();
  if (!before.ok) return before;
  const result = await deps.sandbox.run(
    {
      // One stream, in the order it was written; eval keeps the command's own exit code and line numbers.
      argv: ["bash", "-c", 'eval "$1" 2>&1', "bash", args.command],
      ...stage,
      cwd: args.cwd ?? ".",
      env: {},
      stdin: "",
      timeoutMs: Math.min(args.timeoutMs ?? timeoutDefaultMs, limits.shellTimeoutMs),
      memoryBytesMax: limits.shellMemoryBytesMax,
      processesMax: limits.shellProcessesMax,
      outputBytesMax: limits.shellOutputBytesMax,
    },
    context.signal,
  );
  // Even a failed command may have changed files, and their base must be kept now.
  const after = await session.changes();
  if (!result.ok) return result;
  if (!after.ok) return after;
  const { full, signal } = result.value;
  if (full === "session" && signal !== null && stage.growth !== null)
    return fail("EDQUOT", `the command was ended: ${fullSession(stage.growth)}`);
  if (full === "disk" && signal !== null) return fail("ENOSPC", `the command was ended: ${fullDisk}`);
  const changed = difference(before.value, after.value);
  const shown =
    changed.length > changedMax ? [...changed.slice(0, changedMax), `and ${changed.length - changedMax} more`] : changed;
  return ok({
    value: { ...ending(result.value), changed: shown, text: result.value.stdout + result.value.stderr },
    source: `shell ${args.command.slice(0, 80)}`,
    label: { integrity: "untrusted", confidentiality: "workspace" },
  });
}

function ending(result: SandboxResult): { exitCode: number | null; note?: string } {
  if (result.timedOut) return { exitCode: null, note: "ended at its time limit; give a larger timeoutMs or do less at once" };
  if (result.signal !== null)
    return { exitCode: null, note: `ended by ${result.signal}${result.truncated ? ", because it printed too much" : ""}` };
  if (result.full === null) return { exitCode: result.exitCode };
  const what = result.full === "session" ? "this process's changes take all the room they may" : "the disk is almost full";
  return { exitCode: result.exitCode, note: `${what}, so the command could delete but not write` };
}

/** Paths whose state is another than before. */
function difference(before: readonly Change[], after: readonly Change[]): string[] {
  const state = (change: Change): string => `${change.kind} ${change.now} ${change.executable}`;
  const was = new Map(before.map((change) => [change.path, state(change)]));
  const is = new Map(after.map((change) => [change.path, state(change)]));
  return [...new Set([...was.keys(), ...is.keys()])].filter((path) => was.get(path) !== is.get(path)).toSorted();
}

const spec: CallSpec = {
  name: "shell.run",
  summary:
    "Run a bash command in an isolated copy of the workspace, with no network; files that look like secrets cannot be opened. Returns exit code, output and changed files.",
  input: {
    type: "object",
    properties: {
      command: { type: "string", minLength: 1, description: "A bash command or script." },
      cwd: { type: "string", minLength: 1, description: "Folder to run in, relative to the workspace." },
      timeoutMs: { type: "integer", minimum: 1, maximum: limits.shellTimeoutMs, description: "60000 by default." },
    },
    required: ["command"],
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: {
      exitCode: { type: ["integer", "null"] },
      note: { type: "string" },
      changed: { type: "array", items: { type: "string" } },
      text: { type: "string" },
    },
    required: ["exitCode", "changed", "text"],
  },
  effect: "write",
  reversible: true,
  recovery: "verify",
  roles: { command: "command", cwd: "option", timeoutMs: "option" },
};
