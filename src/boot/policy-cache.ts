/**
 * Policy cache: what Cedar parsed, in the user's own cache folder, so that a boot need not load Cedar to parse the same again.
 * It decides what agents may do, so it is believed only where nobody else can write; without such a folder every boot parses.
 *   BOO-23.1  A set is found by the digest of all sources, the schema and Cedar's version; one that is damaged or of another key is passed over.
 *   BOO-23.2  A folder or file that is a link, another user's, or writable for others is neither read nor written.
 *   BOO-23.3  A set is written aside and moved to its name; several at once, a full disk and a kill leave nothing that is read as whole.
 *   BOO-23.4  The folder holds a bounded number of files: the oldest go first.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { randomBytes } from "node:crypto";
import { limits } from "../abi/limits.ts";
import type { PolicySet } from "../abi/policy.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { isObject, parseJson } from "../lib/json.ts";
import type { Layout } from "./layout.ts";
import { readText } from "./read.ts";

export function readPolicyCache(layout: Layout, key: Digest): PolicySet | null {
  const folder = folderOf(layout);
  const file = path.join(folder, `${key}.json`);
  if (!isPrivate(layout.user.cache, layout.uid) || !isPrivate(folder, layout.uid) || !isPrivate(file, layout.uid)) return null;
  const read = readText(file, limits.recordBytesMax);
  const sealed = read.ok ? parseJson(read.value.text) : undefined;
  if (!isObject(sealed) || !isObject(sealed["set"]) || sealed["digest"] !== sha256(JSON.stringify(sealed["set"]))) return null;
  /** writePolicyCache() wrote it, for nobody else could, and the key names the form of this version. */
  return sealed["set"]["key"] === key ? (sealed["set"] as unknown as PolicySet) : null;
}

/** A cache that cannot be written costs the next boot its time and nothing else. */
export function writePolicyCache(layout: Layout, set: PolicySet): void {
  const folder = folderOf(layout);
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isPrivate(layout.user.cache, layout.uid) || !isPrivate(folder, layout.uid)) return;
    const aside = path.join(folder, `${set.key}.${randomBytes(6).toString("hex")}.new`);
    try {
      fs.writeFileSync(aside, JSON.stringify({ digest: sha256(JSON.stringify(set)), set }), { mode: 0o600, flag: "wx" });
      fs.renameSync(aside, path.join(folder, `${set.key}.json`));
    } finally {
      fs.rmSync(aside, { force: true });
    }
    prune(folder);
  } catch {
    return;
  }
}

function folderOf(layout: Layout): string {
  return path.join(layout.user.cache, "policy");
}

/** There, no link, this user's own, and closed to others' writes. */
function isPrivate(place: string, uid: number): boolean {
  try {
    const stat = fs.lstatSync(place);
    return !stat.isSymbolicLink() && stat.uid === uid && (stat.mode & 0o022) === 0;
  } catch {
    return false;
  }
}

/** Also what a kill left aside. */
function prune(folder: string): void {
  const files = fs.readdirSync(folder).flatMap((name) => {
    const file = path.join(folder, name);
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ file, at: stat.mtimeMs }];
  });
  const oldest = files.toSorted((left, right) => right.at - left.at).slice(limits.policyCacheFilesMax);
  for (const { file } of oldest) fs.rmSync(file, { force: true });
}
