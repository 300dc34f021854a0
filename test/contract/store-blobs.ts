/** The contract of every blob store. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { BlobDriver } from "../../src/abi/store.ts";
import { sha256 } from "../../src/lib/hash.ts";

export interface BlobHarness {
  readonly open: () => BlobDriver;
  readonly reopen: (blobs: BlobDriver) => BlobDriver;
  /** Damage a durable blob behind the store's back. */
  readonly spoil: (blobs: BlobDriver, digest: string) => void;
}

export function testBlobs(name: string, makeHarness: () => BlobHarness): void {
  test(`STO-2.2 ${name}: equal contents are one blob`, async () => {
    const blobs = makeHarness().open();
    const digest = blobs.put("hello");
    expect(digest).toBe(sha256("hello"));
    expect(blobs.put(Buffer.from("hello"))).toBe(digest);
    expect(blobs.dirty).toBe(true);
    expect(await blobs.flush()).toEqual({ ok: true });
    expect(blobs.put("hello")).toBe(digest);
    expect(blobs.dirty).toBe(false);
    expect([...blobs.list()]).toEqual([digest]);
  });

  test(`STO-2.3 ${name}: flushed blobs are there when the store is opened again`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 12 }), async (contents) => {
        const harness = makeHarness();
        const blobs = harness.open();
        const digests = contents.map((content) => blobs.put(content));
        const [first, second] = [blobs.flush(), blobs.flush()];
        expect([await first, await second]).toEqual([{ ok: true }, { ok: true }]);
        expect(blobs.dirty).toBe(false);
        const again = harness.reopen(blobs);
        for (const [index, digest] of digests.entries()) {
          expect(again.has(digest)).toBe(true);
          expect(again.get(digest)).toEqual({ ok: true, value: Buffer.from(contents[index] ?? []) });
        }
        expect([...again.list()]).toEqual([...new Set(digests)].toSorted());
      }),
      { numRuns: 25 },
    );
  });

  test(`STO-2.4 ${name}: missing and damaged blobs are told apart`, async () => {
    const harness = makeHarness();
    const blobs = harness.open();
    expect(blobs.get(sha256("never"))).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    expect(blobs.has(sha256("never"))).toBe(false);
    const digest = blobs.put("precious");
    expect(blobs.get(digest)).toEqual({ ok: true, value: Buffer.from("precious") });
    await blobs.flush();
    harness.spoil(blobs, digest);
    const got = blobs.get(digest);
    expect(got).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
    expect(got.ok ? "" : got.error.message).toContain(digest.slice(0, 12));
  });

  test(`STO-2.5 ${name}: a blob found damaged is written anew by the next put`, async () => {
    const harness = makeHarness();
    const blobs = harness.open();
    const digest = blobs.put("precious");
    await blobs.flush();
    harness.spoil(blobs, digest);
    expect(blobs.get(digest).ok).toBe(false);
    blobs.put("precious");
    expect(await blobs.flush()).toEqual({ ok: true });
    expect(harness.reopen(blobs).get(digest)).toEqual({ ok: true, value: Buffer.from("precious") });
  });
}
