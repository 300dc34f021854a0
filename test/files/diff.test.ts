import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unifiedDiff } from "../../src/files/diff.ts";

const file = (path: string, before: string | null, after: string | null) => ({
  path,
  before: before === null ? null : Buffer.from(before),
  after: after === null ? null : Buffer.from(after),
  executableBefore: false,
  executableAfter: false,
});
const patch = ["/usr/bin/patch", "/usr/local/bin/patch"].find((path) => existsSync(path));
const git = ["/usr/bin/git", "/usr/local/bin/git"].find((path) => existsSync(path));

describe("diff", () => {
  test("FIL-3.1 a change is shown with three lines around it", () => {
    const before = "1\n2\n3\n4\n5\n6\n7\n8\n";
    expect(unifiedDiff([file("a.txt", before, before.replace("5", "five"))])).toBe(
      "--- a/a.txt\n+++ b/a.txt\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n",
    );
  });

  test("FIL-3.1 an added file, a deleted file and a missing last line feed", () => {
    expect(unifiedDiff([file("n", null, "x\n")])).toBe("--- /dev/null\n+++ b/n\n@@ -0,0 +1,1 @@\n+x\n");
    expect(unifiedDiff([file("n", "x", null)])).toBe(
      "--- a/n\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n\\ No newline at end of file\n",
    );
  });

  test("FIL-3.1 another program applies it", (context) => {
    context.skip(patch === undefined && git === undefined, "neither patch nor git is here");
    const text = fc
      .array(fc.constantFrom("a\n", "b\n", "c\n", "\n"), { minLength: 1, maxLength: 30 })
      .map((lines) => lines.join(""));
    const folder = mkdtempSync(join(tmpdir(), "diff-"));
    try {
      fc.assert(
        fc.property(text, text, fc.boolean(), (before, after, cut) => {
          const wanted = cut ? after.slice(0, -1) : after;
          fc.pre(before !== wanted && wanted !== "");
          writeFileSync(join(folder, "f"), before);
          const input = unifiedDiff([file("f", before, wanted)]);
          if (patch === undefined) execFileSync(git ?? "git", ["apply", "--unidiff-zero", "-p1"], { cwd: folder, input });
          else execFileSync(patch, ["-s", "-p1"], { cwd: folder, input });
          expect(readFileSync(join(folder, "f"), "utf8")).toBe(wanted);
        }),
        { numRuns: 40 },
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("FIL-3.2 binary contents are one line with sizes", () => {
    expect(unifiedDiff([{ ...file("x.png", "text", null), after: Buffer.from([0, 1, 2]) }])).toBe(
      "Binary files a/x.png (4 bytes) and b/x.png (3 bytes) differ\n",
    );
  });

  test("FIL-3.3 a path that would forge a line of the diff is quoted", () => {
    const text = unifiedDiff([file("a\n+++ b/forged", "1\n", "2\n")]);
    expect(text.split("\n")[0]).toBe('--- "a/a\\n+++ b/forged"');
    expect(text.split("\n").filter((line) => line.startsWith("+++"))).toHaveLength(1);
  });
});
