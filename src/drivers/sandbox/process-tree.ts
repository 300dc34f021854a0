/** Process tree: the processes of the host as parents and children, by /proc. */
import { readFileSync, readdirSync } from "node:fs";

/** Of the process's first thread: all there are of a process with one thread. */
export function childrenOf(pid: number): readonly number[] {
  return listed(`/proc/${pid}/task/${pid}/children`);
}

/** Everything below a process, parents first. */
export function below(pid: number): readonly number[] {
  const found = [...allChildrenOf(pid)];
  for (let index = 0; index < found.length; index += 1) found.push(...allChildrenOf(found[index] ?? 0));
  return found;
}

function allChildrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => listed(`/proc/${pid}/task/${thread}/children`));
  } catch {
    return [];
  }
}

function listed(file: string): readonly number[] {
  try {
    return readFileSync(file, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** false: it is gone. */
export function signalTo(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
