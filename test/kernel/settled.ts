/** Waits on journal entries, not on time. */
import type { Rig } from "./rig.ts";

/** Until a process is parked or has ended, and the entry that said so is behind us. */
export function settled(machine: Rig, pid: number, state: "parked" | "zombie"): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const proc = machine.kernel.processes().find((row) => row.pid === pid);
      if (proc?.state !== state) return;
      off();
      setImmediate(resolve);
    };
    const off = machine.kernel.on(look);
    look();
  });
}
