import fc from "fast-check";
import { expect, test } from "vitest";
import { covers, coversText, matches, matchesText, parseGlob } from "../../src/lib/glob.ts";

const part = fc.constantFrom("a", "b", "*", "**", "a*", "*b", "?", "a?b");
const pattern = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
const path = fc
  .array(fc.constantFrom("a", "b", "ab", "aab", "😀", "axb"), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join("/"));

/** The meaning, written down in the slowest and plainest way. */
function meant(glob: readonly string[], segments: readonly string[]): boolean {
  const [first, ...rest] = glob;
  if (first === undefined) return segments.length === 0;
  if (first === "**") return meant(rest, segments) || (segments.length > 0 && meant(glob, segments.slice(1)));
  const [name, ...others] = segments;
  if (name === undefined) return false;
  return new RegExp(`^${first.replaceAll("*", ".*").replaceAll("?", ".")}$`, "su").test(name) && meant(rest, others);
}

test("LIB-3.1  a pattern matches what its meaning says", () => {
  fc.assert(
    fc.property(pattern, path, (text, each) => {
      const glob = parseGlob(text);
      expect(glob.ok && matches(glob.value, each)).toBe(meant(text.split("/"), each.split("/")));
    }),
    { numRuns: 3_000 },
  );
});

test.each(["", "/a", "a//b", "a/", "../a", "a/../b", "a/./b", "a**", "**a/b", "a\0", "a\\b"])(
  "LIB-3.1  the pattern %j is an error",
  (text) => {
    expect(parseGlob(text).ok).toBe(false);
  },
);

test("LIB-3.1  a hostile pattern takes no time", () => {
  const started = performance.now();
  expect(matchesText(`${"*a".repeat(60)}b`, "a".repeat(4_000))).toBe(false);
  const glob = parseGlob(`${"**/a/".repeat(40)}b`);
  expect(glob.ok && matches(glob.value, Array(800).fill("a").join("/"))).toBe(false);
  expect(performance.now() - started).toBeLessThan(1_000);
});

test("LIB-3.2  covers() is true only if the outer matches all that the inner matches", () => {
  let covered = 0;
  fc.assert(
    fc.property(pattern, pattern, fc.array(path, { minLength: 10, maxLength: 10 }), (a, b, paths) => {
      const [outer, inner] = [parseGlob(a), parseGlob(b)];
      if (!outer.ok || !inner.ok || !covers(outer.value, inner.value)) return;
      covered += 1;
      for (const each of paths)
        if (matches(inner.value, each)) expect([a, b, each, matches(outer.value, each)]).toEqual([a, b, each, true]);
    }),
    { numRuns: 4_000 },
  );
  expect(covered).toBeGreaterThan(100);
  expect(coversText("git *", "git log *")).toBe(true);
  expect(coversText("git log *", "git *")).toBe(false);
});
