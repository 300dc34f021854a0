/** Recovery where it is hardest: what a power cut left half, and what was under way. */
import { expect, test } from "vitest";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { serialise } from "../../src/kernel/snapshot.ts";
import { ok } from "../../src/lib/result.ts";
import { all, calls, handler, rig } from "./rig.ts";

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
