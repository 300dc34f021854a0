/**
 * Commits: a workspace in memory, and the call that changes several of its files at once by the kernel's own protocol: intent, durable;
 * the files one by one, with the power going anywhere between them; outcome. The next kernel finishes what was begun.
 */
import type { CallContext, CallHandler } from "../../src/abi/call.ts";
import type { FilesEntry } from "../../src/abi/entry.ts";
import type { SysError } from "../../src/abi/errno.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Recorder } from "../../src/kernel/recorder.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { never, specOf, type Surroundings } from "./world.ts";

/** The workspace's files: contents by path. */
export type Workspace = Map<string, string>;

const filesInCommit = 3;

/** Each commit has a folder of its own, so that it can be seen afterwards whether it is there whole. */
function stepsOf(id: string): readonly { readonly path: string; readonly text: string }[] {
  return Array.from({ length: filesInCommit }, (_, n) => ({ path: `${id}/${n}`, text: `file ${n} of ${id}` }));
}

export function commitCall(workspace: Workspace, around: Surroundings, kernel: () => Kernel): CallHandler {
  const deed = { name: "w.commit", effect: "write", recovery: "verify" } as const;
  return {
    spec: specOf(deed),
    perform: async (args: { readonly n?: unknown }, context: CallContext) => {
      if (!around.tick()) return await never();
      around.performing({ ...deed, args, context });
      return await kernel().filesTurn.take(() => commit(workspace, around, kernel().recorder, context));
    },
    verify: (_: unknown, { id }: CallContext) =>
      isWhole(workspace, id) ? { verdict: "happened", value: { value: "committed" } } : { verdict: "did-not-happen" },
  };
}

async function commit(
  workspace: Workspace,
  around: Surroundings,
  recorder: Recorder,
  { id, pid, now }: CallContext,
): Promise<Result<{ value: string }, SysError>> {
  const changes = stepsOf(id).map(({ path, text }) => ({ path, from: null, to: sha256(text) }));
  const safety = recorder.putText(id);
  const entry = { kind: "files", at: now, pid, act: "commit", changes, safety } as const;
  recorder.record({ ...entry, phase: "intent" });
  const durable = await recorder.barrier(false);
  if (!durable.ok) return durable;
  for (const { path, text } of stepsOf(id)) {
    if (!around.tick()) return await never();
    workspace.set(path, text);
    if (around.chance.chance(0.2)) await around.pause();
  }
  if (!around.tick()) return await never();
  recorder.record({ ...entry, phase: "outcome" });
  return ok({ value: "committed" });
}

/** What a crash cut short, before any process runs again. */
export function finishCommit(workspace: Workspace, recorder: Recorder): void {
  const { unfinished } = recorder.table;
  if (unfinished === null) return;
  for (const { path } of unfinished.changes) {
    const [id = "", n = ""] = path.split("/");
    workspace.set(path, stepsOf(id)[Number(n)]?.text ?? "");
  }
  const entry: FilesEntry = { ...unfinished, phase: "outcome" };
  recorder.record(entry);
}

/** Between two kernels' work no commit is there in part, and those that the log has are there. */
export function partOf(workspace: Workspace, recorder: Recorder): string | null {
  for (const id of commitsIn(workspace)) if (!isWhole(workspace, id)) return `a part of commit ${id} stands in the workspace`;
  for (const path of recorder.table.producedPaths.keys()) {
    if (!workspace.has(path)) return `${path} was committed and is not in the workspace`;
  }
  return null;
}

export function commitsIn(workspace: Workspace): ReadonlySet<string> {
  return new Set([...workspace.keys()].map((path) => path.split("/")[0] ?? ""));
}

function isWhole(workspace: Workspace, id: string): boolean {
  return stepsOf(id).every(({ path, text }) => workspace.get(path) === text);
}
