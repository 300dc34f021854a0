/** Folder: a place of its own for each test that touches the disk, gone afterwards. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export function makeFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "daimon-store-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A file system of so many bytes, for a disk that is really full; null where none may be mounted. */
export function mountSmallDisk(bytes: number): string | null {
  const path = makeFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=0700`, "tmpfs", path], { stdio: "ignore" });
  } catch {
    return null;
  }
  onTestFinished(() => {
    execFileSync("umount", ["-l", path]);
  });
  return path;
}
