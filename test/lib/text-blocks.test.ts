import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { linesOf, noCarry, readBlocks, sentencesOf, type Block, type Carry, type Sentence } from "../../src/lib/text-blocks.ts";
import { words } from "../../src/lib/text.ts";
import { workOf } from "./work.ts";

const folder = new URL("../../examples/inbox/", import.meta.url);
const names = readdirSync(folder).filter((name) => !name.endsWith(".png"));
const paths = ["a.md", "a.txt", "a.html", "a.csv", "a.py", "a.ts", "a.sql", "a.xml"];

function whole(path: string, text: string): readonly Block[] {
  return readBlocks(path, linesOf(text), noCarry, true).blocks;
}

function chunked(path: string, text: string, size: number): Sentence[] {
  const lines = linesOf(text);
  const found: Sentence[] = [];
  let carry: Carry = noCarry;
  for (let from = 1; from <= lines.length;) {
    const piece = lines.slice(from - 1, from - 1 + size);
    const last = from - 1 + size >= lines.length;
    const reading = readBlocks(path, piece, carry, last);
    found.push(...reading.blocks.flatMap(sentencesOf));
    carry = reading.carry;
    from = last ? lines.length + 1 : Math.max(reading.next, from + 1);
  }
  return found;
}

for (const name of names) {
  const text = readFileSync(new URL(name, folder), "utf8");

  test(`TXT-4.1 every word of a block of ${name} stands on the line its mark names`, () => {
    const lines = linesOf(text);
    for (const block of whole(name, text)) {
      if (block.kind === "row") continue;
      for (const [index, mark] of block.marks.entries()) {
        const piece = block.text.slice(mark.at, block.marks[index + 1]?.at);
        const raw = new Set(words((lines[mark.line - 1]?.text ?? "").replace(/&\w+;/g, " ")));
        for (const word of words(piece)) expect(raw, `${word} on line ${mark.line}`).toContain(word);
      }
    }
  });

  test(`TXT-4.2 ${name} reads the same in chunks as at once`, () => {
    const once = whole(name, text).flatMap(sentencesOf);
    for (const size of [25, 40]) {
      expect(chunked(name, text, size).map(({ text: said, line, to }) => ({ said, line, to }))).toEqual(
        once.map(({ text: said, line, to }) => ({ said, line, to })),
      );
    }
  });
}

test("TXT-4.3 what a person does not see is hidden, and code is no prose", () => {
  const html = `<p>Seen.</p><!-- secret --><p style="display:none">Also secret.</p><script>alert("code. Prose?")</script>`;
  expect(whole("a.html", html).map((block) => [block.kind, block.text])).toEqual([
    ["prose", "Seen."],
    ["hidden", "secret"],
    ["hidden", "Also secret."],
  ]);
  const markdown =
    "Seen <!-- secret --> too.\n\n```js\nconst code = 1;\n```\n\n![x](http://a.example/b.png) Done [here](http://c.example).";
  expect(whole("a.md", markdown).map((block) => [block.kind, block.text])).toEqual([
    ["hidden", "secret"],
    ["prose", "Seen too."],
    ["prose", "Done here."],
  ]);
  const mail = "Subject: Re: Lift\n\n> quoted before\n\nThe lift works.\n\n--\nsignature";
  expect(whole("a.txt", mail).map((block) => [block.kind, block.text])).toEqual([
    ["heading", "Lift"],
    ["hidden", "quoted before"],
    ["prose", "The lift works."],
  ]);
  expect(whole("a.py", 'x = "no. prose"  # trailing\n# A comment.\ny = 1').map((block) => block.text)).toEqual(["A comment."]);
});

test("TXT-4.3 a record of a table is a row with its columns' names", () => {
  const csv = 'no,room,note\n1,A1,"two\nlines, quoted ""well"""\n2,B2,\n';
  expect(whole("a.csv", csv).map((block) => [block.marks[0]?.line, block.text])).toEqual([
    [2, '1 · room: A1 · note: two lines, quoted "well"'],
    [4, "2 · room: B2"],
  ]);
  expect(whole("a.md", "| Room | RH |\n| --- | --- |\n| A1 | 48 % |").map((block) => block.text)).toEqual(["A1 · RH: 48 %"]);
});

test("TXT-4.4 no input makes a reader fail, and marks stay within the document", () => {
  const unit = fc.constantFrom(
    "<",
    ">",
    "!--",
    "-->",
    "|",
    "#",
    "*",
    '"',
    "`",
    "```",
    "\n",
    " ",
    "a",
    "Word. ",
    "---",
    "/*",
    "*/",
    "'''",
    "&amp;",
    ",",
    "<p>",
    "<td>",
    "</table>",
    "<script>",
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 120 }), fc.constantFrom(...paths), fc.boolean(), (text, path, last) => {
      const lines = linesOf(text);
      const reading = readBlocks(path, lines, noCarry, last);
      expect(reading.next).toBeGreaterThan(0);
      for (const block of reading.blocks) {
        expect(block.text.trim()).not.toBe("");
        for (const mark of block.marks) expect(mark.line >= 1 && mark.line <= Math.max(1, lines.length)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

/** The square of the size would be some thousands for each character. */
const workPerCharacterMax = 3_000;

test.each(paths)("TXT-4.4 a hostile line of 20,000 characters costs work in proportion to its size: %s", (path) => {
  for (const unit of ["[", "<a", "![", "* ", '"', "<!--", "(", "|a"]) {
    const text = unit.repeat(20_000 / unit.length);
    const most = workPerCharacterMax * text.length;
    expect(
      workOf(() => whole(path, text), most),
      unit,
    ).toBeLessThan(most);
  }
});

test("the count of work sees a square, in an expression and in a loop", () => {
  const text = "[".repeat(20_000);
  const most = workPerCharacterMax * text.length;
  expect(workOf(() => void /\[[^\]]*\]/.exec(text), most)).toBeGreaterThanOrEqual(most);
  expect(workOf(() => void /x+y/.exec(text), most)).toBeLessThan(10 * text.length);
  const searches = (): void => {
    for (let at = 0; at < text.length; at += 1) text.indexOf("]", at);
  };
  expect(workOf(searches, most)).toBeGreaterThanOrEqual(most);
});

test("one paragraph of many lines is read in time that grows with it", () => {
  const text = Array.from({ length: 60_000 }, (_, n) => `Line ${n}: the operator noted a delay and restarted the service.`).join(
    "\n",
  );
  const [block] = whole("a.txt", text);
  expect(block?.marks).toHaveLength(60_000);
  expect(block?.text.endsWith("restarted the service.")).toBe(true);
});
