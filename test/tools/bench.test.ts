import { cpSync, existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { atLeast, atMost, cost, median, quantile, ratio, settledHeapBytes, sideBySide, told } from "../../bench/measure.ts";
import { isMet, table } from "../../bench/run.ts";
import { node, put, scratch } from "./scratch.ts";

const folder = scratch();
const own = join(import.meta.dirname, "../..");

/** A checkout with the real runner and benches of its own. */
function checkout(benches: Record<string, string>): string {
  const root = folder();
  for (const path of ["bench/run.ts", "bench/measure.ts", "src/lib"])
    cpSync(join(own, path), join(root, path), { recursive: true });
  symlinkSync(join(own, "node_modules"), join(root, "node_modules"));
  put(root, "package.json", '{"type":"module"}');
  for (const [name, body] of Object.entries(benches)) {
    put(
      root,
      `bench/${name}.ts`,
      `import { atMost, told } from "./measure.ts";\nexport async function run(options) { ${body} }\n`,
    );
  }
  return join(root, "bench/run.ts");
}

describe("measure", () => {
  test("TOOL-7.1 a bound without a figure is not met", () => {
    expect([atMost("a", 3, "ms", 3), atLeast("a", 3, "ms", 3)].map((measure) => measure.met)).toEqual([true, true]);
    expect([atMost("a", 3.1, "ms", 3), atLeast("a", 2.9, "ms", 3)].map((measure) => measure.met)).toEqual([false, false]);
    expect([atMost("a", median([]), "ms", 3), atLeast("a", quantile([], 0.5), "ms", 0)].map((measure) => measure.met)).toEqual([
      false,
      false,
    ]);
    expect(isMet({ measures: [told("a", 1, "ms")] })).toBe(true);
    expect(isMet({ measures: [] })).toBe(false);
  });

  test("TOOL-7.1 medians and quantiles do not depend on order", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([10, 2, 1, 3])).toBe(2.5);
    expect([0, 0.5, 0.99, 1].map((share) => quantile([5, 4, 3, 2, 1], share))).toEqual([1, 3, 5, 5]);
    expect(ratio([4, 2, 6], [2, 2, 8])).toBe(2);
  });

  test("TOOL-7.2 every rival runs in every round, and the order turns", async () => {
    const order: string[] = [];
    const samples = await sideBySide(3, {
      a: () => order.push("a"),
      b: async () => Promise.resolve(order.push("b")),
      c: () => order.push("c"),
    });
    expect(order.join("")).toBe("abcbcacab");
    expect(samples).toEqual({ a: [1, 6, 8], b: [2, 4, 9], c: [3, 5, 7] });
  });

  test("TOOL-7.2 cost counts the processor's time, and the heap is settled before it is read", async () => {
    const busy = await cost(() => {
      const until = process.hrtime.bigint() + 20_000_000n;
      let turns = 0;
      while (process.hrtime.bigint() < until) turns += 1;
      return turns;
    });
    expect(busy.wallMs).toBeGreaterThanOrEqual(20);
    expect(busy.cpuMs).toBeGreaterThan(0);
    let held: unknown[] | null = Array.from({ length: 200_000 }, (_, index) => ({ index }));
    const full = settledHeapBytes();
    expect(held.length).toBe(200_000);
    held = null;
    expect(settledHeapBytes()).toBeLessThan(full - 4_000_000);
  });
});

describe("runner", () => {
  test("TOOL-7.3 --json prints one object with measures, machine and commit, and passes flags and folder on", async () => {
    const runner = checkout({ one: 'return [told(options.args.join(" "), options.data === null ? 0 : 1, "x")];' });
    const data = join(folder(), "deep/data");
    const ran = await node([runner, "one", "--json", "--data", data, "--agents", "7"]);
    expect(ran.code).toBe(0);
    const report = JSON.parse(ran.stdout) as Record<string, unknown>;
    expect(report).toMatchObject({
      bench: "one",
      measures: [{ name: "--agents 7", value: 1, unit: "x", must: null, met: null }],
      commit: "unknown",
    });
    expect(report["machine"]).toMatchObject({ node: process.versions.node, cores: expect.any(Number) });
    expect(existsSync(data)).toBe(true);
  });

  test("TOOL-7.3 without --json it prints a table", () => {
    const machine = { cpu: "C", cores: 2, memoryGiB: 4, system: "S", node: "24.0.0" };
    const text = table({
      bench: "b",
      measures: [atMost("slow", 12_345.6, "µs", 3, "≤ 1"), told("n", Number.NaN, "ms")],
      machine,
      commit: "abc",
    });
    expect(text.split("\n")).toEqual([
      "b · C, 2 cores, 4 GiB, Node 24.0.0 · abc",
      "  slow  12,346 µs     must ≤ 3  NOT MET  aim ≤ 1",
      "  n     no figure ms",
      "",
    ]);
  });

  test("TOOL-7.4 an unmet bound, a failing bench and an unknown name fail", async () => {
    const runner = checkout({
      good: 'return [atMost("a", 1, "ms", 2)];',
      tight: 'return [atMost("a", 3, "ms", 2)];',
      broken: 'throw new Error("no disk");',
    });
    expect((await node([runner, "good"])).code).toBe(0);
    expect((await node([runner, "tight"])).code).toBe(1);
    expect((await node([runner, "broken"])).code).toBe(1);
    const unknown = await node([runner, "nope"]);
    expect(unknown).toMatchObject({ code: 64, stdout: "", stderr: "There is no bench nope. There are: broken, good, tight.\n" });
    const all = await node([runner, "--json"]);
    expect(all.code).toBe(1);
    const parsed = JSON.parse(all.stdout) as { benches: { bench: string }[]; failed: string[]; left: string[] };
    expect(parsed.benches.map((report) => report.bench)).toEqual(["good", "tight"]);
    expect(parsed).toMatchObject({ failed: ["broken"], left: [] });
  });
});
