import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { functions } from "../../tools/tidy/functions.ts";
import { headerOf } from "../../tools/tidy/header.ts";
import { lineAt, scan } from "../../tools/tidy/scan.ts";

describe("scan", () => {
  test("TOOL-5.1 comments, strings and regular expressions are blank, code is not", () => {
    const text = 'const a = "let b"; // let c\n/* let d */ const e = /let f["\']/u.test(`let g`); let h;';
    const { code, comments, strings } = scan(text);
    expect(code.match(/\blet\b/g)).toHaveLength(1);
    expect(code).toContain("let h;");
    expect(comments.map((span) => span.text)).toEqual(["// let c", "/* let d */"]);
    expect(strings.map((span) => span.text)).toEqual(["let b", "let g"]);
  });

  test("TOOL-5.1 code inside a template is code, at any depth", () => {
    const { code, strings } = scan("const a = `x ${b({ c: `y ${let1} z` })} /* no comment */ w`; let2;");
    expect(code).toContain("b({ c: ");
    expect(code).toContain("let1");
    expect(code).toContain("let2");
    expect(code).not.toMatch(/[xyzw] |comment/);
    expect(strings.map((span) => span.text)).toEqual(["x ", "y "]);
  });

  test("TOOL-5.1 a slash after a value divides, after anything else it begins a pattern", () => {
    expect(scan("const a = b / c / d; e").code).toContain("b / c / d; e");
    expect(scan("f(x) / 2 / y; e").code).toContain("/ 2 / y; e");
    for (const text of ["return /a'b/.test(c)", "x = /a'b/.test(c)", "f(/a'b/, c)", "y => /[/'']/.test(c)"]) {
      expect(scan(text).strings).toEqual([]);
      expect(scan(text).code).toContain("c)");
    }
  });

  test("TOOL-5.1 any text keeps its length and its lines", () => {
    const pieces = fc.array(
      fc.constantFrom('"', "'", "`", "${", "}", "{", "/*", "*/", "//", "\n", "\\", "/", "a", " ", "(", ")", "=", "😀"),
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        const text = parts.join("");
        const { code } = scan(text);
        expect(code.length).toBe(text.length);
        expect([...code.matchAll(/\n/g)].map((match) => match.index)).toEqual(
          [...text.matchAll(/\n/g)].map((match) => match.index),
        );
      }),
    );
  });

  test("TOOL-5.1 lines count from one", () => {
    expect([0, 1, 2, 3].map((offset) => lineAt("a\n\nb", offset))).toEqual([1, 1, 2, 3]);
  });
});

describe("functions", () => {
  const lines = (count: number): string => "x;\n".repeat(count);
  const found = (text: string): [string, number][] => functions(scan(text).code).map((span) => [span.name, span.lines]);

  test.each([
    ["function a(b: number) {\n", "a"],
    ["export async function a<T extends { x: 1 }>(b: T): Promise<Result<{ y: T }, E>> {\n", "a"],
    ["function a(b = (c: string) => c, { d }: { d: 1 }): { e: 2 } | null {\n", "a"],
    ["function a(x: unknown): asserts x is { y: 1 } {\n", "a"],
    ["function a(): (typeof list)[number] {\n", "a"],
    ["class K {\n  #a(b: B): C[] {\n", "#a"],
    ["const o = {\n  async a(b) {\n", "a"],
    ["const a = (b: string): { c: 1 } => {\n", "a"],
  ])("TOOL-5.2 the body is found: %s", (head, name) => {
    const closing = head.startsWith("class") || head.startsWith("const o") ? "}\n}" : "}";
    expect(found(`${head}${lines(5)}${closing}`)).toContainEqual([name, 5]);
  });

  test("TOOL-5.2 blocks and calls are no functions", () => {
    const text =
      "if (a) {\nx;\n}\nfor (const b of c(d)) {\nx;\n}\nswitch (e(f)) {\ncase g(h): {\n}\n}\nconst i = j(k) ? l(m) : { n: 1 };\ntry {\n} catch (o) {\nx;\n}";
    expect(found(text)).toEqual([]);
  });

  test("TOOL-5.2 an inner function's body counts for itself", () => {
    const text = `function outer() {\n${lines(3)}  function inner() {\n${lines(10)}  }\n  list.map((x) => {\n${lines(20)}  });\n}`;
    expect(new Map(found(text))).toEqual(
      new Map([
        ["arrow function", 20],
        ["inner", 10],
        ["outer", 7],
      ]),
    );
  });
});

describe("header", () => {
  test("TOOL-5.3 purpose and rules are read, with sentences that run on", () => {
    const text =
      "#!/usr/bin/env node\n/**\n * Name: a purpose\n * in two lines.\n *   ABC-1.1  One\n *     and more.\n *   ABC-1.2  Two.\n */\nimport a;";
    expect(headerOf(text)).toEqual({
      purpose: "Name: a purpose in two lines.",
      rules: [
        { id: "ABC-1.1", sentence: "One and more.", line: 5 },
        { id: "ABC-1.2", sentence: "Two.", line: 7 },
      ],
      malformed: [],
    });
  });

  test("TOOL-5.3 a rule with one space or a colon is malformed, and code without a comment has no header", () => {
    expect(headerOf("/**\n * N: p.\n *   ABC-1.1 One.\n *   ABC-1.2: Two.\n */")?.malformed).toEqual([3, 4]);
    expect(headerOf("import a;\n/** Late. */")).toBeNull();
    expect(headerOf("/** */")).toBeNull();
    expect(headerOf("// line comment")).toBeNull();
  });
});
