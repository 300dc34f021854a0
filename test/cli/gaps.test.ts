import { expect, it } from "vitest";
import { gapRows } from "../../src/cli/gaps.ts";

it("CLI-12.4  what was not covered is told with its number and its first reasons, neutralised", () => {
  const skipped = ["a.png", "b.png", "c\u001b[2J.png", "d.png", "e.png"].map((path) => ({ path, why: "binary" }));
  const failures = [{ pass: "extract", item: "log.txt", path: "log.txt", why: "ENOMEM: too large" }];
  expect(gapRows({ ok: true, value: { skipped, failures } })).toEqual([
    ["failed", "1 part, not covered: log.txt (ENOMEM: too large)"],
    ["left out", "5: a.png (binary); b.png (binary); c␛[2J.png (binary); and 2 more"],
  ]);
});

it("CLI-12.4  where nothing is missing, and of a value in another form, nothing is told", () => {
  for (const value of [null, "x", [], { skipped: [], failures: [] }, { skipped: 7, failures: "x" }])
    expect(gapRows({ ok: true, value })).toEqual([]);
  expect(gapRows(null)).toEqual([]);
  expect(gapRows({ ok: false, error: { errno: "EIO", message: "x" } })).toEqual([]);
});
