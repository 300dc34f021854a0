/** Force: remove a folder of our own whatever permissions a command or the kernel left on what is in it. Links are removed, never followed. */
import { chmodSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

export function forceRemove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    open(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

function open(folder: string): void {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return;
  chmodSync(folder, 0o700);
  for (const name of readdirSync(folder)) open(join(folder, name));
}
