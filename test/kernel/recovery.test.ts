/** Recovery where it is hardest: what a power cut left half, and what was under way. */
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog } from "../../src/drivers/store/memory-log.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { serialise } from "../../src/kernel/snapshot.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { ok } from "../../src/lib/result.ts";
import { all, calls, finish, handler, rig, stepOf } from "./rig.ts";

test("KRN-10.3 a record whose payload is lost leaves no trace in the table, its time neither", async () => {
  const clock = new FakeClock(1_000_000);
  const large = handler({ name: "x.large" }, () => {
    clock.advance(25_000);
    return ok({ value: "l".repeat(20_000) });
  });
  const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
  const machine = rig({ clock, handlers: [large, hang], script: () => ok(calls(["x.large", {}], ["x.hang", {}])) });
  machine.spawn({});
  await new Promise(setImmediate);
  const log = machine.log.crash(all);
  const manifestOnly = [...machine.blobs.crash(() => 0)].filter(([, content]) => !content.includes("llll"));
  const next = rig({ clock, log: { image: log }, blobs: { image: new Map(manifestOnly) }, handlers: [large, hang] });
  /** The content is met again, and with it the payload is there again. */
  await new Promise(setImmediate);
  const again = recoverTable(next.log, next.blobs);
  expect(again.ok && serialise(again.value.table)).toBe(serialise(next.kernel.recorder.table));
});

describe("a payload that is missing with nothing but a crash behind it", () => {
  const large = handler({ name: "x.large" }, () => ok({ value: "v".repeat(20_000) }));
  const act = handler({ name: "x.act", effect: "write", recovery: "idempotent" }, () => ok({ value: "done" }));

  /** One process reads something large, then does `next`; then the large value is gone from the disk. */
  async function withoutPayload(next: "x.act" | "x.large", remote: boolean) {
    const machine = rig({
      handlers: [large, act],
      remote,
      script: (request) => {
        const step = stepOf(request);
        return ok(step === 0 ? calls(["x.large", {}]) : step === 1 ? calls([next, {}]) : finish("done"));
      },
    });
    await machine.run({});
    const image = new Map(machine.blobs.crash(() => 0));
    image.delete(sha256(JSON.stringify("v".repeat(20_000))));
    return recoverTable(openMemoryLog({ image: machine.log.crash(all) }), openMemoryBlobs({ image }));
  }

  test("KRN-10.6 is damage when an effect came after it: the effect had waited for the disk", async () => {
    expect(await withoutPayload("x.act", false)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });

  test("KRN-10.6 is damage when a remote model answered after it", async () => {
    expect(await withoutPayload("x.large", true)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });

  test("KRN-10.3 counts as lost with the power when only reads came after it", async () => {
    expect(await withoutPayload("x.large", false)).toMatchObject({ ok: true, value: { cut: expect.any(Number) as number } });
  });
});
