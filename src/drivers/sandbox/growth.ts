/**
 * Growth: what a command may still write, and its end when its session or the disk is full.
 * A limit on each file holds at once; how much all files take is looked at again and again, sooner when the disk is filling up.
 *   SBX-10.1  No file of a command becomes longer than what is left to its session.
 *   SBX-10.2  A command is ended soon after its session takes more than its bound, in bytes or in files; what it wrote stays.
 *   SBX-10.3  A command is ended before the disk is full.
 *   SBX-10.4  In a session or on a disk that is full from the start, a command writes nothing and deletes as before.
 */
import { statfsSync } from "node:fs";
import type { Full, Growth, Usage } from "../../abi/sandbox.ts";
import { limits } from "../../abi/limits.ts";
import { usageOf } from "../files/usage.ts";

export interface Watch {
  /** The longest a file may become. */
  readonly fileBytesMax: number;
  /** What was full before the command began. */
  readonly tight: Full | null;
  /** Looks on from now until the returned function is called. */
  start(onFull: (what: Full) => void): () => void;
}

interface Free {
  readonly bytes: number;
  /** Infinite where the file system does not count them. */
  readonly files: number;
}

const tickMs = 50;
const measureEveryMs = 500;
/** Counting takes at most this share of the time. */
const measureShare = 0.05;
/** Deleting writes too: marks of what is gone, and the folders that hold them. */
const slack: Usage = { bytes: 1024 * 1024, files: 1_000 };

export async function watchGrowth(growth: Growth): Promise<Watch> {
  const used = await usageOf(growth.folder);
  const free = freeOn(growth.folder);
  const overfull = used.bytes >= growth.bytesMax || used.files >= growth.filesMax;
  const tight = overfull ? "session" : free.bytes < growth.freeBytesMin ? "disk" : null;
  const max: Usage =
    tight === null
      ? { bytes: growth.bytesMax, files: growth.filesMax }
      : { bytes: used.bytes + slack.bytes, files: used.files + slack.files };
  const freeBytesMin = Math.min(growth.freeBytesMin, tight === null ? Number.POSITIVE_INFINITY : free.bytes - slack.bytes);
  return {
    fileBytesMax: tight === null ? growth.bytesMax - used.bytes : 0,
    tight,
    start: (onFull) => watch(growth.folder, max, freeBytesMin, { used, free }, onFull),
  };
}

interface Measured {
  readonly used: Usage;
  readonly free: Free;
}

function watch(folder: string, max: Usage, freeBytesMin: number, first: Measured, onFull: (what: Full) => void): () => void {
  let last = first;
  let nextAt = performance.now() + measureEveryMs;
  let measuring = false;
  const measure = async (free: Free): Promise<void> => {
    measuring = true;
    const since = performance.now();
    last = { used: await usageOf(folder, max), free };
    const now = performance.now();
    nextAt = now + Math.max(measureEveryMs, (now - since) / measureShare);
    measuring = false;
    if (last.used.bytes > max.bytes || last.used.files > max.files) onFull("session");
  };
  const look = (): void => {
    const free = freeOn(folder);
    if (free.bytes < freeBytesMin) return onFull("disk");
    // Whatever was written meanwhile, by the command or by others, is gone from what was free.
    const filling =
      last.free.bytes - free.bytes > (max.bytes - last.used.bytes) / 2 ||
      last.free.files - free.files > (max.files - last.used.files) / 2;
    if (!measuring && (filling || performance.now() >= nextAt)) void measure(free);
  };
  const timer = setInterval(look, tickMs);
  return () => clearInterval(timer);
}

/** The least that is to stay free on the disk of a folder: enough for the journal, and not half of a small disk. */
export function freeBytesMinOn(folder: string): number {
  const { bsize, blocks } = statfsSync(folder);
  return Math.min(limits.diskFreeBytesMin, Math.floor(bsize * blocks * limits.diskFreeShareMin));
}

export function freeOn(folder: string): Free {
  const { bsize, bavail, files, ffree } = statfsSync(folder);
  return { bytes: bsize * bavail, files: files === 0 ? Number.POSITIVE_INFINITY : ffree };
}
