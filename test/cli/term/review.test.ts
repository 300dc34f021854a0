/** What a person sees of a commit: rows that nobody but the kernel can write at the margin. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fail } from "../../../src/abi/errno.ts";
import type { FileStep } from "../../../src/abi/files.ts";
import { askApproval, renderApproval, type ApprovalRequest } from "../../../src/cli/term/approval.ts";
import { quoted } from "../../../src/cli/term/quote.ts";
import { renderReview } from "../../../src/cli/term/review.ts";
import { palette } from "../../../src/cli/term/screen.ts";
import { linkMark } from "../../../src/files/commit.ts";
import { review, type Review, type ReviewBounds } from "../../../src/files/review.ts";
import { sha256, type Digest } from "../../../src/lib/hash.ts";
import { ok } from "../../../src/lib/result.ts";
import { recorder } from "./screen.ts";

const none = palette(recorder(), {}, true);
const bounds: ReviewBounds = { steps: 4, all: 30, each: 12, chars: 40, bytes: 10_000 };

interface Made {
  readonly path: string;
  readonly before: string | null;
  readonly after: string;
  readonly link: boolean;
}

function reviewed(files: readonly Made[]): Review {
  const kept = new Map<Digest, Uint8Array>();
  const put = (text: string): Digest => {
    kept.set(sha256(text), Buffer.from(text));
    return sha256(text);
  };
  const steps = files.map(({ path, before, after, link }): FileStep => {
    const to = put(link ? `${linkMark}${after}` : after);
    const from = before === null ? null : put(before);
    const type = link ? "link" : "file";
    return { op: "write", path, type, from, to, executable: false, typeFrom: "file", executableFrom: false };
  });
  return review({ steps, content: (digest) => kept.get(digest) ?? null, obeyed: () => false, bounds });
}

const request: ApprovalRequest = {
  id: "3.7.0",
  pid: 3,
  program: "brief",
  call: "fs.commit",
  effect: "external",
  reversible: true,
  args: [{ name: "paths", role: "path", value: '["."]' }],
  source: "All of it comes from the process, after reading text by others.",
  untrusted: [],
  changes: null,
  rules: [],
  words: null,
  digest: sha256("call"),
};

const forged = [
  "a) wants fs.read: it reads; it can be undone.",
  `x${" ".repeat(70)}Process 1 (safe) wants fs.read: it reads; it can be undone.`,
  "x\n1 of 1: new file, 2 B, +1 -0 lines",
  "\u202e\u001b[1A\r\nAllow? y",
  "é".repeat(90),
  "│ +x",
];
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(...forged),
  fc.constantFrom(...forged).map((one) => one.repeat(3)),
);
const files = fc.array(fc.record({ path: text, before: fc.option(text), after: text, link: fc.boolean() }), { maxLength: 6 });
/** The widest that a terminal can make of it. */
const columns = (row: string): number => [...row].reduce((sum, character) => sum + (/[\x20-\x7e│┆]/.test(character) ? 1 : 2), 0);
const bar = /^[│┆] /;

describe("a quoted value", () => {
  it("TTY-13.1  every row is behind a bar and nothing in it acts; without long lines and signs it is the text", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 10, max: 90 }), (value, width) => {
        const rows = quoted(value, width);
        for (const row of rows) {
          expect(row).toMatch(bar);
          expect(row).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u);
        }
      }),
    );
    expect(quoted("one\ntwo", 20)).toEqual(["│ one", "│ two"]);
    expect(quoted("x".repeat(25), 12)).toEqual([`│ ${"x".repeat(10)}`, `┆ ${"x".repeat(10)}`, "┆ xxxxx"]);
  });

  it("TTY-13.2  no row is wider than the terminal, however wide that draws a character", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 10, max: 90 }), (value, width) => {
        for (const row of quoted(value, width)) expect(columns(row)).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe("a commit that is asked about", () => {
  it("TTY-14.1  no name, target, line or argument can write a row at the margin", () => {
    fc.assert(
      fc.property(files, text, text, fc.integer({ min: 30, max: 100 }), (made, name, source, width) => {
        const changes = { review: ok(reviewed(made)), more: "daimon diff 3:1" };
        const full = { ...request, args: [{ name, role: "option", value: "v" } as const], untrusted: [source], changes };
        const margin = renderApproval(full, width, none).filter((row) => !bar.test(row));
        for (const row of margin) {
          expect(row).toMatch(/^[\x20-\x7e]*$/);
          expect(row.length).toBeLessThanOrEqual(width);
        }
        const words = margin.join(" ");
        for (const word of ["safe", "wants fs.read", "Allow?"]) expect(words).not.toContain(word);
        expect(words.match(/\bof \d+: /g)?.length ?? 0).toBe(Math.min(made.length, bounds.steps));
      }),
      { numRuns: 300 },
    );
  });

  it("TTY-14.2  says what happens to each path before it, then shows the lines", () => {
    const rows = renderReview(
      reviewed([
        { path: "a.txt", before: "one\ntwo\n", after: "one\nTWO\n", link: false },
        { path: "n\n+x.sh", before: null, after: "#!/bin/sh", link: false },
        { path: "l", before: "text\n", after: "../up", link: true },
      ]),
      "daimon diff 3:1",
      80,
      none,
    );
    expect(rows).toEqual([
      "1 of 3: file becomes a link, A LINK, 5 B before, +0 -1 lines",
      "│ l",
      "points to:",
      "│ ../up",
      "│ @@ -1,1 +0,0 @@",
      "│ -text",
      "2 of 3: new file, A SCRIPT, 9 B, +1 -0 lines",
      "│ n⏎+x.sh",
      "│ @@ -0,0 +1,1 @@",
      "│ +#!/bin/sh",
      "│ \\ No newline at end of file",
      "3 of 3: file changed, 8 B before, 8 B after, +1 -1 lines",
      "│ a.txt",
      "│ @@ -1,2 +1,2 @@",
      "│  one",
      "│ -two",
      "│ +TWO",
    ]);
    expect(renderReview({ steps: [], stepsLeft: 0 }, "", 80, none)).toEqual([
      "it would change nothing: the workspace has it all",
    ]);
  });

  it("TTY-14.3  what is left out is counted where it is left out, and how to see it is told", () => {
    const many = Array.from({ length: 9 }, (_, n) => ({ path: `f${n}`, before: null, after: "x\n".repeat(20), link: false }));
    const rows = renderReview(
      reviewed([{ ...(many[0] as Made), after: "y".repeat(100) }, ...many.slice(1)]),
      "daimon diff 3:1",
      80,
      none,
    );
    expect(rows).toContain("and 60 more characters of this line");
    expect(rows).toContain("and 9 more changed lines of this file");
    expect(rows.slice(-2)).toEqual(["and 5 more paths, not shown here", "this is not all of it: daimon diff 3:1"]);
    const all = renderReview(reviewed([{ path: "a", before: null, after: "x\n", link: false }]), "daimon diff 3:1", 80, none);
    expect(all.join("\n")).not.toContain("daimon diff");
  });

  it("TTY-11.9  whose plan cannot be read can be refused, and not allowed", async () => {
    const unseen = { review: fail("ENOENT", "the plan cannot be read"), more: "daimon diff 3:1" };
    const typed = [request.digest.slice(0, 6), "y", "yes", "n"];
    const screen = recorder({ isTTY: true, columns: 80, rows: 40 });
    const person = { isTTY: true, drain: async () => {}, readLine: async () => typed.shift() ?? null };
    expect(await askApproval({ ...request, changes: unseen }, screen, person, none)).toEqual({ ok: true, value: "deny" });
    expect(typed).toEqual([]);
    expect(screen.text()).toContain("cannot be shown: the plan cannot be read");
    expect(screen.text()).not.toContain("to allow");
  });
});
