/** What a crash or a bad disk leaves, and what opening makes of it. */
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fail, type SysError } from "../../../src/abi/errno.ts";
import { emptyHead } from "../../../src/abi/store.ts";
import { chainHash, encodeRecord } from "../../../src/drivers/store/record.ts";
import { openSegmentLog } from "../../../src/drivers/store/segment-log.ts";
import { encodeSegmentHead } from "../../../src/drivers/store/segment.ts";
import { isSigned, signatureNote, type SignatureNote } from "../../../src/drivers/store/signature.ts";
import { verifyLog } from "../../../src/drivers/store/verify.ts";
import type { Digest } from "../../../src/lib/hash.ts";
import { done, type Err, type Ok } from "../../../src/lib/result.ts";
import { checkpoint, readAll } from "../../contract/store-log.ts";
import { makeFolder } from "./folder.ts";
import { copyLog, entryText, flip, keys, openLog, segmentPath, signWith, writeLog } from "./log-folder.ts";

const reopen = (dir: string) => openSegmentLog({ dir, now: () => 1 });

describe("a torn tail", () => {
  test("STO-1.8 is cut at the last whole record, wherever the file ends", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    for (let index = 0; index < 3; index++) log.append(entryText(index));
    await log.barrier(true);
    const durableBytes = statSync(segmentPath(dir)).size;
    log.append(entryText(3));
    log.append(entryText(4));
    await log.barrier(true);
    const allBytes = statSync(segmentPath(dir)).size;
    const recordBytes = (allBytes - durableBytes) / 2;
    for (let size = durableBytes; size < allBytes; size++) {
      const copy = copyLog(dir);
      truncateSync(segmentPath(copy), size);
      const reader = openLog(copy, { readOnly: true });
      const whole = size < durableBytes + recordBytes ? 3 : 4;
      const tornBytes = size - durableBytes - (whole - 3) * recordBytes;
      expect([reader.state.records, reader.state.tornBytes]).toEqual([whole, tornBytes]);
      expect(statSync(segmentPath(copy)).size).toBe(size);
      const again = openLog(copy);
      expect([again.next, again.state.tornBytes, again.state.damage]).toEqual([whole, tornBytes, null]);
      again.append(entryText(whole));
      await again.close();
      expect(readAll(openLog(copy, { readOnly: true })).map((record) => record.text)).toEqual(
        Array.from({ length: whole + 1 }, (_, index) => entryText(index)),
      );
    }
    await log.close();
  });

  test("STO-1.8 with zeros where data never arrived is torn as well, even before records that did arrive", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    log.append(entryText(0));
    await log.barrier(true);
    const durableBytes = statSync(segmentPath(dir)).size;
    for (let index = 1; index < 40; index++) log.append(entryText(index));
    await log.barrier(true);
    const bytes = readFileSync(segmentPath(dir));
    for (const [from, to] of [
      [1_024, 2_048],
      [durableBytes, 1_024],
      [durableBytes + 300, bytes.length],
    ] as const) {
      const copy = copyLog(dir);
      const torn = Buffer.from(bytes);
      torn.fill(0, from, to);
      writeFileSync(segmentPath(copy), torn);
      const again = openLog(copy);
      expect(again.state.tornBytes).toBeGreaterThan(0);
      expect(again.next).toBeGreaterThanOrEqual(1);
      expect(again.next).toBeLessThan(40);
      expect(readAll(again).map((record) => record.text)).toEqual(
        Array.from({ length: again.next }, (_, index) => entryText(index)),
      );
      await again.close();
    }
    await log.close();
  });

  test("STO-1.9 zeros before a settled record are damage: that data had been durable", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    for (let index = 0; index < 20; index++) log.append(entryText(index));
    await log.barrier(true);
    log.append(entryText(20));
    await log.barrier(true);
    const copy = copyLog(dir);
    const bytes = readFileSync(segmentPath(copy));
    bytes.fill(0, 512, 1_024);
    writeFileSync(segmentPath(copy), bytes);
    expect(reopen(copy)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    await log.close();
  });

  test("STO-1.3 only what follows a barrier is settled: written is not durable", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    for (let index = 0; index < 3; index++) {
      log.append(JSON.stringify({ n: index, pad: "z".repeat(2_000) }));
      // Reading has what waits written, without a sync.
      expect(readAll(log)).toHaveLength(index + 1);
    }
    const copy = copyLog(dir);
    const bytes = readFileSync(segmentPath(copy));
    bytes.fill(0, 1_024, 1_536);
    writeFileSync(segmentPath(copy), bytes);
    const again = openLog(copy);
    expect([again.next, again.state.damage]).toEqual([0, null]);
    expect(again.state.tornBytes).toBeGreaterThan(6_000);
    await again.close();
    await log.close();
  });

  test("STO-1.9 nothing in a log that was closed in good order is torn", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    for (let index = 0; index < 20; index++) log.append(entryText(index));
    await log.barrier(true);
    const crashed = copyLog(dir);
    await log.close();
    for (const each of [crashed, dir]) {
      const bytes = readFileSync(segmentPath(each));
      bytes.fill(0, 512, 1_024);
      writeFileSync(segmentPath(each), bytes);
    }
    expect(reopen(dir)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    const again = openLog(crashed);
    expect(again.state.tornBytes).toBeGreaterThan(0);
    await again.close();
  });

  test("STO-1.18 a segment without a whole record is removed and the log goes on", async () => {
    const base = writeLog(4);
    const { head } = openLog(base, { readOnly: true });
    const header = encodeSegmentHead({ first: 4, previous: head, createdAt: 1 }, null);
    for (const left of [
      Buffer.alloc(0),
      header.subarray(0, 5),
      header.subarray(0, 60),
      header,
      Buffer.concat([header, Buffer.alloc(30)]),
    ]) {
      const dir = copyLog(base);
      writeFileSync(segmentPath(dir, 4), left);
      const log = openLog(dir);
      expect([log.next, log.head, log.resumeFrom]).toEqual([4, head, 0]);
      expect(log.rotate(checkpoint(4))).toEqual({ ok: true, value: 4 });
      await log.close();
      const report = verifyLog(dir, null);
      expect(report).toMatchObject({ ok: true, value: { records: 5, findings: [] } });
    }
  });

  test("STO-1.9 a segment that another one follows was durable, so what is missing there is damage", () => {
    const dir = writeLog(4);
    truncateSync(segmentPath(dir), statSync(segmentPath(dir)).size - 100);
    expect(openLog(copyLog(dir), { readOnly: true }).state.tornBytes).toBeGreaterThan(0);
    writeFileSync(segmentPath(dir, 4), "");
    expect(reopen(dir)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });

  test("STO-1.18 a log that never got its first record begins anew", async () => {
    const dir = makeFolder();
    writeFileSync(segmentPath(dir), "daim");
    const log = openLog(dir);
    expect([log.next, log.state.tornBytes]).toEqual([0, 4]);
    log.append(entryText(0));
    await log.close();
    expect(readAll(openLog(dir, { readOnly: true }))).toHaveLength(1);
  });
});

describe("signatures", () => {
  /** What an opener is told of a log's newest signature. */
  function told(dir: string, readOnly = true): SignatureNote | "nothing" | null {
    const asked: (SignatureNote | null)[] = [];
    const accept = (signature: SignatureNote | null): Ok<void> => {
      asked.push(signature);
      return done;
    };
    void openLog(dir, { readOnly, accept }).close();
    const [signature] = asked;
    return signature === undefined ? "nothing" : signature;
  }

  test("STO-1.26 every segment begins with one, so that a log whose end was not signed in time is told from one nobody signed", async () => {
    const dir = makeFolder();
    const log = openLog(dir, { sign: signWith });
    expect(told(copyLog(dir))).toBe("nothing");
    for (let index = 0; index < 3; index++) log.append(entryText(index));
    await log.barrier(true);
    // Killed before its first signature was due.
    expect(told(copyLog(dir))).toMatchObject({ records: 0, head: emptyHead });
    void log.rotate(checkpoint(3));
    expect(told(copyLog(dir))).toMatchObject({ records: 3 });
    await log.close();
    expect(told(writeLog(3))).toBeNull();
  });

  test("STO-1.25 the newest is told, and one that was copied from elsewhere is none", () => {
    const dir = writeLog(5, { sign: signWith });
    const { head } = openLog(dir, { readOnly: true });
    for (const readOnly of [true, false]) {
      const signature = told(copyLog(dir), readOnly);
      expect(signature).toMatchObject({ records: 5, head });
      expect(typeof signature === "object" && signature !== null && isSigned(signature, keys.publicKey)).toBe(true);
    }
    const copied = makeFolder();
    const note = signatureNote(signWith, 5, head);
    const header = encodeSegmentHead({ first: 0, previous: emptyHead, createdAt: 1 }, null);
    const bytes = Buffer.alloc(4_096);
    const text = entryText(0);
    const entry = encodeRecord(bytes, 0, "entry", text, chainHash("entry", emptyHead, text));
    const end = encodeRecord(bytes, entry, "note", note, chainHash("note", chainHash("entry", emptyHead, text), note));
    writeFileSync(segmentPath(copied), Buffer.concat([header, bytes.subarray(0, end)]));
    expect(openLog(copied, { readOnly: true })).toMatchObject({ next: 1, state: { damage: null } });
    expect(told(copied)).toBeNull();
  });

  test("STO-1.25 and STO-1.20 one that names another head or another number stands for nothing, though the key's holder made it", () => {
    const text = entryText(0);
    const hash = chainHash("entry", emptyHead, text);
    const log = (records: number, head: Digest): string => {
      const dir = makeFolder();
      const note = signatureNote(signWith, records, head);
      const header = encodeSegmentHead({ first: 0, previous: emptyHead, createdAt: 1 }, null);
      const bytes = Buffer.alloc(4_096);
      const entry = encodeRecord(bytes, 0, "entry", text, hash);
      const end = encodeRecord(bytes, entry, "note", note, chainHash("note", hash, note));
      writeFileSync(segmentPath(dir), Buffer.concat([header, bytes.subarray(0, end)]));
      return dir;
    };
    const signed = (dir: string): number | null => {
      const report = verifyLog(dir, keys.publicKey);
      return report.ok ? report.value.signedRecords : null;
    };
    const own = log(1, hash);
    expect([told(own), signed(own)]).toMatchObject([{ records: 1, head: hash }, 1]);
    for (const dir of [log(1, chainHash("entry", emptyHead, "another")), log(2, hash)])
      expect([told(dir), signed(dir)]).toEqual([null, 0]);
  });

  test("STO-1.27 a log that is not accepted is not cut, not written and not read", () => {
    const dir = writeLog(5, { sign: signWith });
    truncateSync(segmentPath(dir), statSync(segmentPath(dir)).size - 3);
    const before = readFileSync(segmentPath(dir));
    const accept = (): Err<SysError> => fail("EUCLEAN", "not mine");
    for (const readOnly of [true, false])
      expect(openSegmentLog({ dir, now: () => 1, readOnly, accept })).toMatchObject({
        ok: false,
        error: { message: "not mine" },
      });
    expect(readFileSync(segmentPath(dir)).equals(before)).toBe(true);
  });
});

describe("damage", () => {
  test("STO-1.9 a damaged header of the last segment is damage of the log, and nothing is removed", async () => {
    const dir = makeFolder();
    const log = openLog(dir);
    for (let index = 0; index < 3; index++) log.append(entryText(index));
    await log.rotate(checkpoint(3));
    await log.close();
    flip(dir, 0, 0xff, 3);
    expect(reopen(dir)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    expect(statSync(segmentPath(dir, 3)).size).toBeGreaterThan(0);
  });

  test("STO-1.9 any changed byte seals the log, closed in good order or not", async () => {
    const closed = writeLog(4, { sign: signWith });
    const open = makeFolder();
    const log = openLog(open);
    for (let index = 0; index < 4; index++) log.append(entryText(index));
    await log.barrier(true);
    for (const base of [closed, open]) {
      const dir = copyLog(base);
      const { size } = statSync(segmentPath(dir));
      for (let at = 0; at < size; at++) {
        const mask = 1 << (at % 8);
        flip(dir, at, mask);
        expect(reopen(dir), `byte ${at} with mask ${mask}`).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
        flip(dir, at, mask);
      }
      expect(openLog(dir, { readOnly: true }).state.damage).toBeNull();
    }
    await log.close();
  });

  test("STO-1.16 a sealed log reads up to the damage, then says where it is and what to do, then ends", () => {
    const dir = writeLog(30);
    const at = readFileSync(segmentPath(dir)).indexOf("person 17");
    flip(dir, at);
    const before = readFileSync(segmentPath(dir));
    expect(reopen(dir).ok).toBe(false);
    expect(readFileSync(segmentPath(dir)).equals(before)).toBe(true);
    const log = openLog(dir, { readOnly: true });
    expect(log.state).toMatchObject({ records: 17, damage: { errno: "EUCLEAN" } });
    for (const from of [0, 9, 16, 17, 25]) {
      const results = [...log.read(from)];
      const last = results.pop();
      expect(results.map((result) => result.ok && result.value.text)).toEqual(
        Array.from({ length: Math.max(0, 17 - from) }, (_, index) => entryText(from + index)),
      );
      const message = last?.ok === false ? last.error.message : "";
      expect(message).toMatch(/segment 000000000000\.log at record 17, byte \d+: .*"daimon fsck"/);
      expect(message).not.toContain(dir);
    }
  });

  test("STO-1.9 bytes added behind a whole record are damage, unless a crash explains them", () => {
    const dir = writeLog(3);
    appendFileSync(segmentPath(dir), "something that is no record, by someone else's hand");
    expect(reopen(dir)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });
});

test("a crash at any point keeps a prefix with everything that was waited for", async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 900 }).map((size) => ({ act: "append" as const, size })) },
    { weight: 1, arbitrary: fc.constant({ act: "barrier" as const }) },
    { weight: 1, arbitrary: fc.constant({ act: "rotate" as const }) },
  );
  const crash = fc.record({
    keep: fc.double({ min: 0, max: 1, noNaN: true }),
    hole: fc.option(fc.double({ min: 0, max: 0.99, noNaN: true })),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(step, { maxLength: 30 }), crash), { minLength: 1, maxLength: 4 }),
      async (lives) => {
        let dir = makeFolder();
        let texts: string[] = [];
        for (const [steps, cut] of lives) {
          const log = openLog(dir, { sign: signWith });
          expect(log.next).toBeLessThanOrEqual(texts.length);
          texts = texts.slice(0, log.next);
          expect(readAll(log).map((record) => record.text)).toEqual(texts);
          let waited = log.next;
          let first = 0;
          let durableBytes = statSync(segmentPath(dir, findLast(dir))).size;
          first = findLast(dir);
          for (const taken of steps) {
            if (taken.act === "append") {
              const text = JSON.stringify({ n: texts.length, pad: "z".repeat(taken.size) });
              expect(log.append(text)).toBe(texts.push(text) - 1);
              continue;
            }
            if (taken.act === "barrier") expect(await log.barrier(true)).toEqual({ ok: true });
            else {
              texts.push(checkpoint(texts.length));
              expect(await log.rotate(checkpoint(texts.length - 1))).toMatchObject({ ok: true });
              first = findLast(dir);
            }
            waited = texts.length;
            durableBytes = statSync(segmentPath(dir, first)).size;
          }
          [...log.read(log.next - 1)].forEach((record) => expect(record.ok).toBe(true));
          const copy = copyLog(dir);
          const bytes = readFileSync(segmentPath(copy, first));
          const left = bytes.subarray(0, durableBytes + Math.floor((bytes.length - durableBytes) * cut.keep));
          if (cut.hole !== null) {
            const from = Math.max(durableBytes, Math.ceil((durableBytes + (left.length - durableBytes) * cut.hole) / 512) * 512);
            left.fill(0, Math.min(from, left.length), Math.min(from + 512, left.length));
          }
          writeFileSync(segmentPath(copy, first), left);
          await log.close();
          dir = copy;
          const again = openLog(dir);
          expect(again.next).toBeGreaterThanOrEqual(waited);
          expect(readAll(again).map((record) => record.text)).toEqual(texts.slice(0, again.next));
          await again.close();
        }
      },
    ),
    { numRuns: 60 },
  );
});

/** The last segment's first record. */
function findLast(dir: string): number {
  const log = openLog(dir, { readOnly: true });
  return log.resumeFrom;
}
