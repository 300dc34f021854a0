/**
 * Covers: what of a workspace is closed to whoever runs in a sandbox, as it stands at this moment.
 *   SBX-11.1  Only what stands there is covered, a folder as a whole: bubblewrap would make a file for what does not, and follow a link on the way.
 */
import { at, closeTree, openTree } from "../files/tree.ts";
import type { Closed } from "./profile.ts";

export interface Standing extends Closed {
  /** Another file at this path has another mark. */
  readonly mark: string;
}

/** null where it cannot be told. */
export function standingAt(root: string, closed: readonly string[]): readonly Standing[] | null {
  const standing: Standing[] = [];
  const tree = openTree(root, null, "none");
  if (!tree.ok) return null;
  try {
    for (const path of closed) {
      const found = at(tree.value, path, { last: "keep" }, (place) => place.stat);
      if (!found.ok && found.error.errno !== "ENOENT" && found.error.errno !== "EACCES") return null;
      const stat = found.ok ? found.value : null;
      const covered = standing.some((above) => path.startsWith(`${above.path}/`));
      if (stat === null || stat.isSymbolicLink() || covered) continue;
      standing.push({ path, type: stat.isDirectory() ? "folder" : "file", mark: `${stat.ino}:${stat.ctimeMs}` });
    }
  } finally {
    closeTree(tree.value);
  }
  return standing;
}
