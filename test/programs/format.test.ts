import fc from "fast-check";
import { expect, test } from "vitest";
import { fail } from "../../src/abi/errno.ts";
import { limits } from "../../src/abi/limits.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { schemaCompiler } from "../../src/lib/schema.ts";
import type { SysError } from "../../src/abi/errno.ts";
import type { Program } from "../../src/abi/program.ts";
import { parseProgram } from "../../src/programs/format.ts";
import { loadProgram, type ProgramFiles } from "../../src/programs/load.ts";

const good = `---
name: count
version: "1.0.0"
summary: Count what a text holds.
input: { type: object, properties: { text: { type: string } }, required: [text] }
outputs: [OUT.md]
calls: [task.done]
passes:
  - name: read
    takes: [text]
    output: { type: object, properties: { facts: { type: array } } }
  - { name: publish, by: publish }
done:
  - { check: file, path: OUT.md }
---
Common words.

# pass: read

Read it.

\`\`\`
# pass: not-a-pass
\`\`\`

# template: OUT.md

\`\`\`markdown
# {{read.title}}
\`\`\`
`;

function parse(text: string): Result<Program, SysError> {
  return parseProgram({ file: "p/PROGRAM.md", text }, schemaCompiler());
}

function refusal(text: string): string {
  const parsed = parse(text);
  if (parsed.ok) throw new Error("the program was accepted");
  expect(parsed.error.errno).toBe("ENOEXEC");
  return parsed.error.message;
}

test("PRG-1.1 a whole program is read", () => {
  const parsed = parse(good);
  if (!parsed.ok) throw new Error(parsed.error.message);
  const { passes, templates, outputs, done } = parsed.value;
  expect(passes.map((pass) => [pass.name, pass.by])).toEqual([
    ["read", "agent"],
    ["publish", "publish"],
  ]);
  expect(passes[0]?.instructions).toBe("Common words.\n\nRead it.\n\n```\n# pass: not-a-pass\n```");
  expect(templates).toEqual({ "OUT.md": "# {{read.title}}" });
  expect([outputs, done]).toEqual([["OUT.md"], [{ check: "file", path: "OUT.md" }]]);
});

const mistakes: readonly (readonly [string, string, number, RegExp])[] = [
  ["no front matter", "# Just text", 1, /begins with front matter/],
  ["front matter without end", "---\nname: x\n", 1, /never ends/],
  ["broken YAML", "---\nname: [x\n---\n", 3, /mend the YAML/],
  ["a list", "---\n- a\n---\n", 2, /not a mapping/],
  ["a missing field", good.replace("summary: Count what a text holds.\n", ""), 2, /summary/],
  ["an unknown field", good.replace("outputs:", "output_files:"), 6, /output_files/],
  ["a wrong type", good.replace("calls: [task.done]", "calls: task.done"), 7, /calls must be array/],
  ["a bad name", good.replace("name: count", "name: Count it"), 2, /is no name/],
  ["a bad version", good.replace('"1.0.0"', '"one"'), 3, /is no version/],
  ["an output outside", good.replace("outputs: [OUT.md]", "outputs: [../OUT.md]"), 6, /no path inside/],
  ["an absolute output", good.replace("outputs: [OUT.md]", "outputs: [/etc/x]"), 6, /no path inside/],
  ["a take of nothing", good.replace("takes: [text]", "takes: [nothing]"), 10, /nothing before it gives nothing/],
  ["a name used twice", good.replace("name: publish", "name: read"), 12, /is taken/],
  ["a section without a pass", good.replace("# pass: read", "# pass: raed"), 9, /no such pass/],
  ["a bad schema", good.replace("properties: { facts: { type: array } }", "type: objekt"), 11, /JSON Schema|unique|duplicate/i],
  ["an output without template", good.replace("# template: OUT.md", "# Template"), 6, /has no template/],
];

for (const [name, text, line, reason] of mistakes) {
  test(`PRG-1.1 ${name} is refused with file, line and reason`, () => {
    const message = refusal(text);
    expect(message).toMatch(reason);
    expect(message).toMatch(new RegExp(`^p/PROGRAM\\.md:${line}: .+; .+`));
  });
}

test("PRG-1.1 any text gives a program or an ENOEXEC, never an exception", () => {
  const unit = fc.constantFrom(
    "---\n",
    "name: x\n",
    "version: '1.0.0'\n",
    "summary: s\n",
    "# pass: a\n",
    "passes:\n",
    "  - name: a\n",
    "&a ",
    "*a\n",
    "{",
    "}",
    "```\n",
    "\t",
    ": ",
    "- ",
    "!!js ",
    "\u0000",
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
      const parsed = parse(text);
      if (!parsed.ok) expect(parsed.error.errno).toBe("ENOEXEC");
    }),
    { numRuns: 300 },
  );
});

test("PRG-1.2 duplicate keys, aliases and huge files are refused", () => {
  expect(refusal(good.replace("calls:", "name: twice\ncalls:"))).toMatch(/:7: .*unique/i);
  expect(refusal(good.replace("outputs: [OUT.md]", "outputs: &o [OUT.md]\nlimits: *o"))).toMatch(/:7: aliases/);
  const bomb = `---\na: &a [x, x]\n${Array.from({ length: 20 }, (_, n) => `b${n}: &b${n} [*${n === 0 ? "a" : `b${n - 1}`}, *${n === 0 ? "a" : `b${n - 1}`}]\n`).join("")}---\n`;
  const since = performance.now();
  expect(refusal(bomb)).toMatch(/aliases/);
  expect(performance.now() - since).toBeLessThan(1_000);
  expect(refusal(`---\n${"x".repeat(limits.configBytesMax)}`)).toMatch(/limit/);
});

test("PRG-1.3 a program without passes is one pass with the body as its instructions", () => {
  const parsed = parse(
    '---\nname: hello\nversion: "1.0.0"\nsummary: Say hello.\noutput: { type: string }\ncalls: [task.done]\n---\nSay it.\n',
  );
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect(parsed.value.passes).toMatchObject([
    { name: "main", instructions: "Say it.", output: { type: "string" }, calls: ["task.done"] },
  ]);
});

test("PRG-1.4 a pass cannot take what comes after it", () => {
  expect(refusal(good.replace("takes: [text]", "takes: [publish]"))).toMatch(/nothing before it gives publish; take one of text/);
});

test("PRG-1.5 a schema that does not compile is refused when the program is loaded", () => {
  expect(refusal(good.replace("{ type: object, properties: { facts: { type: array } } }", "{ type: objekt }"))).toMatch(
    /the output of pass read is not a JSON Schema/,
  );
  expect(refusal(good.replace("input: { type: object,", "input: { type: 7,"))).toMatch(/input is not a JSON Schema/);
});

test("PRG-1.7 a program follows the workspace's instructions unless it says that it follows its own", () => {
  for (const [line, follows] of [
    ["", "workspace"],
    ["follows: workspace\n", "workspace"],
    ["follows: own\n", "own"],
  ] as const) {
    const parsed = parse(good.replace("calls: [task.done]\n", `calls: [task.done]\n${line}`));
    expect(parsed).toMatchObject({ ok: true, value: { follows } });
  }
  expect(parse(good.replace("calls: [task.done]\n", "calls: [task.done]\nfollows: nobody\n"))).toMatchObject({
    ok: false,
    error: { errno: "ENOEXEC", message: expect.stringContaining("follows") },
  });
});

test("PRG-1.6 the runner's own calls follow from the declaration, and agents get only what is listed", () => {
  const parsed = parse(good);
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect(parsed.value.calls.toSorted()).toEqual([
    "fs.commit",
    "fs.read",
    "fs.write",
    "proc.measure",
    "proc.spawn",
    "proc.wait",
    "task.done",
  ]);
  expect(parsed.value.passes[0]?.calls).toEqual(["task.done"]);
});

function files(content: Readonly<Record<string, unknown>>): ProgramFiles {
  return {
    kind: async (path) =>
      path in content ? "file" : Object.keys(content).some((name) => name.startsWith(`${path}/`)) ? "folder" : "none",
    read: async (path) => (typeof content[path] === "string" ? ok(content[path]) : fail("EIO", `${path} cannot be read`)),
    load: async (path) => ok(content[path]),
  };
}

test("PRG-2.1 what is no program is refused by name", async () => {
  expect(await loadProgram("none", files({}))).toMatchObject({
    ok: false,
    error: { errno: "ENOENT", message: expect.stringContaining("none") },
  });
  expect(await loadProgram("p", files({ "p/README.md": "x" }))).toMatchObject({
    ok: false,
    error: { errno: "ENOEXEC", message: expect.stringContaining("PROGRAM.md") },
  });
  expect(await loadProgram("p", files({ "p/PROGRAM.md": good }))).toMatchObject({ ok: true, value: { file: "p/PROGRAM.md" } });
  expect(await loadProgram("x.md", files({ "x.md": good }))).toMatchObject({ ok: true, value: { file: "x.md" } });
});

const module = {
  name: "double",
  version: "1.0.0",
  summary: "Double a number.",
  input: { type: "object", properties: { n: { type: "number" } } },
  body: async () => ok(4),
};

test("PRG-2.2 a module's program passes the same checks", async () => {
  const load = async (value: unknown): Promise<unknown> => loadProgram("m.ts", files({ "m.ts": value }));
  expect(await load(module)).toMatchObject({ ok: true, value: { program: { name: "double", passes: [], body: module.body } } });
  expect(await load({ ...module, name: "No Name" })).toMatchObject({
    ok: false,
    error: { message: expect.stringMatching(/m\.ts:1: .*no name/) },
  });
  expect(await load({ ...module, body: "text" })).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining("not a function") },
  });
  expect(await load(undefined)).toMatchObject({ ok: false, error: { errno: "ENOEXEC" } });
  const passes = [{ name: "one", instructions: "Do.", takes: ["n"], output: { type: "string" } }];
  expect(await load({ ...module, body: null, passes })).toMatchObject({
    ok: true,
    value: { program: { passes: [{ name: "one", instructions: "Do." }] } },
  });
  expect(await load({ ...module, body: null, passes: [{ name: "one" }] })).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining("no instructions") },
  });
});
