import fc from "fast-check";
import { expect, test } from "vitest";
import type { Json } from "../../src/lib/json.ts";
import { renderTemplate } from "../../src/programs/template.ts";
import { citedIn, isEmpty, pick } from "../../src/programs/values.ts";

function render(template: string, values: Record<string, Json>): string {
  const text = renderTemplate(template, new Map(Object.entries(values)));
  if (!text.ok) throw new Error(text.error.message);
  return text.value;
}

test("PRG-3.1 a path goes through lists item by item", () => {
  const values = new Map<string, Json>([["extract", [{ facts: [1, 2], title: "a" }, { facts: [3] }]]]);
  expect(pick(values, "extract.facts")).toEqual([1, 2, 3]);
  expect(pick(values, "extract.title")).toEqual(["a"]);
  expect(pick(values, "extract.length")).toBe(2);
  expect(pick(values, "extract.none.deeper")).toEqual([]);
  expect(pick(values, "nothing.at.all")).toBeUndefined();
  expect(pick(new Map<string, Json>([["a", { b: 1 }]]), "a.__proto__")).toBeUndefined();
});

test("PRG-3.1 citations are found wherever they stand, and emptiness is deep", () => {
  const cite = { text: "t", path: "a.md", line: 3 };
  expect(citedIn({ a: [{ b: cite }], c: cite })).toEqual([
    { ...cite, to: 3 },
    { ...cite, to: 3 },
  ]);
  expect(isEmpty({ a: [], b: "", c: { d: null } })).toBe(true);
  expect(isEmpty({ a: [], b: 0 })).toBe(false);
});

test("PRG-4.1 values are put in as text", () => {
  const hostile = "![x](https://e.example/?d=1)\n# Heading <script>";
  const text = render("- {{a}}\n", { a: hostile });
  expect(text.trimEnd().split("\n")).toHaveLength(1);
  expect(text).not.toMatch(/(?<!\\)[[<]/);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => {
      expect(render("- x {{a}} y\n", { a: value }).trimEnd().split("\n")).toHaveLength(1);
      expect(render("{{a}}", { a: `{{#b}}${value}` })).not.toBe("");
    }),
  );
});

test("PRG-4.2 tags that do not pair are refused with their line", () => {
  const refused = (template: string): string => {
    const text = renderTemplate(template, new Map());
    return text.ok ? "accepted" : text.error.message;
  };
  expect(refused("a\n{{#x}}")).toMatch(/line 2: .*never closed/);
  expect(refused("{{/x}}")).toMatch(/line 1: .*closes nothing/);
  expect(refused("{{#x}}\n\n{{/y}}")).toMatch(/line 3: .*closes \{\{#x\}\}/);
});

test("PRG-4.3 sections repeat, show and hide, and leave no empty lines", () => {
  const template =
    "# {{title}}\n\n{{#list.length}}\n## List\n\n{{#list}}\n- {{text}} {{link}}\n{{/list}}\n{{/list.length}}\n{{^none}}\nNothing.\n{{/none}}\n";
  const list = [
    { text: "one", path: "a b.md", line: 3, to: 4 },
    { text: "two", path: "c.md" },
  ];
  expect(render(template, { title: "T", list, none: [] })).toBe(
    "# T\n\n## List\n\n- one [a b.md:3-4](a%20b.md#L3-L4)\n- two [c.md](c.md)\nNothing.\n",
  );
  expect(render(template, { title: "T", list: [], none: [1] })).toBe("# T\n");
  expect(render("{{#words}}{{.}};{{/words}}", { words: ["a", "b"] })).toBe("a;b;\n");
});
