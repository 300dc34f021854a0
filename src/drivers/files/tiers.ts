/**
 * Tiers: what every process of a workspace sees besides its own session. Both are only read here.
 *   FIL-17.2  `/platform` is daimon's own documentation and programs, as they were installed; it is of the system.
 *   FIL-17.3  `/shared` holds what processes shared, with the label it was shared with; a list or a search has the join of all that it looked at.
 *   FIL-17.4  Nothing is made before it is used: a workspace where nothing was shared has an empty tier.
 */
import { readdirSync } from "node:fs";
import { fail, type SysError } from "../../abi/errno.ts";
import type { FileStat, SharedFile, Tier } from "../../abi/files.ts";
import type { Label } from "../../abi/label.ts";
import type { BlobDriver } from "../../abi/store.ts";
import { ok, type Result } from "../../lib/result.ts";
import { inTier, tierPath, type TierName } from "../../lib/tier.ts";
import { listBeneath, readBeneath, stateBeneath, statBeneath } from "./beneath.ts";
import { closeTree, normalPath, openTree, type Tree } from "./tree.ts";

/** What of an installed daimon is shown: a checkout has more. */
const shown: ReadonlySet<string> = new Set(["docs", "programs", "README.md", "llms.txt"]);

const installed: Label = { integrity: "system", confidentiality: "public" };
/** Where nothing is, the tier itself still says so. */
const nothing: Label = { integrity: "derived", confidentiality: "workspace" };

/** `root`: the folder of the package. */
export function platformTier(root: string): Tier {
  const within = <T>(path: string, look: (tree: Tree, inner: string) => Result<T, SysError>): Result<T, SysError> => {
    const inner = innerPath("platform", path);
    if (!inner.ok) return inner;
    const top = inner.value.split("/")[0] ?? "";
    if (top !== "." && !shown.has(top)) return missing(path);
    const tree = openTree(root, null, "none");
    if (!tree.ok) return tree;
    try {
      return look(tree.value, inner.value);
    } finally {
      closeTree(tree.value);
    }
  };
  const named = (stat: FileStat): FileStat => ({ ...stat, path: inTier("platform", stat.path) });
  return {
    pid: 0,
    state: (path) => within(path, stateBeneath),
    read: (path) =>
      within(path, (tree, inner) => {
        const found = readBeneath(tree, inner);
        return found.ok ? ok(found.value.data) : found;
      }),
    stat: (path) =>
      within(path, (tree, inner) => {
        const found = statBeneath(tree, inner);
        return found.ok ? ok(named(found.value)) : found;
      }),
    list: (path) =>
      within(path, (tree, inner) => {
        if (inner === ".")
          return ok(
            tops(root)
              .flatMap((name) => statOf(tree, name))
              .map(named),
          );
        const found = listBeneath(tree, inner);
        return found.ok ? ok(found.value.map(named)) : found;
      }),
    label: () => installed,
  };
}

function tops(root: string): readonly string[] {
  return readdirSync(root)
    .filter((name) => shown.has(name))
    .toSorted();
}

function statOf(tree: Tree, name: string): readonly FileStat[] {
  const stat = statBeneath(tree, name);
  return stat.ok ? [stat.value] : [];
}

/** `files`: by their path in the tier, as the journal tells. `join` is how labels combine. */
export function sharedTier(
  files: () => ReadonlyMap<string, SharedFile>,
  blobs: BlobDriver,
  join: (a: Label, b: Label) => Label,
): Tier {
  /** Its content never changes under one digest. */
  const state = (path: string): Result<string, SysError> => {
    const inner = innerPath("shared", path);
    if (!inner.ok) return inner;
    const file = files().get(inner.value);
    if (file !== undefined) return ok(file.blob);
    return below(files(), inner.value).length > 0 ? fail("EINVAL", `${path} is a folder; list it with fs.list`) : missing(path);
  };
  return {
    pid: 0,
    state,
    read: (path) => {
      const blob = state(path);
      return blob.ok ? blobs.get(blob.value) : blob;
    },
    stat: (path) => {
      const inner = innerPath("shared", path);
      if (!inner.ok) return inner;
      return statIn(files(), inner.value) ?? missing(path);
    },
    list: (path) => {
      const inner = innerPath("shared", path);
      if (!inner.ok) return inner;
      if (files().has(inner.value)) return fail("EINVAL", `${path} is not a folder; use fs.read for a file`);
      const names = children(files(), inner.value);
      if (names.length === 0 && inner.value !== ".") return missing(path);
      return ok(
        names.flatMap((name) => {
          const stat = statIn(files(), name);
          return stat?.ok === true ? [stat.value] : [];
        }),
      );
    },
    label: (path) => {
      const inner = innerPath("shared", path);
      const met = inner.ok ? below(files(), inner.value) : [];
      return met.reduce((all, file) => join(all, file.label), nothing);
    },
  };
}

function statIn(files: ReadonlyMap<string, SharedFile>, inner: string): Result<FileStat, SysError> | null {
  const path = inTier("shared", inner);
  const file = files.get(inner);
  if (file !== undefined) return ok({ path, type: "file", bytes: file.bytes, modifiedAt: file.at });
  const all = below(files, inner);
  if (all.length === 0 && inner !== ".") return null;
  return ok({ path, type: "folder", bytes: 0, modifiedAt: all.reduce((last, { at }) => Math.max(last, at), 0) });
}

/** The file itself, or all that lies in the folder. */
function below(files: ReadonlyMap<string, SharedFile>, inner: string): readonly SharedFile[] {
  return [...files].flatMap(([name, file]) => (inner === "." || name === inner || name.startsWith(`${inner}/`) ? [file] : []));
}

/** What stands directly in the folder, sorted. */
function children(files: ReadonlyMap<string, SharedFile>, inner: string): readonly string[] {
  const prefix = inner === "." ? "" : `${inner}/`;
  const names = new Set<string>();
  for (const name of files.keys()) {
    if (!name.startsWith(prefix)) continue;
    const end = name.indexOf("/", prefix.length);
    names.add(end === -1 ? name : name.slice(0, end));
  }
  return [...names].toSorted();
}

function innerPath(tier: TierName, path: string): Result<string, SysError> {
  const split = tierPath(path);
  return split?.tier === tier ? normalPath(split.path) : missing(path);
}

function missing(path: string): Result<never, SysError> {
  return fail("ENOENT", `there is no ${path}; fs.list shows what is there`);
}
