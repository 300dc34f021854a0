/**
 * Upper: what an overlay session changed, read from its upper folder alone, so the cost follows the change and not the workspace.
 * Source: Linux Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
 *   FIL-8.1  A whiteout is a deletion; a file over a folder deletes what was in the folder; a remade folder deletes what it no longer shows.
 *   FIL-8.2  What someone else adds to the workspace while the session is open is never taken for a deletion by the session.
 *   FIL-8.3  Hidden names and half-written files are not changes.
 */
import type { Stats } from "node:fs";
import { listBeneath, temporaryName } from "./beneath.ts";
import { at, type Tree } from "./tree.ts";

export type EntryType = "file" | "folder" | "link" | "other";

export type Difference =
  | { readonly kind: "present"; readonly path: string; readonly type: EntryType; readonly stat: Stats }
  /** It is in the workspace and the session does not show it. `whiteout` is the mark's own state where there is one. */
  | { readonly kind: "gone"; readonly path: string; readonly type: EntryType; readonly stat: Stats };

export interface Layers {
  readonly upper: Tree;
  readonly lower: Tree;
  readonly view: Tree;
  readonly hide: ReadonlySet<string>;
  /** When the view was mounted: what changed in the workspace later may be missing from the view for that reason alone. */
  readonly mountedAt: number;
}

export function* differences(layers: Layers, folder = "."): Generator<Difference> {
  for (const name of namesOf(layers.upper, folder)) {
    if (name === temporaryName || (folder === "." && layers.hide.has(name))) continue;
    const path = folder === "." ? name : `${folder}/${name}`;
    const upper = statOf(layers.upper, path);
    if (upper === null) continue;
    const lower = statOf(layers.lower, path);
    if (isWhiteout(upper)) {
      if (lower !== null) yield* goneTree(layers, path, lower);
      continue;
    }
    const type = typeOf(upper);
    if (type !== "folder") {
      if (lower?.isDirectory()) yield* goneTree(layers, path, lower);
      yield { kind: "present", path, type, stat: upper };
      continue;
    }
    if (lower !== null && !lower.isDirectory()) yield { kind: "gone", path, type: typeOf(lower), stat: lower };
    if (!lower?.isDirectory()) yield { kind: "present", path, type, stat: upper };
    else yield* hiddenByRemake(layers, path);
    yield* differences(layers, path);
  }
}

/** A folder remade by the session hides the workspace's without a mark on each name. */
function* hiddenByRemake(layers: Layers, folder: string): Generator<Difference> {
  // One listing spares a look at every name; what it leaves out is looked at, because listings may be older than the folder.
  const shown = new Set(namesOf(layers.view, folder));
  for (const name of namesOf(layers.lower, folder)) {
    if (shown.has(name)) continue;
    const path = `${folder}/${name}`;
    if (statOf(layers.upper, path) !== null || statOf(layers.view, path) !== null) continue;
    const lower = statOf(layers.lower, path);
    if (lower !== null && lower.ctimeMs <= layers.mountedAt) yield* goneTree(layers, path, lower);
  }
}

/** A path of the workspace with all that is in it, deepest first. */
function* goneTree(layers: Layers, path: string, stat: Stats): Generator<Difference> {
  if (stat.isDirectory()) {
    for (const name of namesOf(layers.lower, path)) {
      const child = statOf(layers.lower, `${path}/${name}`);
      if (child !== null) yield* goneTree(layers, `${path}/${name}`, child);
    }
  }
  yield { kind: "gone", path, type: typeOf(stat), stat };
}

export function isWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0;
}

export function typeOf(stat: Stats): EntryType {
  return stat.isFile() ? "file" : stat.isDirectory() ? "folder" : stat.isSymbolicLink() ? "link" : "other";
}

export function statOf(tree: Tree, path: string): Stats | null {
  const found = at(tree, path, { last: "keep" }, (place) => place.stat);
  return found.ok ? found.value : null;
}

function namesOf(tree: Tree, path: string): string[] {
  const entries = listBeneath(tree, path);
  return entries.ok ? entries.value.map((entry) => entry.path.slice(entry.path.lastIndexOf("/") + 1)) : [];
}

/** A copied-up file keeps the number of the file it was copied from; one the session made has its own. */
export function wasCopied(difference: Difference, viewed: Stats | null): boolean {
  return difference.kind === "present" && viewed !== null && viewed.ino !== difference.stat.ino;
}

/** Whether what the workspace holds is surely what the session saw before it changed the path. */
export function isCertain(lower: Stats, difference: Difference, viewed: Stats | null, mountedAt: number): boolean {
  if (lower.ctimeMs <= mountedAt) return true;
  return wasCopied(difference, viewed) && viewed?.ino === lower.ino && difference.stat.birthtimeMs > lower.ctimeMs;
}
