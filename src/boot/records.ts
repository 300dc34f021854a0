/**
 * Records: which workspaces daimon made for this user, one file each, in the user's own folder, where no repository and no process can write.
 * A file's name is the digest of what it vouches for, and that the file is there is the whole record: there is no list that two daimons could
 * write at once, nothing in it that could be torn, and one record never touches another. What it holds is for people.
 *   BOO-20.1  A record vouches for one `.daimon` in one folder under one key, and for nothing that differs from it in any of them.
 *   BOO-20.2  A record is durable before it counts; a full disk or a kill in the middle changes no other record.
 *   BOO-20.3  A user folder that cannot be written is EROFS, a full disk ENOSPC: the first can be worked without, the second passes.
 *   BOO-20.4  A record whose content is damaged counts all the same.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { limits } from "../abi/limits.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { createFile, fsCode, fsError, makeFolder, syncFolder, writeAll } from "../drivers/store/disk.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { canonical, isObject, parseJson } from "../lib/json.ts";
import { done, type Result } from "../lib/result.ts";
import { checkUserFolder, type Layout } from "./layout.ts";
import { readText } from "./read.ts";

/**
 * What tells one `.daimon` from every other. The device is left out: many file systems get another number at each mount, and a workspace must
 * outlive a restart of the machine.
 */
export interface Fingerprint {
  /** The workspace's folder, without links. */
  readonly root: string;
  /** Of `.daimon`. A copy has another one. */
  readonly inode: string;
  /** When `.daimon` was made, in nanoseconds since 1970: an inode's number is used again. Null where the machine cannot tell. */
  readonly born: string | null;
  /** Over both halves of the workspace's key: who never saw `.daimon` cannot know it. */
  readonly key: Digest;
}

export interface WorkspaceRecord extends Fingerprint {
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A record that cannot be looked at is none. */
export function isRecorded(layout: Layout, print: Fingerprint): boolean {
  try {
    return fs.lstatSync(fileOf(layout, print)).isFile();
  } catch {
    return false;
  }
}

export function addRecord(layout: Layout, print: Fingerprint, now: number): Result<void, SysError> {
  const sound = checkUserFolder(layout);
  if (!sound.ok) return sound;
  const record: WorkspaceRecord = { ...print, at: now };
  try {
    makeFolder(layout.user.workspaces);
    write(fileOf(layout, print), `${JSON.stringify(record, null, 2)}\n`);
    syncFolder(layout.user.workspaces);
    return done;
  } catch (thrown) {
    // Another daimon vouched for the same `.daimon` at the same time.
    if (fsCode(thrown) === "EEXIST" && isRecorded(layout, print)) return done;
    const error = fsError(thrown, "the record of this workspace in ~/.config/daimon/workspaces could not be made");
    const unwritable = ["EROFS", "EACCES", "ENOENT"].includes(error.errno);
    return unwritable
      ? fail("EROFS", "~/.config/daimon cannot be written; set XDG_CONFIG_HOME to a folder that can")
      : { ok: false, error };
  }
}

/** Of a workspace that was not made after all. */
export function dropRecord(layout: Layout, print: Fingerprint): void {
  fs.rmSync(fileOf(layout, print), { force: true });
}

/** All that can be read, for telling a person what is known. */
export function recordsOf(layout: Layout): readonly WorkspaceRecord[] {
  let names: readonly string[];
  try {
    names = fs.readdirSync(layout.user.workspaces);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const text = readText(path.join(layout.user.workspaces, name), limits.configBytesMax);
    const json = text.ok ? parseJson(text.value.text) : null;
    if (!isObject(json)) return [];
    const { root, inode, born, key, at } = json;
    if (typeof root !== "string" || typeof inode !== "string" || typeof key !== "string" || typeof at !== "number") return [];
    return [{ root, inode, born: typeof born === "string" ? born : null, key, at }];
  });
}

function fileOf(layout: Layout, { root, inode, born, key }: Fingerprint): string {
  return path.join(layout.user.workspaces, `${sha256(canonical({ root, inode, born, key }))}.json`);
}

function write(file: string, text: string): void {
  const fd = createFile(file);
  try {
    const content = Buffer.from(text);
    writeAll(fd, content, content.length, 0);
    fs.fsyncSync(fd);
  } catch (thrown) {
    fs.rmSync(file, { force: true });
    throw thrown;
  } finally {
    fs.closeSync(fd);
  }
}
