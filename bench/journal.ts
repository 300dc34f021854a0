/**
 * Journal bench: what a record costs to append (chained, encoded, signed in batches, written) and to verify, and what a barrier costs
 * beside the bare disk. Figures are CPU time of one core; the disk's own speed is shown as a ratio within one run.
 */
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSegmentLog, type SegmentLog } from "../src/drivers/store/segment-log.ts";
import { verifyLog } from "../src/drivers/store/verify.ts";
import { assert } from "../src/lib/assert.ts";
import { atLeast, atMost, cost, median, ratio, sideBySide, told, type BenchOptions, type Measure } from "./measure.ts";

export const seconds = 15;

const records = 100_000;
const rounds = 7;
/** Records that share a barrier in the append measure: what a hundred busy agents put into one. */
const batch = 100;
const barriers = 200;

export async function run(options: BenchOptions): Promise<Measure[]> {
  const folder = mkdtempSync(join(options.data ?? tmpdir(), "daimon-journal-"));
  try {
    return [...(await throughput(folder)), ...(await syncs(folder))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function throughput(folder: string): Promise<Measure[]> {
  const keys = generateKeyPairSync("ed25519");
  const texts = Array.from({ length: records }, (_, index) => entryText(index));
  const payloadBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const append: number[] = [];
  const shared: number[] = [];
  const verify: number[] = [];
  const read: number[] = [];
  let logBytes = 0;
  for (let round = 0; round < rounds; round++) {
    const dir = join(folder, `log-${round}`);
    append.push(await appendMicros(dir, texts, keys.privateKey));
    logBytes = statSync(join(dir, "000000000000.log")).size;
    verify.push(await verifyMicros(dir, keys.publicKey));
    read.push(await readMicros(dir));
    rmSync(dir, { recursive: true });
    shared.push(await sharedMicros(dir, texts.slice(0, records / 5), keys.privateKey));
    rmSync(dir, { recursive: true });
  }
  const perSecond = (micros: readonly number[]): number => Math.round(1e6 / median(micros));
  return [
    atLeast("append, chained and signed, per core", perSecond(append), "entries/s", 150_000, "≥ 400000"),
    told("append, CPU", median(append), "µs"),
    told(`append with a shared fdatasync every ${batch} records, CPU`, median(shared), "µs"),
    atLeast("verify chain and signatures, per core", perSecond(verify), "entries/s", 300_000),
    told("read in order, chain checked, per core", perSecond(read), "entries/s"),
    told("record, mean", payloadBytes / records, "bytes"),
    atMost("log bytes per payload byte", logBytes / payloadBytes, "×", 3, "≤ 1.3"),
  ];
}

/** The queue is written as it fills; the last barrier makes it durable and belongs to the cost. */
async function appendMicros(dir: string, texts: readonly string[], key: KeyObject): Promise<number> {
  const log = openLog(dir, key);
  const { cpuMs } = await cost(async () => {
    for (const text of texts) log.append(text);
    const durable = await log.barrier(true);
    assert(durable.ok, "the bench's disk takes the log");
  });
  await log.close();
  return (cpuMs * 1e3) / texts.length;
}

async function sharedMicros(dir: string, texts: readonly string[], key: KeyObject): Promise<number> {
  const log = openLog(dir, key);
  const { cpuMs } = await cost(async () => {
    for (let at = 0; at < texts.length; at += batch) {
      for (const text of texts.slice(at, at + batch)) log.append(text);
      await log.barrier(false);
    }
  });
  await log.close();
  return (cpuMs * 1e3) / texts.length;
}

async function verifyMicros(dir: string, key: KeyObject): Promise<number> {
  const { cpuMs } = await cost(() => {
    const report = verifyLog(dir, key);
    assert(report.ok && report.value.signedRecords === records && report.value.findings.length === 0, "the bench's log verifies");
  });
  return (cpuMs * 1e3) / records;
}

async function readMicros(dir: string): Promise<number> {
  const log = openSegmentLog({ dir, now: Date.now, readOnly: true });
  assert(log.ok, "the bench's log opens");
  let seen = 0;
  const { cpuMs } = await cost(() => {
    for (const record of log.value.read(0)) if (record.ok) seen++;
  });
  assert(seen === records, "every record is read");
  await log.value.close();
  return (cpuMs * 1e3) / records;
}

/** An agent alone waits twice a step: once before its effect and once before the answer. The bare disk does the same with one buffer. */
async function syncs(folder: string): Promise<Measure[]> {
  const log = openLog(join(folder, "alone"), generateKeyPairSync("ed25519").privateKey);
  const fd = openSync(join(folder, "bare"), "w");
  const text = entryText(0);
  const bytes = Buffer.from(text);
  let position = 0;
  const samples = await sideBySide(9, {
    log: () =>
      micros(() => {
        log.append(text);
        const durable = log.barrier(true);
        assert(!(durable instanceof Promise) && durable.ok, "a barrier alone is done at once");
      }),
    bare: () =>
      micros(() => {
        position += writeSync(fd, bytes, 0, bytes.length, position);
        fdatasyncSync(fd);
      }),
  });
  closeSync(fd);
  await log.close();
  return [
    told("barriers alone", Math.round(1e6 / median(samples.log)), "/s"),
    told("bare write and fdatasync", Math.round(1e6 / median(samples.bare)), "/s"),
    atLeast("steps of two barriers, against two bare fdatasyncs", ratio(samples.bare, samples.log), "×", 0.5, "≥ 0.8"),
  ];
}

function micros(act: () => void): number {
  const start = performance.now();
  for (let count = 0; count < barriers; count++) act();
  return ((performance.now() - start) * 1e3) / barriers;
}

function openLog(dir: string, key: KeyObject): SegmentLog {
  const log = openSegmentLog({ dir, now: Date.now, sign: (message) => sign(null, message, key) });
  assert(log.ok, "the bench's log opens");
  return log.value;
}

/** About 230 bytes: an outcome with a short value. */
function entryText(index: number): string {
  const pid = (index % 100) + 1;
  const value = "The quarter closed with 12.4 million in revenue, 8 % above plan; see line 41.";
  const label = { integrity: "derived", confidentiality: "workspace" };
  return JSON.stringify({
    kind: "outcome",
    at: 1_780_000_000_000 + index,
    pid,
    id: `${pid}.${index}.0`,
    tokens: 21,
    source: "q3.md",
    label,
    value,
  });
}
