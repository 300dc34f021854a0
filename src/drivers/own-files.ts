/**
 * Own files: where daimon's own files lie, in a checkout and in the built package alike.
 *   DRV-1.1  A file is found from the package's root, so that code may be bundled or moved without losing it.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder with daimon's package.json. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json")) || dirname(folder) === folder) return folder;
  }
}

/** A module of ours that is started by its path: `drivers/sandbox/zygote` under `src`, or built under `dist`. */
export function modulePath(name: string): string {
  const source = join(packageRoot(), "src", `${name}.ts`);
  return existsSync(source) ? source : join(packageRoot(), "dist", `${name}.js`);
}
