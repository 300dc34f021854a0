import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FileStep } from "../../src/abi/files.ts";
import { linkMark } from "../../src/files/commit.ts";
import { review, type Review, type ReviewBounds } from "../../src/files/review.ts";
import { sha256, type Digest } from "../../src/lib/hash.ts";

const whole: ReviewBounds = { steps: Infinity, all: Infinity, each: Infinity, chars: Infinity, bytes: Infinity };

/** Contents by digest, as they are put. */
function store() {
  const kept = new Map<Digest, Uint8Array>();
  const put = (data: string | Uint8Array): Digest => {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    kept.set(sha256(bytes), bytes);
    return sha256(bytes);
  };
  const write = (path: string, before: string | null, after: string | Uint8Array, executable = false): FileStep => ({
    op: "write",
    path,
    type: "file",
    from: before === null ? null : put(before),
    to: put(after),
    executable,
    typeFrom: "file",
    executableFrom: false,
  });
  const remove = (path: string, before: string): FileStep => {
    return { op: "remove", path, type: "file", from: put(before), executableFrom: false };
  };
  const seen = (steps: readonly FileStep[], bounds: Partial<ReviewBounds> = {}): Review =>
    review({
      steps,
      content: (digest) => kept.get(digest) ?? null,
      obeyed: (path) => path.endsWith("AGENTS.md"),
      bounds: { ...whole, ...bounds },
    });
  return { put, write, remove, seen };
}

describe("review", () => {
  test("FIL-14.1 a file that takes a link's place is told as a link", () => {
    const { put, write, seen } = store();
    const step: FileStep = { ...write("l", null, "text"), from: put(`${linkMark}x`), typeFrom: "link" } as FileStep;
    expect(seen([step]).steps).toMatchObject([{ path: "l", marks: ["link"], before: { type: "link", target: "x" } }]);
  });

  test("FIL-14.1 every step is listed or counted, and what deserves the first look comes first", () => {
    const { put, write, remove, seen } = store();
    const link: FileStep = {
      op: "write",
      path: "y",
      type: "link",
      from: null,
      to: put(`${linkMark}../x`),
      executable: false,
      typeFrom: "link",
      executableFrom: false,
    };
    const steps = [
      write("a.txt", null, "a"),
      remove("b.txt", "b"),
      write("z.sh", null, "#!/bin/sh\n"),
      { op: "mkdir", path: "c" } as const,
      write("x", null, "x", true),
      link,
      write("AGENTS.md", "a", "b"),
      { op: "rmdir", path: "d" } as const,
    ];
    const { steps: shown, stepsLeft } = seen(steps);
    expect(shown.map(({ path, marks }) => [path, ...marks])).toEqual([
      ["AGENTS.md", "obeyed"],
      ["x", "executable"],
      ["y", "link"],
      ["z.sh", "script"],
      ["a.txt"],
      ["b.txt"],
      ["c"],
      ["d"],
    ]);
    expect(stepsLeft).toBe(0);
    expect(shown[2]?.after).toMatchObject({ type: "link", target: "../x" });
    expect(shown.map(({ before, after }) => [before?.type ?? null, after?.type ?? null]).slice(5)).toEqual([
      ["file", null],
      [null, "folder"],
      ["folder", null],
    ]);
    const few = seen(steps, { steps: 3 });
    expect([few.steps.map(({ path }) => path), few.stepsLeft]).toEqual([["AGENTS.md", "x", "y"], 5]);
  });

  test("FIL-14.2 the rows applied to what stands there give what it becomes, and the counts are theirs", () => {
    const line = fc.constantFrom("a", "b", "+c", "- d", "@@ -1 +1 @@", "\\ No newline at end of file", "");
    const text = fc
      .tuple(fc.array(line, { maxLength: 30 }), fc.boolean())
      .map(([lines, open]) => lines.join("\n") + (open || lines.length === 0 ? "" : "\n"));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const { write, seen } = store();
        const [step] = seen([write("f", before, after)]).steps;
        if (step === undefined) throw new Error("it is listed");
        if (before === after) {
          expect(step.content).toBe("same");
          return;
        }
        expect(applied(before, step.rows)).toBe(after);
        expect([step.added, step.removed]).toEqual([
          step.rows.filter(({ mark }) => mark === "+").length,
          step.rows.filter(({ mark }) => mark === "-").length,
        ]);
        expect([step.rowsLeft, step.content]).toEqual([0, "lines"]);
      }),
      { numRuns: 300 },
    );
  });

  test("FIL-14.3 what is no text, not kept or too much says so with sizes and digests; a mode alone is told", () => {
    const { write, seen, put } = store();
    const binary = Buffer.from([0, 1, 2]);
    const gone: FileStep = { op: "remove", path: "gone", type: "file", from: "f".repeat(64), executableFrom: true };
    const mode: FileStep = {
      op: "write",
      path: "mode",
      type: "file",
      from: put("same"),
      to: put("same"),
      executable: true,
      typeFrom: "file",
      executableFrom: false,
    };
    const { steps } = seen([write("bin", "text", binary), gone, mode, write("large", "l".repeat(50), "m".repeat(50))], {
      bytes: 60,
    });
    expect(steps.map(({ path, content, before, after }) => [path, content, before?.bytes ?? null, after?.bytes ?? null])).toEqual(
      [
        ["mode", "same", 4, 4],
        ["bin", "binary", 4, 3],
        ["gone", "missing", null, null],
        ["large", "large", 50, 50],
      ],
    );
    expect(steps[0]).toMatchObject({ before: { executable: false }, after: { executable: true }, rows: [] });
    expect(steps[1]).toMatchObject({ before: { digest: sha256("text") }, after: { digest: sha256(binary) } });
  });

  test("FIL-14.4 never more than the bounds, and what is left out is counted", () => {
    const content = fc.array(fc.string({ maxLength: 30 }), { maxLength: 40 }).map((lines) => lines.join("\n"));
    const bounds = fc.record({ steps: fc.nat(6), all: fc.nat(30), each: fc.nat(12), chars: fc.integer({ min: 2, max: 20 }) });
    fc.assert(
      fc.property(fc.array(content, { maxLength: 8 }), bounds, (texts, given) => {
        const { write, seen } = store();
        const steps = texts.map((text, n) => write(`f${n}`, n % 2 === 0 ? null : "was\nthis\n", text));
        const [full, bounded] = [seen(steps), seen(steps, given)];
        expect(bounded.steps.length).toBe(Math.min(given.steps, steps.length));
        expect(bounded.steps.length + bounded.stepsLeft).toBe(steps.length);
        expect(bounded.steps.reduce((sum, { rows }) => sum + rows.length, 0)).toBeLessThanOrEqual(given.all);
        for (const [n, step] of bounded.steps.entries()) {
          expect(step.rows.length).toBeLessThanOrEqual(given.each);
          const all = full.steps[n];
          expect([step.added, step.removed]).toEqual([all?.added, all?.removed]);
          const told = step.rows.filter(({ mark }) => mark === "+" || mark === "-").length;
          expect(told + step.rowsLeft).toBe(step.added + step.removed);
          for (const [m, row] of step.rows.entries()) {
            expect(row.text.length).toBeLessThanOrEqual(given.chars);
            expect(row.text.length + row.cut).toBe(all?.rows[m]?.text.length);
            expect(all?.rows[m]?.text.startsWith(row.text)).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** patch(1) in small: the rows, by their place in the old text. */
function applied(before: string, rows: Review["steps"][number]["rows"]): string {
  const old = before === "" ? [] : before.split(/(?<=\n)/);
  const out: string[] = [];
  let at = 0;
  let last: "old" | "new" | "both" = "both";
  for (const { mark, text } of rows) {
    if (mark === "@") {
      const [, from = "0", count = "0"] = /^@ -(\d+),(\d+)/.exec(text) ?? [];
      const start = count === "0" ? Number(from) : Number(from) - 1;
      out.push(...old.slice(at, start));
      at = start;
    } else if (mark === "\\") {
      if (last !== "old") out.push((out.pop() ?? "").replace(/\n$/, ""));
    } else {
      if (mark !== "+") at += 1;
      if (mark !== "-") out.push(`${text}\n`);
      last = mark === "-" ? "old" : mark === "+" ? "new" : "both";
    }
  }
  return [...out, ...old.slice(at)].join("");
}
