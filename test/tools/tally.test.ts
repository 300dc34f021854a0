import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { skipLines } from "../../tools/skips.ts";
import { tally, tallyLine } from "../../tools/tally.ts";
import { node, put, scratch } from "./scratch.ts";

const folder = scratch();
const file = (status: string, ...tests: string[]): object => ({
  status,
  assertionResults: tests.map((state) => ({ status: state })),
});
const report = (...files: object[]): string => JSON.stringify({ testResults: files });

describe("tally", () => {
  test("TOOL-2.1 a file that cannot be loaded and an error outside every test count as failures", () => {
    expect(tally(report(file("passed", "passed", "pending", "todo"), file("failed")), 1)).toEqual({
      passed: 1,
      failed: 1,
      skipped: 2,
    });
    expect(tally(report(file("passed", "passed")), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(tally(report(file("failed", "failed", "failed", "passed")), 1)).toEqual({ passed: 1, failed: 2, skipped: 0 });
  });

  test("TOOL-2.2 nothing run and no report are failures", () => {
    expect(tally(null, 0).failed).toBe(1);
    expect(tally("{ broken", 0).failed).toBe(1);
    expect(tally(report(), 0).failed).toBe(1);
    expect(tally(report(file("passed", "pending")), 0)).toEqual({ passed: 0, failed: 1, skipped: 1 });
  });

  test("TOOL-2.1 every test is counted once, whatever the report", () => {
    const states = fc.array(fc.constantFrom("passed", "failed", "pending", "skipped", "todo", "disabled"), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(states, { minLength: 1 }), (files) => {
        const text = report(...files.map((tests) => file(tests.includes("failed") ? "failed" : "passed", ...tests)));
        const result = tally(text, files.flat().includes("failed") ? 1 : 0);
        const none = files.flat().every((state) => state !== "passed" && state !== "failed");
        expect(result.passed + result.failed + result.skipped).toBe(files.flat().length + (none ? 1 : 0));
      }),
    );
  });

  test("TOOL-2.3 the line names skipped tests only when there are any", () => {
    expect(tallyLine({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
    expect(tallyLine({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 1 failed, 2 skipped");
  });

  test("TOOL-2.3 a run with a failing test ends with the line and a failing exit code", async () => {
    // A folder of its own with this project's packages, so that the run within the run sees only its own tests.
    const root = folder();
    const { cpSync, symlinkSync } = await import("node:fs");
    const own = join(import.meta.dirname, "../..");
    for (const path of ["tools", "src/lib"]) cpSync(join(own, path), join(root, path), { recursive: true });
    symlinkSync(join(own, "node_modules"), join(root, "node_modules"));
    put(root, "package.json", '{"type":"module"}');
    const head = 'import { expect, test } from "vitest";\n';
    put(root, "a.test.js", `${head}test("one", () => expect(1).toBe(1)); test("two", (context) => context.skip("no browser"));`);
    const good = await node([join(root, "tools/test.ts"), "--root", root]);
    expect(good.stdout.trimEnd().split("\n").at(-1)).toBe("1 passed, 0 failed, 1 skipped");
    expect(good.stdout).toContain("Skipped, no browser: two");
    expect(good.code).toBe(0);
    put(root, "b.test.js", `${head}test("three", () => expect(1).toBe(2));`);
    const bad = await node([join(root, "tools/test.ts"), "--root", root]);
    expect(bad.stdout.trimEnd().split("\n").at(-1)).toBe("1 passed, 1 failed, 1 skipped");
    expect(bad.code).toBe(1);
  }, 60_000);

  test("TOOL-2.4 skipped tests are listed by reason", () => {
    const skipped = [
      { title: "a", reason: "no browser" },
      { title: "b", reason: "no sandbox" },
      { title: "c", reason: "no browser" },
    ];
    expect(skipLines(skipped)).toEqual(["Skipped, no browser: a · c", "Skipped, no sandbox: b"]);
    expect(skipLines([])).toEqual([]);
  });
});
