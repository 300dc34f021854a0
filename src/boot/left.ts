/** Left: what a kernel that was killed left in a folder of this workspace. Whoever removes it holds the workspace's lock, so it is nobody's any more. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

export function removeLeft(folder: string, names: RegExp): void {
  for (const name of readdirSync(folder)) if (names.test(name)) rmSync(join(folder, name), { force: true });
}
