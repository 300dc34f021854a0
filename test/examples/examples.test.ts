import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { firstMissing, readPage, root, scratch, valueOf, type Scratch } from "../docs/scratch.ts";

/** The examples' own page, executed block by block in a copy of their folder; then what each left behind. */
describe("examples", () => {
  const { blocks, prose } = readPage("examples/README.md");
  const numbered = fs.readdirSync(path.join(root, "examples")).filter((name) => /^\d/.test(name));
  const held: { place: Scratch | null } = { place: null };
  const at = (file: string): string => fs.readFileSync(path.join(held.place?.folder ?? "", file), "utf8");

  beforeAll(() => {
    held.place = scratch("inbox");
    fs.cpSync(path.join(root, "examples"), held.place.folder, { recursive: true });
  });
  afterAll(() => held.place?.remove());

  it("every numbered example has a section, and a block that is run", () => {
    const sections = prose.match(/^## \d.*$/gm) ?? [];
    expect(sections.map((row) => row.slice(3))).toEqual(numbered);
    expect(blocks.filter(({ words }) => words.includes("run"))).toHaveLength(numbered.length);
  });

  it("each block does what the page says", { timeout: 90_000 }, () => {
    let printed = "";
    for (const block of blocks) {
      if (block.words.includes("run")) {
        const ran = held.place?.bash(block.text);
        printed = ran?.text ?? "";
        expect(ran?.code, printed).toBe(Number(valueOf(block, "exit") ?? 0));
      } else expect(firstMissing(block.text, printed), printed).toBeNull();
    }
  });

  it("01: every point stands in the note, on the line it names", () => {
    const note = at("01-hello-program/note.md").split("\n");
    const ran = held.place?.bash(`cd 01-hello-program; daimon run hello.md --input '{"document":{"path":"note.md"}}' --json -q`);
    const { points } = JSON.parse(ran?.text ?? "").status.value;
    expect(points).toHaveLength(3);
    for (const { text, line } of points) expect(note[line - 1]).toContain(text);
  });

  it("02: the list has every text of the inbox, the longest first, with its length", () => {
    const rows = [...at("LONGEST.md").matchAll(/^- (\d+) lines: \[(.+?)\]/gm)].map(
      ([, lines, file]) => [Number(lines), file ?? ""] as const,
    );
    expect(rows).toHaveLength(fs.readdirSync(path.join(root, "examples/inbox")).length - 1);
    for (const [lines, file] of rows) expect(at(file).replace(/\n$/, "").split("\n")).toHaveLength(lines);
    expect(rows.map(([lines]) => lines)).toEqual(rows.map(([lines]) => lines).toSorted((a, b) => b - a));
  });

  it("03: what is private was neither read nor quoted, and the brief says that it was left out", () => {
    const brief = at("03-policy/BRIEF.md");
    expect(brief).toContain("papers/private");
    const journal = held.place?.bash("cd 03-policy; daimon log --json").text ?? "";
    const secrets = ["caretaker,2750", "in confidence"];
    for (const secret of secrets) {
      expect(at("03-policy/papers/private/salaries.csv")).toContain(secret);
      expect(brief).not.toContain(secret);
      expect(journal).not.toContain(secret);
    }
  });
});
