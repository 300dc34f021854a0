import fc from "fast-check";
import { expect, test } from "vitest";
import { linesOf, noCarry, readBlocks } from "../../src/lib/text-blocks.ts";
import { citation, endingLink, escapeMarkdown, printable, sourceOf, supportOf } from "../../src/lib/text-quote.ts";
import { words } from "../../src/lib/text.ts";

const text = "# Lift\n\nThe **goods lift** failed its load\ntest at 1,600 kg on 30 September.\nIt waits for a brake.\n";
const source = sourceOf("a.md", linesOf(text));

test("TXT-6.1 a quote is exact from its line on, over line breaks and markup", () => {
  expect(supportOf(source, "The goods lift failed its load test at 1,600 kg on 30 September.", 3, 4)).toBe("exact");
  expect(supportOf(source, "It waits for a brake.", 5, 5)).toBe("exact");
  expect(supportOf(source, "It waits for a brake.", 4, 4)).toBe("none");
  expect(supportOf(source, "It waits for a brake.", 99, 99)).toBe("none");
  expect(supportOf(source, "", 3, 3)).toBe("none");
});

test("TXT-6.2 other words need half of the terms and every figure", () => {
  expect(supportOf(source, "At 1,600 kg the goods lift failed the test.", 3, 4)).toBe("shared");
  expect(supportOf(source, "At 1,700 kg the goods lift failed the test.", 3, 4)).toBe("none");
  expect(supportOf(source, "The vans stood idle for eight working days in November.", 3, 4)).toBe("none");
});

test("TXT-6.3 no quote brings markup, and its words stay", () => {
  const unit = fc.constantFrom(
    "<img src=x>",
    "![a](http://e.example/p)",
    "[l](u)",
    "`",
    "*",
    "_",
    "a_b",
    "#",
    "- ",
    "1. ",
    "|",
    "\u202e",
    "\u200b",
    "\n",
    "\u001b[31m",
    "https://e.example",
    "word ",
    "&lt;",
    "@me",
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (given) => {
      const escaped = escapeMarkdown(given);
      expect(escaped).not.toMatch(/[\n\u001b\u202e\u200b]/);
      expect(escaped).not.toMatch(/(?<!\\)(?:\\\\)*(?:!?\[|<|\]\()/);
      expect(escaped).not.toMatch(/https?:\/\//);
      const blocks = readBlocks("a.md", linesOf(`x ${escaped}`), noCarry, true).blocks;
      expect(blocks.length).toBe(1);
      expect(words(escaped.replace(/\\(.)/g, "$1"))).toEqual(words(printable(given)));
    }),
  );
});

test("TXT-6.1 a citation is read back as it was written", () => {
  const path = fc
    .string({ unit: fc.constantFrom("a", "é", " ", "(", ")", "[", "]", "#", "%", "/x", "_", "."), minLength: 1 })
    .map((tail) => `f${tail}`);
  fc.assert(
    fc.property(path, fc.integer({ min: 1, max: 9_999 }), fc.integer({ min: 0, max: 9 }), (name, line, more) => {
      const found = endingLink(`Some text. ${citation(name, line, line + more)}`);
      expect(found).toEqual({ text: "Some text.", link: { path: name, line, to: line + more } });
    }),
  );
  expect(endingLink("See [x](https://e.example/a)")).toBeNull();
  expect(endingLink("No link.")).toBeNull();
});
