/** Log folder: a log on disk for a test, with ways to look at it and to do it harm. */
import { generateKeyPairSync, sign } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSegmentLog, type SegmentLog, type SegmentLogOptions } from "../../../src/drivers/store/segment-log.ts";
import { checkpoint } from "../../contract/store-log.ts";
import { makeFolder } from "./folder.ts";

export const keys = generateKeyPairSync("ed25519");
export const signWith = (message: Buffer): Buffer => sign(null, message, keys.privateKey);

export function openLog(dir: string, options: Partial<SegmentLogOptions> = {}): SegmentLog {
  const log = openSegmentLog({ dir, now: () => 1_000, ...options });
  if (!log.ok) throw new Error(log.error.message);
  return log.value;
}

export function entryText(index: number): string {
  return JSON.stringify({ kind: "signal", at: 1_000 + index, pid: 1, signal: "stop", by: `person ${index}` });
}

/** A closed log of one segment. Nobody else waits, so every answer is there at once. */
export function writeLog(records: number, options: Partial<SegmentLogOptions> = {}): string {
  const dir = join(makeFolder(), "log");
  const log = openLog(dir, options);
  for (let index = 0; index < records; index++) {
    log.append(entryText(index));
    if (index % 2 === 1) void log.barrier(true);
  }
  void log.close();
  return dir;
}

/** Three segments: records 0–9, 10–19, 20–29, the last two beginning with a checkpoint. */
export function writeThree(): string {
  const dir = join(makeFolder(), "log");
  const log = openLog(dir, { sign: signWith });
  for (let index = 0; index < 30; index++) {
    if (index === 10 || index === 20) void log.rotate(checkpoint(index));
    else log.append(entryText(index));
  }
  void log.close();
  return dir;
}

export function segmentPath(dir: string, first = 0): string {
  return join(dir, `${String(first).padStart(12, "0")}.log`);
}

/** Change one byte of a segment. */
export function flip(dir: string, at: number, mask = 0xff, first = 0): void {
  const bytes = readFileSync(segmentPath(dir, first));
  bytes.writeUInt8(bytes.readUInt8(at) ^ mask, at);
  writeFileSync(segmentPath(dir, first), bytes);
}

/** The log as a power cut would leave it, while it is still open here. */
export function copyLog(dir: string): string {
  const copy = join(makeFolder(), "log");
  cpSync(dir, copy, { recursive: true });
  return copy;
}
