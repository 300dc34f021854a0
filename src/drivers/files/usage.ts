/**
 * Usage: what a folder of ours takes of the disk, counted below its own descriptor, so that no link and no race leads the count elsewhere.
 *   FIL-16.4  Blocks count, not lengths; a file with several names counts its blocks once; each name counts as a file.
 *   FIL-16.5  The count ends where it is beyond what is asked, and a tree too deep to count is beyond everything.
 */
import { closeSync, lstatSync, openSync, readdirSync, type Stats } from "node:fs";
import type { Usage } from "../../abi/sandbox.ts";
import { fdPath, folderFlags } from "./tree.ts";

/** Deeper than any build makes, and few enough to hold a descriptor each. */
const depthMax = 200;
const blockBytes = 512;
/** Names looked at before other work gets its turn. */
const pauseEvery = 512;

/** More than any bound. Not infinite, because a count also travels as JSON. */
export const beyond: Usage = { bytes: Number.MAX_SAFE_INTEGER, files: Number.MAX_SAFE_INTEGER };

export async function usageOf(folder: string, enough: Usage = beyond): Promise<Usage> {
  const counted = { bytes: 0, files: 0 };
  const linked = new Set<number>();
  for (const stat of statsBelow(folder)) {
    if (stat === "too deep") return beyond;
    counted.files += 1;
    if (stat.nlink === 1 || stat.isDirectory() || !linked.has(stat.ino)) counted.bytes += stat.blocks * blockBytes;
    if (stat.nlink > 1) linked.add(stat.ino);
    if (counted.bytes > enough.bytes || counted.files > enough.files) break;
    if (counted.files % pauseEvery === 0) await new Promise(setImmediate);
  }
  return counted;
}

/** Everything below a folder. What vanishes meanwhile, or cannot be opened, is passed over. */
function* statsBelow(path: string, depth = 0): Generator<Stats | "too deep"> {
  if (depth > depthMax) {
    yield "too deep";
    return;
  }
  const fd = attempt(() => openSync(path, folderFlags));
  if (fd === null) return;
  try {
    for (const name of attempt(() => readdirSync(fdPath(fd))) ?? []) {
      const child = `${fdPath(fd)}/${name}`;
      const stat = attempt(() => lstatSync(child));
      if (stat === null) continue;
      yield stat;
      if (stat.isDirectory()) yield* statsBelow(child, depth + 1);
    }
  } finally {
    closeSync(fd);
  }
}

function attempt<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null;
  }
}
