/**
 * Provenance: is the `.daimon` here one that daimon made for this user in this folder? One that came with a repository or an archive, or was
 * copied, is not, whatever it holds: its journal is not resumed, its keys do not sign, its approvals approve nothing.
 * A new `.daimon` is made beside its place under a name of its own, recorded, and only then moved there: so a `.daimon` of ours is never seen
 * without its record, and of two that are made at once one gets the place and the other is gone.
 *   BOO-21.1  A `.daimon` that is not recorded for this user, this folder and this key is EUCLEAN, for a boot and for those who only look; nothing of it is
 *             used, and nothing is written.
 *   BOO-21.2  An empty `.daimon` holds nothing that could be believed and counts as none.
 *   BOO-21.3  Making one that a crash cuts short leaves no `.daimon`, and the next try makes it.
 *   BOO-21.4  Of several that make it at once all come up with the same one.
 *   BOO-21.5  Where the user's folder cannot be written a new workspace works once, and a finding says that it will not be known again.
 *   BOO-21.6  Adopting is a person's act: it records what is there as it is, closes it to others, and makes the key where nothing has run yet.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import { fsCode, fsError, syncFolder } from "../drivers/store/disk.ts";
import { ok, type Result } from "../lib/result.ts";
import { keyDigest, keyFiles, makeKey } from "./keys.ts";
import { checkFolder, checkPlaces, checkRoot, checkUserFolder, folderName, foreignRoot, prepare, type Layout } from "./layout.ts";
import { addRecord, dropRecord, isRecorded, recordsOf, type Fingerprint, type WorkspaceRecord } from "./records.ts";

/** What stands in the place of `.daimon`. */
export type Standing = "absent" | "own";

/** For whoever is about to use a workspace, to run it or to look at it. */
export function checkWorkspace(layout: Layout): Result<Standing, SysError> {
  return guarded(() => {
    const places = checkPlaces(layout);
    return places.ok ? standingOf(layout) : places;
  });
}

/** Whose `.daimon` it is, also where its places are not sound: for fsck, which mends them. */
export function standingOf(layout: Layout): Result<Standing, SysError> {
  return guarded(() => {
    const folder = checkFolder(layout.folder, layout.uid);
    if (!folder.ok) return folder;
    if (isAbsent(layout.folder)) return ok("absent");
    const around = checkAround(layout);
    if (!around.ok) return around;
    const print = fingerprintOf(layout, layout.folder);
    if (print !== null && (isRecorded(layout, print) || isRecorded(layout, { ...print, born: null }))) return ok("own");
    return fail("EUCLEAN", strange(layout, print));
  });
}

/** Looks first; makes what is missing. For a boot, and for `daimon init`. */
export function openWorkspace(layout: Layout, now: number): Result<readonly Finding[], SysError> {
  const standing = checkWorkspace(layout);
  if (!standing.ok) return standing;
  const made = standing.value === "own" ? ok([]) : make(layout, now);
  if (!made.ok) return made;
  const prepared = prepare(layout);
  return prepared.ok ? ok([...foreignRoot(layout), ...made.value]) : prepared;
}

/** Vouch for what is there, because a person says so. */
export function adopt(layout: Layout, now: number): Result<void, SysError> {
  return guarded(() => {
    for (const check of [checkPlaces, checkAround]) {
      const sound = check(layout);
      if (!sound.ok) return sound;
    }
    const bare = !fs.existsSync(layout.journal) && !fs.existsSync(path.join(layout.keys, keyFiles.secret));
    if (bare) makeKey(layout.keys);
    const print = fingerprintOf(layout, layout.folder);
    if (print !== null) {
      const recorded = addRecord(layout, provable(print), now);
      return recorded.ok ? prepare(layout) : recorded;
    }
    return fail(
      "EUCLEAN",
      "its key is not in .daimon/keys, so nobody can tell whose journal it is; restore the folder from a backup",
    );
  });
}

/** What the disk refuses to show is an error and no crash. */
function guarded<T>(look: () => Result<T, SysError>): Result<T, SysError> {
  try {
    return look();
  } catch (thrown) {
    return { ok: false, error: fsError(thrown, `${folderName} cannot be looked at`) };
  }
}

/** The folder it stands in, and the folder that vouches for it. */
function checkAround(layout: Layout): Result<void, SysError> {
  const root = checkRoot(layout);
  return root.ok ? checkUserFolder(layout) : root;
}

function make(layout: Layout, now: number): Result<readonly Finding[], SysError> {
  const around = checkAround(layout);
  if (!around.ok) return around;
  let draft: string | null = null;
  try {
    draft = fs.mkdtempSync(`${layout.folder}-new-`);
    fs.writeFileSync(path.join(draft, ".gitignore"), "*\n", { mode: 0o600 });
    makeKey(path.join(draft, path.basename(layout.keys)));
    syncFolder(draft);
    return place(layout, draft, now);
  } catch (thrown) {
    const error = fsError(thrown, `${folderName} cannot be made in the workspace`);
    return error.errno === "ENOSPC" ? { ok: false, error } : cannotMake(fsCode(thrown));
  } finally {
    if (draft !== null) fs.rmSync(draft, { recursive: true, force: true });
  }
}

/** The record comes first: whoever sees the folder in its place finds it. */
function place(layout: Layout, draft: string, now: number): Result<readonly Finding[], SysError> {
  const print = fingerprintOf(layout, draft);
  if (print === null) return cannotMake("its key cannot be read");
  const recorded = addRecord(layout, provable(print), now);
  if (!recorded.ok && recorded.error.errno !== "EROFS") return recorded;
  try {
    // Takes the place of an empty folder, and of nothing else.
    fs.renameSync(draft, layout.folder);
  } catch (thrown) {
    if (recorded.ok) dropRecord(layout, provable(print));
    const code = fsCode(thrown);
    if (code !== "EEXIST" && code !== "ENOTEMPTY" && code !== "ENOTDIR") return cannotMake(code);
    // Another daimon was faster.
    const standing = checkWorkspace(layout);
    return standing.ok ? ok([]) : standing;
  }
  syncFolder(layout.root);
  return ok(recorded.ok ? [] : [unrecorded(recorded.error)]);
}

function unrecorded({ message }: SysError): Finding {
  const what = `this workspace works now and will not be known again, because ${message}, then take it over with \`daimon fsck --adopt\``;
  return { rule: "BOO-21.5", severity: "warning", where: folderName, message: what };
}

function cannotMake(why: string): Result<never, SysError> {
  const next =
    why === "EBUSY"
      ? `it is a mount point; if the mount is yours, take it over with \`daimon fsck --adopt\``
      : "make the folder writable, or name another with --cwd";
  return fail("EIO", `cannot create ${folderName} in the workspace: ${why}; ${next}`);
}

/** Null where there is no key. `folder` is `.daimon`, or what is about to become it. */
export function fingerprintOf(layout: Layout, folder: string): Fingerprint | null {
  const key = keyDigest(path.join(folder, path.basename(layout.keys)));
  const stat = fs.lstatSync(folder, { bigint: true, throwIfNoEntry: false });
  if (key === null || stat === undefined) return null;
  return { root: fs.realpathSync(layout.root), inode: String(stat.ino), born: String(stat.birthtimeNs), key };
}

/**
 * Where statx(2) is missing or barred, Node gives the time of the last change for that of birth. /proc has no birth times, so a time given
 * there is such a stand-in, and a record that held one would soon fit no more.
 */
function provable(print: Fingerprint): Fingerprint {
  const known = (fs.statSync("/proc", { throwIfNoEntry: false })?.birthtimeMs ?? 0) === 0;
  return known ? print : { ...print, born: null };
}

function isAbsent(folder: string): boolean {
  return fs.lstatSync(folder, { throwIfNoEntry: false }) === undefined || fs.readdirSync(folder).length === 0;
}

function strange(layout: Layout, print: Fingerprint | null): string {
  const what = whatHappened(recordsOf(layout), fs.realpathSync(layout.root), inodeOf(layout.folder), print);
  const next = "move it away, or if it is yours take it over with `daimon fsck --adopt`";
  return `${what}, so nothing in it is used; \`daimon fsck\` shows what is in it: ${next}`;
}

/** As much as the records tell of how it came here. */
function whatHappened(records: readonly WorkspaceRecord[], root: string, inode: string, print: Fingerprint | null): string {
  const here = records.filter((record) => record.root === root);
  const sameKey = records.filter((record) => record.key === print?.key);
  if (sameKey.some((record) => record.inode === inode && record.root !== root))
    return `${folderName} was made for another folder: the workspace was moved, or is seen through another path`;
  if (sameKey.length > 0) return `${folderName} is a copy of one that daimon made, or was restored`;
  if (here.some((record) => record.inode === inode)) return `the key in ${folderName}/keys is not the one that daimon made here`;
  if (here.length > 0) return `${folderName} is not the one that daimon made here: it was exchanged`;
  return `${folderName} was not made by daimon for you: it may have come with somebody else's files`;
}

function inodeOf(folder: string): string {
  return String(fs.lstatSync(folder, { bigint: true }).ino);
}
