import { expect, test } from "vitest";
import { plural } from "../../src/lib/plural.ts";

test("LIB-7.1 one is one thing, every other count several", () => {
  expect([0, 1, 2].map((count) => plural(count, "line"))).toEqual(["0 lines", "1 line", "2 lines"]);
  expect([1, 2].map((count) => plural(count, "entry", "entries"))).toEqual(["1 entry", "2 entries"]);
});
