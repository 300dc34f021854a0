import { decode } from "../../src/kernel/codec.ts";
import fc from "fast-check";
import { expect, test } from "vitest";
import { errnos } from "../../src/abi/errno.ts";
import { ok } from "../../src/lib/result.ts";
import { calls, finish, handler, rig } from "../kernel/rig.ts";

test("ABI-1.1 every errno has a text, codes at every border, and an exit code of its own that is neither 0 nor 1", () => {
  const rows = Object.values(errnos);
  const exits = rows.map((row) => row.exit);
  expect(new Set(exits).size).toBe(exits.length);
  for (const row of rows) {
    expect(row.text).not.toBe("");
    expect(row.exit).toBeGreaterThan(1);
    expect(row.exit).toBeLessThan(256);
    expect(row.http).toBeGreaterThanOrEqual(400);
    expect(row.rpc).toBeLessThan(0);
  }
});

test("ABI-2.1 every entry that a kernel writes is plain JSON and reads back as itself", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const echo = handler({ name: "x.echo" }, () => ok({ value: value as never }));
      const machine = rig({
        handlers: [echo],
        script: (_, step) => ok(step === 0 ? calls(["x.echo", {}], ["x.none", {}]) : finish(value as never)),
      });
      const seen: string[] = [];
      machine.kernel.on((entry) => seen.push(JSON.stringify(entry)));
      await machine.run({}, value as never);
      for (const text of seen) expect(JSON.stringify(decode(text))).toBe(text);
    }),
    { numRuns: 50 },
  );
});
