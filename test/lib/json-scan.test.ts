import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Json } from "../../src/lib/json.ts";
import { jsonScan, type JsonPath, type ScanChoice } from "../../src/lib/json-scan.ts";

interface Seen {
  readonly path: JsonPath;
  readonly value: Json | undefined;
  readonly bytes: number;
}

function scan(text: string, choose: (path: JsonPath) => ScanChoice, cuts: readonly number[] = []) {
  const seen: Seen[] = [];
  const reader = jsonScan({ choose, taken: (path, value, bytes) => seen.push({ path: [...path], value, bytes }) });
  const bytes = Buffer.from(text);
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted((a, b) => a - b);
  let sound = true;
  for (const [n, place] of places.entries()) sound &&= reader.push(bytes.subarray(places[n - 1] ?? 0, place));
  return { seen, sound: reader.end() && sound };
}

/** The values at the paths a chooser takes, read the plain way. */
function expected(value: Json, choose: (path: JsonPath) => ScanChoice, path: JsonPath = []): { path: JsonPath; value: Json }[] {
  const choice = choose(path);
  if (typeof choice === "object") return [{ path, value }];
  if (choice === "skip" || typeof value !== "object" || value === null) return [];
  const entries: readonly (readonly [string | number, Json])[] = Array.isArray(value)
    ? (value as readonly Json[]).map((child, n) => [n, child] as const)
    : Object.entries(value);
  return entries.flatMap(([key, child]) => expected(child, choose, [...path, key]));
}

const whole = { takeBytesMax: 1_000_000 };

describe("json scan", () => {
  test("JSC-1.1  what is taken is what JSON.parse gives there, however the bytes are cut", () => {
    const values = fc.jsonValue({ maxDepth: 5, stringUnit: "binary" }).map((value) => JSON.parse(JSON.stringify(value)) as Json);
    fc.assert(
      fc.property(
        values,
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.nat(3),
        fc.integer({ min: 0, max: 3 }),
        (value, cuts, depth, space) => {
          const choose = (path: JsonPath): ScanChoice => {
            if (path.length > depth) return "skip";
            return path.length === depth ? whole : path.at(-1) === 1 ? "skip" : "enter";
          };
          const { seen, sound } = scan(JSON.stringify(value, null, space), choose, cuts);
          expect(sound).toBe(true);
          expect(seen.map(({ path, value: got }) => ({ path, value: got }))).toEqual(expected(value, choose));
        },
      ),
    );
  });

  test("JSC-1.2  a depth of a million that is skipped costs nothing, and so does a long string", () => {
    const deep = `{"a":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)},"b":"${"x".repeat(2_000_000)}","c":7}`;
    const { seen, sound } = scan(deep, (path) => (path.length === 0 ? "enter" : path[0] === "c" ? whole : "skip"));
    expect(sound).toBe(true);
    expect(seen).toEqual([{ path: ["c"], value: 7, bytes: 1 }]);
  });

  test("JSC-1.3  a value beyond its bound is told by its size, and what follows is read", () => {
    const text = `{"a":"${"x".repeat(100)}","b":[1,2],"c":true}`;
    const { seen } = scan(text, (path) => (path.length === 0 ? "enter" : { takeBytesMax: 10 }), [7, 50]);
    expect(seen).toEqual([
      { path: ["a"], value: undefined, bytes: 102 },
      { path: ["b"], value: [1, 2], bytes: 5 },
      { path: ["c"], value: true, bytes: 4 },
    ]);
  });

  test.each([
    "",
    "{",
    '{"a"',
    '{"a":1',
    '{"a" 1}',
    "[1}",
    '{"a":1]',
    "[1 2]",
    '{"a":tru}',
    '"a',
    "1 2",
    "{1:2}",
    '{"a":1}}',
    "[1,2]]",
  ])("JSC-1.4  %j is not JSON, and the scan says so", (text) => {
    for (const cuts of [[], [1, 2, 3, 4, 5]]) {
      expect(scan(text, (path) => (path.length === 0 ? "enter" : whole), cuts).sound).toBe(false);
    }
  });
});
