/** Answers what a process waits for at this moment. */
import type { Answer } from "../../src/abi/entry.ts";
import type { SysError } from "../../src/abi/errno.ts";
import type { Pid } from "../../src/abi/process.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Result } from "../../src/lib/result.ts";

export function answer(kernel: Kernel, pid: Pid, said: Partial<Omit<Answer, "park">> = {}): Result<void, SysError> {
  const park = kernel.recorder.table.procs.get(pid)?.parks ?? 0;
  return kernel.answer(pid, { allow: true, text: "", by: "test", raise: null, ...said, park });
}
