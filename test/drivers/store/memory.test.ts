/** The memory drivers' faults. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { openMemoryBlobs } from "../../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog } from "../../../src/drivers/store/memory-log.ts";
import { checkpoint, readAll } from "../../contract/store-log.ts";

test("STO-1.24 a crash keeps what was waited for and a part of the rest, in order", () => {
  const step = fc.constantFrom("append", "append", "barrier", "rotate");
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (steps, chance) => {
      const log = openMemoryLog();
      let waited = 0;
      for (const taken of steps) {
        if (taken === "append") log.append(`record ${log.next}`);
        else if (taken === "barrier") void log.barrier(true);
        else void log.rotate(checkpoint(log.next));
        if (taken !== "append") waited = log.next;
      }
      const texts = readAll(log).map((record) => record.text);
      const image = log.crash(() => chance);
      expect(log.append("too late")).toBe(-1);
      const again = openMemoryLog({ image });
      expect(again.next).toBeGreaterThanOrEqual(waited);
      expect(readAll(again).map((record) => record.text)).toEqual(texts.slice(0, again.next));
      expect(again.resumeFrom).toBe(log.resumeFrom < again.next ? log.resumeFrom : again.resumeFrom);
      expect(again.state.tornBytes > 0 ? again.next < texts.length : true).toBe(true);
    }),
  );
});

test("STO-1.13 the write that fails is the one asked for, and nothing is taken after it", () => {
  const log = openMemoryLog({ failWrite: 2 });
  log.append("a");
  log.append("b");
  expect(log.barrier(true)).toEqual({ ok: true });
  expect(log.append("c")).toBe(2);
  expect(log.barrier(true)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
  expect(log.append("d")).toBe(-1);
  expect(log.barrier(false)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
  expect(log.rotate(checkpoint(1))).toMatchObject({ ok: false });
  expect(openMemoryLog({ image: log.crash(() => 0.9) }).next).toBe(2);
});

test("STO-2.1 a crash keeps flushed blobs, and others whole or not at all", async () => {
  const blobs = openMemoryBlobs();
  const kept = blobs.put("kept");
  await blobs.flush();
  const lost = blobs.put("lost");
  const lucky = blobs.put("lucky");
  const chances = [0.9, 0.1];
  const again = openMemoryBlobs({ image: blobs.crash(() => chances.shift() ?? 0) });
  expect([again.has(kept), again.has(lost), again.has(lucky)]).toEqual([true, false, true]);
  expect(blobs.flush()).toMatchObject({ ok: false, error: { errno: "EIO" } });
});

test("STO-2.7 a failed write of the memory store shows at every later flush", () => {
  const blobs = openMemoryBlobs({ failWrite: 1 });
  blobs.put("a");
  expect(blobs.flush()).toEqual({ ok: true });
  blobs.put("b");
  expect(blobs.flush()).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
  expect(blobs.flush()).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
});
