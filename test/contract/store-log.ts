/** The contract of every log driver. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyHead, type LogDriver, type LogRecord } from "../../src/abi/store.ts";
import { sha256 } from "../../src/lib/hash.ts";

export const checkpoint = (at: number): string => JSON.stringify({ kind: "checkpoint", at, blob: "b", digest: "d" });

export function readAll(log: LogDriver, from = 0): LogRecord[] {
  return [...log.read(from)].map((record) => {
    if (!record.ok) throw new Error(record.error.message);
    return record.value;
  });
}

/** `open` opens the same log again when it is given what it gave before. */
export interface LogHarness {
  readonly open: () => LogDriver;
  readonly reopen: (log: LogDriver) => Promise<LogDriver>;
}

export function testLog(name: string, makeHarness: () => LogHarness): void {
  test(`STO-1.1 ${name}: a hash covers the hash before it and the text`, async () => {
    const log = makeHarness().open();
    expect([log.next, log.head, log.resumeFrom]).toEqual([0, emptyHead, 0]);
    expect([log.append('{"a":1}'), log.append("zwei ✓ \u{1f600}"), log.append("")]).toEqual([0, 1, 2]);
    const first = sha256(`${emptyHead}{"a":1}`);
    const second = sha256(`${first}zwei ✓ \u{1f600}`);
    const third = sha256(second);
    expect(log.head).toBe(third);
    expect(readAll(log)).toEqual([
      { seq: 0, text: '{"a":1}', hash: first },
      { seq: 1, text: "zwei ✓ \u{1f600}", hash: second },
      { seq: 2, text: "", hash: third },
    ]);
    expect(readAll(log, 2).map((record) => record.seq)).toEqual([2]);
    expect(readAll(log, 3)).toEqual([]);
    await log.close();
  });

  test(`STO-1.12 ${name}: a barrier alone, and one with nothing to do, answer at once`, async () => {
    const log = makeHarness().open();
    expect(log.barrier(false)).toEqual({ ok: true });
    log.append("x");
    expect(log.barrier(true)).toEqual({ ok: true });
    expect(log.barrier(false)).toEqual({ ok: true });
    await log.close();
  });

  test(`STO-1.17 ${name}: a rotation makes the checkpoint the place to resume from`, async () => {
    const harness = makeHarness();
    let log = harness.open();
    log.append("a");
    log.append("b");
    expect(await log.rotate(checkpoint(1))).toEqual({ ok: true, value: 2 });
    expect([log.resumeFrom, log.next]).toEqual([2, 3]);
    log.append("c");
    log = await harness.reopen(log);
    expect([log.resumeFrom, log.next]).toEqual([2, 4]);
    expect(readAll(log).map((record) => record.text)).toEqual(["a", "b", checkpoint(1), "c"]);
    expect(readAll(log, log.resumeFrom).map((record) => record.text)).toEqual([checkpoint(1), "c"]);
    await log.close();
    expect(log.append("after the end")).toBe(-1);
  });

  test(`${name}: whatever is appended, waited for, rotated and reopened comes back in order`, async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.string({ unit: "grapheme", maxLength: 300 }).map((text) => ({ act: "append" as const, text })) },
      { weight: 2, arbitrary: fc.boolean().map((alone) => ({ act: "barrier" as const, alone })) },
      { weight: 1, arbitrary: fc.constant({ act: "rotate" as const }) },
      { weight: 1, arbitrary: fc.constant({ act: "reopen" as const }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const harness = makeHarness();
        let log = harness.open();
        const texts: string[] = [];
        let resume = 0;
        for (const taken of steps) {
          if (taken.act === "append") expect(log.append(taken.text)).toBe(texts.push(taken.text) - 1);
          else if (taken.act === "barrier") expect(await log.barrier(taken.alone)).toEqual({ ok: true });
          else if (taken.act === "rotate") {
            resume = texts.push(checkpoint(texts.length)) - 1;
            expect(await log.rotate(checkpoint(resume))).toEqual({ ok: true, value: resume });
          } else log = await harness.reopen(log);
        }
        expect(readAll(log).map((record) => record.text)).toEqual(texts);
        expect([log.next, log.resumeFrom]).toEqual([texts.length, resume]);
        expect(log.head).toBe(texts.reduce((head, text) => sha256(head + text), emptyHead));
        await log.close();
      }),
      { numRuns: 40 },
    );
  });
}
