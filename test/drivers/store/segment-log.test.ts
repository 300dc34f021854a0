/** The log on disk: its files, its barriers, its readers. */
import { lstatSync, mkdirSync, openSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { pbkdf2 } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { emptyHead, storeLimits } from "../../../src/abi/store.ts";
import { openSegmentLog } from "../../../src/drivers/store/segment-log.ts";
import { encodeSegmentHead } from "../../../src/drivers/store/segment.ts";
import { SegmentWriter } from "../../../src/drivers/store/segment-writer.ts";
import { verifyLog } from "../../../src/drivers/store/verify.ts";
import { checkpoint, readAll } from "../../contract/store-log.ts";
import { makeFolder, mountSmallDisk } from "./folder.ts";
import { entryText, flip, keys, openLog, segmentPath, signWith, writeLog } from "./log-folder.ts";

const end = { seq: 0, first: 0, offset: 0, head: emptyHead };

/** A writer on a device where every write fails as on a full disk. */
function fullWriter(): SegmentWriter {
  const fd = openSync("/dev/full", "w");
  return new SegmentWriter({ dir: makeFolder(), fd, end, unsigned: 0, now: () => 1, sign: null, mark: () => undefined });
}

describe("files", () => {
  test("STO-1.5 are private and never a symbolic link", () => {
    const dir = writeLog(2);
    expect(lstatSync(dir).mode & 0o777).toBe(0o700);
    expect(lstatSync(segmentPath(dir)).mode & 0o777).toBe(0o600);

    const target = join(makeFolder(), "elsewhere.log");
    renameSync(segmentPath(dir), target);
    symlinkSync(target, segmentPath(dir));
    const before = readFileSync(target);
    const opened = openSegmentLog({ dir, now: () => 1 });
    expect(opened).toMatchObject({ ok: false, error: { errno: "EACCES" } });
    expect(opened.ok ? "" : opened.error.message).toContain("link");
    expect(readFileSync(target).equals(before)).toBe(true);

    const parent = makeFolder();
    mkdirSync(join(parent, "real"));
    symlinkSync(join(parent, "real"), join(parent, "log"));
    expect(openSegmentLog({ dir: join(parent, "log"), now: () => 1 })).toMatchObject({ ok: false, error: { errno: "EACCES" } });
  });

  test("STO-1.17 a boot reads the last segment only: older damage does not stop it, and reading finds it", async () => {
    const dir = makeFolder();
    const log = openLog(dir, { segmentBytesMax: 400 });
    log.append(entryText(0));
    expect(log.rotateDue).toBe(false);
    while (!log.rotateDue) log.append(entryText(log.next));
    const seq = log.next;
    expect(log.rotate(checkpoint(1))).toEqual({ ok: true, value: seq });
    expect(log.rotateDue).toBe(false);
    log.append(entryText(seq + 1));
    await log.close();
    flip(dir, 300);
    const again = openLog(dir);
    expect([again.next, again.resumeFrom]).toEqual([seq + 2, seq]);
    expect(readAll(again, seq)).toHaveLength(2);
    expect([...again.read(0)].at(-1)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    await again.close();
  });
});

describe("barriers", () => {
  test("STO-1.11 those that wait together are one promise and one sync", async () => {
    const log = openLog(makeFolder());
    log.append("a");
    const first = log.barrier(false);
    log.append("b");
    expect(log.barrier(false)).toBe(first);
    expect(log.barrier(true)).toBe(first);
    expect(first).toBeInstanceOf(Promise);
    // The cycle begins in the next turn of the event loop; what is appended while it syncs waits for the one after.
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.barrier(false)).toBe(first);
    log.append("c");
    const second = log.barrier(false);
    expect(second).not.toBe(first);
    expect(await Promise.all([first, second])).toEqual([{ ok: true }, { ok: true }]);
    expect(log.barrier(false)).toEqual({ ok: true });
    await log.close();
  });

  test("STO-1.13 after a failed write nothing is taken and every barrier is the error", async () => {
    const writer = fullWriter();
    expect(writer.append("a")).toBe(0);
    const waiting = [writer.barrier(false), writer.barrier(false)];
    for (const result of waiting) expect(await result).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(writer.append("b")).toBe(-1);
    expect(writer.barrier(true)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(writer.rotate(checkpoint(1))).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(writer.failure?.message).toMatch(/disk is full; free some space/);
    await writer.close();

    const alone = fullWriter();
    alone.append("a");
    expect(alone.barrier(true)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    await alone.close();
  });

  test("STO-1.11 what was appended while others were made durable is not durable with them", async () => {
    const log = openLog(makeFolder());
    log.append("a");
    const first = log.barrier(false);
    await new Promise((resolve) => setImmediate(resolve));
    log.append("b");
    expect(await first).toEqual({ ok: true });
    const second = log.barrier(false);
    expect(second).toBeInstanceOf(Promise);
    expect(await second).toEqual({ ok: true });
    await log.close();
  });

  test("STO-1.13 what was written and could not be made durable is not acknowledged, alone or together", async () => {
    for (const alone of [true, false]) {
      /** Takes every write, and no sync. */
      const fd = openSync("/dev/null", "w");
      const dir = makeFolder();
      const writer = new SegmentWriter({ dir, fd, end, unsigned: 0, now: () => 1, sign: null, mark: () => undefined });
      writer.append("a");
      expect(await writer.barrier(alone)).toMatchObject({ ok: false });
      expect([writer.append("b"), writer.failure?.message]).toEqual([-1, expect.stringContaining("could not be made durable")]);
      await writer.close();
    }
  });

  test("a log that was closed takes nothing more", async () => {
    const log = openLog(makeFolder());
    log.append("a");
    await log.close();
    expect([log.append("b"), log.barrier(true)]).toMatchObject([-1, { ok: false, error: { errno: "EBUSY" } }]);
  });

  test("STO-1.13 a segment that cannot be begun ends the log, though every record of it is durable", async () => {
    const dir = join(makeFolder(), "log");
    const log = openLog(dir);
    log.append("a");
    expect(log.barrier(true)).toEqual({ ok: true });
    renameSync(dir, `${dir}-gone`);
    const failed = log.rotate(checkpoint(1));
    expect(failed).toMatchObject({ ok: false, error: { message: expect.stringContaining("a segment could not be begun") } });
    expect([log.barrier(true), log.append("b"), log.rotate(checkpoint(1))]).toEqual([failed, -1, failed]);
    await log.close();
  });

  test("STO-1.13 a disk that is really full loses nothing that was waited for", async (context) => {
    const disk = mountSmallDisk(512 * 1024);
    if (disk === null) return context.skip("a small file system can only be mounted by root");
    const dir = join(disk, "log");
    const log = openLog(dir);
    let waited = 0;
    for (;;) {
      for (let index = 0; index < 7; index++) log.append(JSON.stringify({ n: log.next, pad: "z".repeat(1_000) }));
      const result = await log.barrier(waited % 2 === 0);
      if (!result.ok) {
        expect(result.error.errno).toBe("ENOSPC");
        break;
      }
      waited = log.next;
    }
    expect(log.append("more")).toBe(-1);
    await log.close();
    expect(waited).toBeGreaterThan(100);

    const reader = openLog(dir, { readOnly: true });
    expect(reader.state.records).toBeGreaterThanOrEqual(waited);
    expect(reader.state.tornBytes).toBeGreaterThan(0);
    const again = openLog(dir);
    expect(again.next).toBe(reader.state.records);
    expect(readAll(again)).toHaveLength(again.next);
    await again.close();
  });

  test("STO-1.14 a record nobody waits for is written soon, and what waits is bounded", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    const { size } = statSync(segmentPath(dir));
    log.append("nobody waits");
    expect(statSync(segmentPath(dir)).size).toBe(size);
    await vi.waitFor(() => expect(statSync(segmentPath(dir)).size).toBeGreaterThan(size), { interval: 2 });

    const text = "z".repeat(10_000);
    for (let bytes = 0; bytes < 4 * storeLimits.queueBytesMax; bytes += text.length) {
      log.append(text);
      expect(bytes - statSync(segmentPath(dir)).size).toBeLessThan(storeLimits.queueBytesMax);
    }
    await log.close();
  });

  test("STO-1.14 what was handed to the system is in the file before anybody waits for the disk", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    log.append("outlives the process");
    expect(log.write()).toEqual({ ok: true });
    expect(readAll(openLog(dir, { readOnly: true })).map((record) => record.text)).toEqual(["outlives the process"]);
    await log.close();
    expect(log.write()).toMatchObject({ ok: false });
  });

  test("STO-1.15 at most 256 records stand under one signature, and the last is signed soon", async () => {
    const dir = makeFolder();
    const signed: number[] = [];
    const sign = (message: Buffer): Buffer => {
      signed.push(Number(message.toString().split("\n")[1]));
      return signWith(message);
    };
    const log = openLog(dir, { sign });
    for (let index = 0; index < 600; index++) log.append(entryText(index));
    expect(signed).toEqual([0, 256, 512]);
    await vi.waitFor(() => expect(signed.at(-1)).toBe(600), { interval: 2 });
    log.append(entryText(600));
    await log.rotate(checkpoint(1));
    expect(signed.at(-1)).toBe(601);
    await log.close();
    expect(signed.at(-1)).toBe(602);
    const report = verifyLog(dir, keys.publicKey);
    expect(report).toMatchObject({ ok: true, value: { records: 602, signatures: 7, signedRecords: 602, findings: [] } });
  });

  test("a rotation while a sync is under way leaves everyone with an answer", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    // Every thread of the pool is busy, so the sync is still to begin when the segment ends.
    const busy = Array.from({ length: 8 }, () => promisify(pbkdf2)("p", "s", 60_000, 32, "sha256"));
    log.append("a");
    const first = log.barrier(false);
    await new Promise((resolve) => setImmediate(resolve));
    log.append("b");
    const second = log.barrier(false);
    expect(log.rotate(checkpoint(1))).toEqual({ ok: true, value: 2 });
    log.append("c");
    const closed = log.close();
    expect(await Promise.all([first, second])).toEqual([{ ok: true }, { ok: true }]);
    await closed;
    await Promise.all(busy);
    expect(readAll(openLog(dir, { readOnly: true })).map((record) => record.text)).toEqual(["a", "b", checkpoint(1), "c"]);
  });
});

describe("a reader beside the writer", () => {
  test("STO-1.19 sees what was added, across segments, and changes nothing", () => {
    const dir = join(makeFolder(), "log");
    const reader = openLog(dir, { readOnly: true });
    expect([reader.next, reader.refresh(), readAll(reader)]).toEqual([0, { ok: true, value: 0 }, []]);
    const log = openLog(dir);
    expect(reader.refresh()).toEqual({ ok: true, value: 0 });
    const seen: string[] = [];
    const look = (): void => {
      const from = reader.next;
      expect(reader.refresh()).toEqual({ ok: true, value: log.next });
      seen.push(...readAll(reader, from).map((record) => record.text));
      expect([reader.head, reader.resumeFrom]).toEqual([log.head, log.resumeFrom]);
    };
    for (let round = 0; round < 6; round++) {
      for (let index = 0; index < 700; index++) log.append(entryText(log.next));
      if (round % 2 === 1) void log.rotate(checkpoint(round));
      void log.barrier(true);
      look();
      if (round > 3) void log.rotate(checkpoint(round));
    }
    look();
    expect(seen).toEqual(readAll(log).map((record) => record.text));
    expect(reader.append("x")).toBe(-1);
    expect(reader.barrier(true)).toMatchObject({ ok: false, error: { errno: "EROFS" } });
    expect(reader.rotate(checkpoint(9))).toMatchObject({ ok: false, error: { errno: "EROFS" } });
    void reader.close();
    void log.close();
  });

  test("STO-1.19 looks only at what was added: older damage is not met again", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    for (let index = 0; index < 50; index++) log.append(entryText(index));
    await log.barrier(true);
    const reader = openLog(dir, { readOnly: true });
    for (const seq of [50, 51]) {
      log.append(entryText(seq));
      await log.barrier(true);
      flip(dir, readFileSync(segmentPath(dir)).indexOf(`person ${seq - 1}`));
      expect(reader.refresh()).toEqual({ ok: true, value: seq + 1 });
      expect(readAll(reader, seq).map((record) => record.text)).toEqual([entryText(seq)]);
    }
    expect([...reader.read(49)].at(-1)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    await reader.close();
    await log.close();
  });

  test("STO-1.19 refuses a segment that does not continue the chain", async () => {
    const dir = writeLog(10);
    const reader = openLog(dir, { readOnly: true });
    const header = encodeSegmentHead({ first: 10, previous: emptyHead, createdAt: 1 }, null);
    writeFileSync(segmentPath(dir, 10), header);
    expect(reader.refresh()).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    await reader.close();
  });

  test("STO-1.19 passes over half a record, also when the writer cuts it and writes another", async () => {
    const dir = writeLog(3);
    const whole = readFileSync(segmentPath(dir));
    // A longer record than any that follows, cut in its middle: what a killed writer leaves.
    const donor = makeFolder();
    const other = openLog(donor);
    const { size } = statSync(segmentPath(donor));
    other.append("z".repeat(2_000));
    await other.close();
    writeFileSync(segmentPath(dir), Buffer.concat([whole, readFileSync(segmentPath(donor)).subarray(size, size + 900)]));

    const reader = openLog(dir, { readOnly: true });
    expect(reader.state).toMatchObject({ records: 3, tornBytes: 900, damage: null });
    expect(reader.refresh()).toEqual({ ok: true, value: 3 });
    const log = openLog(dir);
    expect(log.state.tornBytes).toBe(900);
    log.append(entryText(3));
    await log.barrier(true);
    expect(reader.refresh()).toEqual({ ok: true, value: 4 });
    expect(readAll(reader, 3).map((record) => record.text)).toEqual([entryText(3)]);
    await log.close();
    await reader.close();
  });
});
