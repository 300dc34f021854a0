import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tidy } from "../../tools/tidy.ts";
import { checkTraces } from "../../tools/tidy/traces.ts";
import { treeOf } from "../../tools/tidy/tree.ts";
import { node, put, scratch } from "./scratch.ts";

const folder = scratch();
const manifest = '{"dependencies":{"yaml":"1","undici":"1"},"devDependencies":{"vitest":"1"}}';
const head = "/** Name: purpose. */\n";

/** What tidy says of a small tree, as `path:line rule`. */
function findings(files: Record<string, string>): string[] {
  const all = { "package.json": manifest, ...files };
  const tree = treeOf(
    "/srv/checkout",
    Object.entries(all).map(([path, text]) => ({ path, text })),
  );
  return tidy(tree).map((entry) => `${entry.where} ${entry.rule}`);
}

const source = (path: string, code: string): string[] => findings({ [path]: head + code });

describe("tidy", () => {
  test("TOOL-4.1 each layer imports only those below it", () => {
    const violation = 'import { a } from "../OTHER/a.ts";';
    const uses = (layer: string, other: string): string[] => source(`src/${layer}/b.ts`, violation.replace("OTHER", other));
    for (const [layer, other] of [
      ["lib", "abi"],
      ["abi", "kernel"],
      ["memory", "security"],
      ["scheduler", "drivers"],
      ["drivers", "kernel"],
      ["kernel", "drivers"],
      ["kernel", "boot"],
      ["programs", "kernel"],
      ["boot", "cli"],
      ["doors", "drivers"],
      ["doors", "boot"],
    ] as const) {
      expect(uses(layer, other), `${layer} → ${other}`).toEqual([`src/${layer}/b.ts:2 TOOL-4.1`]);
    }
    for (const [layer, other] of [
      ["abi", "lib"],
      ["kernel", "memory"],
      ["boot", "drivers"],
      ["boot", "doors"],
      ["doors", "kernel"],
      ["cli", "doors"],
    ] as const) {
      expect(uses(layer, other), `${layer} → ${other}`).toEqual([]);
    }
    expect(source("src/memory/b.ts", 'import type { A } from "../security/a.ts";')).toEqual(["src/memory/b.ts:2 TOOL-4.1"]);
    expect(source("src/memory/b.ts", 'export { a } from "../security/a.ts";')).toEqual(["src/memory/b.ts:2 TOOL-4.1"]);
    expect(source("src/kernel/b.ts", 'const a = await import("../drivers/a.ts");')).toEqual(["src/kernel/b.ts:2 TOOL-4.1"]);
    expect(source("src/kernel/b.ts", '// import { a } from "../drivers/a.ts";\nconst b = \'import "../drivers/a.ts"\';')).toEqual(
      [],
    );
    expect(source("src/novel/b.ts", 'import { a } from "../lib/a.ts";')).toEqual(["src/novel/b.ts:2 TOOL-4.1"]);
  });

  test("TOOL-4.2 values that import themselves are found, types may", () => {
    const ring = (word: string): Record<string, string> => ({
      "src/lib/a.ts": `${head}${word} { b } from "./b.ts";`,
      "src/lib/b.ts": `${head}export { c } from "./c.ts";`,
      "src/lib/c.ts": `${head}import { a } from "./a.ts";`,
    });
    expect(findings(ring("import"))).toHaveLength(1);
    expect(findings(ring("import"))[0]).toMatch(/TOOL-4\.2$/);
    expect(findings(ring("import type"))).toEqual([]);
  });

  test("TOOL-4.3 the product imports what it declares, with node: in front of Node's own", () => {
    expect(source("src/lib/a.ts", 'import { parse } from "yaml";')).toEqual([]);
    expect(source("src/drivers/a.ts", 'import { test } from "vitest";')).toEqual(["src/drivers/a.ts:2 TOOL-4.3"]);
    expect(source("src/drivers/a.ts", 'import { readFileSync } from "fs";')).toEqual(["src/drivers/a.ts:2 TOOL-4.3"]);
    expect(source("src/drivers/a.ts", 'import { a } from "../../test/a.ts";')).toEqual(["src/drivers/a.ts:2 TOOL-4.3"]);
    expect(source("tools/a.ts", 'import { test } from "vitest";')).toEqual([]);
  });

  test.each([
    'import { readFileSync } from "node:fs";',
    'import { randomUUID } from "node:crypto";',
    'import { fetch } from "undici";',
    "const a = Date.now();",
    "const a = new Date();",
    "const a = Math.random();",
    "const a = performance.now();",
    "const a = process.env;",
    "const a = crypto.randomUUID();",
    'console.log("a");',
    "setTimeout(a, 1);",
    'const a = await fetch("x");',
    "const a = globalThis.x;",
  ])("TOOL-4.4 a decider may not: %s", (code) => {
    expect(source("src/memory/a.ts", code)).toEqual(["src/memory/a.ts:2 TOOL-4.4"]);
    expect(source("src/lib/a.ts", code)).toEqual(["src/lib/a.ts:2 TOOL-4.4"]);
    expect(source("src/drivers/a.ts", code)).toEqual([]);
  });

  test.each([
    'import { hash, verify } from "node:crypto";',
    'import type { Buffer } from "node:buffer";',
    "const a = new Date(now);",
    "const a = process.pid + other.process.env + clock.Date.now();",
    "const a = driver.fetch(b); // Date.now()",
    "interface A {\n  fetch(url: string): string;\n  console: string;\n}",
  ])("TOOL-4.4 a decider may: %s", (code) => {
    expect(source("src/memory/a.ts", code)).toEqual([]);
  });

  test("TOOL-4.5 a source file says its purpose, a test need not", () => {
    const code = "export const a = 1;\n";
    expect(findings({ "src/lib/a.ts": code, "tools/a.ts": code, "test/a.test.ts": code })).toEqual([
      "src/lib/a.ts:1 TOOL-4.5",
      "tools/a.ts:1 TOOL-4.5",
    ]);
  });

  test("TOOL-4.6 files and functions keep their lengths", () => {
    const lines = (count: number): string => "x();\n".repeat(count);
    expect(source("src/lib/a.ts", lines(399))).toEqual([]);
    expect(source("src/lib/a.ts", lines(400))).toEqual(["src/lib/a.ts:401 TOOL-4.6"]);
    expect(findings({ "test/a.test.ts": lines(600) })).toEqual([]);
    expect(findings({ "test/a.test.ts": lines(601) })).toEqual(["test/a.test.ts:601 TOOL-4.6"]);
    expect(source("src/lib/a.ts", `function a(): void {\n${lines(70)}}`)).toEqual([]);
    expect(source("src/lib/a.ts", `function a(): void {\n${lines(71)}}`)).toEqual(["src/lib/a.ts:2 TOOL-4.6"]);
  });

  test.each([
    "let a = 1;",
    "export let a = 1;",
    "var a;",
    "const a = new Map();",
    "export const a: Map<string, number> = new Map<string, number>();",
    "const a = new WeakMap();",
    "const a: string[] = [];",
    "const a: Record<string, number> = {};",
  ])("TOOL-4.7 no module holds: %s", (code) => {
    expect(source("src/lib/a.ts", code)).toEqual(["src/lib/a.ts:2 TOOL-4.7"]);
    expect(source("src/lib/a.ts", `function f(): void {\n${code.replace("export ", "")}\n}`)).toEqual([]);
  });

  test.each([
    "const a = new Set([1, 2]);",
    "const a: ReadonlyMap<string, number> = new Map();",
    "const a: readonly string[] = [];",
    "const a: JsonSchema = {};",
    "const a = [] as const;",
    "const a = { b: 1 };",
  ])("TOOL-4.7 a table is no state: %s", (code) => {
    expect(source("src/lib/a.ts", code)).toEqual([]);
  });

  test("TOOL-4.8 names say what a thing is", () => {
    for (const code of [
      "class PageManager {}",
      "interface UserInfo { a: 1 }",
      "type StoreImpl = 1;",
      "function stringUtils() {}",
      "interface IPage {}",
      'export * from "./b.ts";',
    ]) {
      expect(source("src/lib/a.ts", code), code).toEqual(["src/lib/a.ts:2 TOOL-4.8"]);
    }
    for (const path of ["src/lib/utils.ts", "src/abi/types.ts", "src/lib/CamelCase.ts", "src/lib/index.ts"])
      expect(source(path, ""), path).toEqual([`${path}:1 TOOL-4.8`]);
    expect(source("src/lib/a.ts", "interface Database { a: 1 }\nconst data = 1;\nclass Rebase {}\ninterface Index {}")).toEqual(
      [],
    );
    expect(source("src/index.ts", "")).toEqual([]);
  });

  test("TOOL-4.9 nothing is left over", () => {
    expect(source("src/lib/a.ts", `// ${"TO"}DO: more`)).toEqual(["src/lib/a.ts:2 TOOL-4.9"]);
    expect(source("src/lib/a.ts", `const a = "${"TO"}DO";`)).toEqual([]);
    const tested = (code: string): string[] => findings({ "test/a.test.ts": code });
    for (const code of [
      'test.only("a", f);',
      'describe.concurrent.only("a", f);',
      'test.skip("a", f);',
      'it.skipIf(x)("a", f);',
      'test.todo("a");',
      "context.skip();",
      "context.skip(!browser);",
    ]) {
      expect(tested(code), code).toEqual(["test/a.test.ts:1 TOOL-4.9"]);
    }
    for (const code of [
      'context.skip("no browser");',
      'context.skip(!browser, "no browser");',
      "context.skip(missing !== null, missing);",
      'const a = "test.only(";',
    ]) {
      expect(tested(code), code).toEqual([]);
    }
  });

  test("TOOL-4.10 a machine's folders, homes and registries are found in every text", () => {
    const registry = `https://${["registry", "npmjs", "org"].join(".")}/a`;
    const lock = '{\n"resolved": "x"}';
    const tree = treeOf("/srv/checkout", [
      { path: "docs/a.md", text: "one\n/srv/checkout/src" },
      { path: "docs/b.md", text: "/home/grace/x\n/home/you/x /srv/checkouts" },
      { path: "test/c.test.ts", text: 'const a = "/home/grace/x";' },
      { path: ".npmrc", text: `registry=${registry}` },
      { path: "package-lock.json", text: lock },
      { path: "src/lib/d.ts", text: `${head}const a = "/opt/runner/me/a";` },
    ]);
    expect(checkTraces(tree, "/opt/runner/me").map((entry) => entry.where)).toEqual([
      "src/lib/d.ts:2",
      "docs/a.md:2",
      "docs/b.md:1",
      ".npmrc:1",
      "package-lock.json:2",
    ]);
    expect(checkTraces(tree, "/root").map((entry) => entry.where)).not.toContain("src/lib/d.ts:2");
  });

  test("TOOL-4.16 a package that runs a script when it is installed is found, but for node", () => {
    const packages = { "": {}, "node_modules/node": { hasInstallScript: true }, "node_modules/a": { hasInstallScript: true } };
    const lock = { path: "package-lock.json", text: JSON.stringify({ packages }, null, 2) };
    expect(checkTraces(treeOf("/srv/checkout", [lock]), "/root")).toMatchObject([
      { rule: "TOOL-4.16", where: "package-lock.json:7", message: expect.stringContaining("node_modules/a ") as string },
    ]);
  });

  const rule = (id: string, sentence: string): string => `/**\n * Name: purpose.\n *   ${id}  ${sentence}\n */\n`;
  const spec = "- **ABC-1.1** One.\n";
  const proof = 'test("ABC-1.1 one", () => {});';

  test("TOOL-4.11 a rule's id is unique and in form", () => {
    expect(
      findings({
        "src/lib/a.ts": rule("ABC-1.1", "One."),
        "src/lib/b.ts": rule("ABC-1.1", "One."),
        "SPEC.md": spec,
        "test/a.test.ts": proof,
      }),
    ).toEqual(["src/lib/b.ts:3 TOOL-4.11"]);
    expect(findings({ "src/lib/a.ts": "/**\n * Name: purpose.\n *   ABC-1.1 One.\n */\n" })).toEqual([
      "src/lib/a.ts:3 TOOL-4.11",
    ]);
  });

  test("TOOL-4.12 SPEC.md has every rule word for word and no other", () => {
    const files = { "src/lib/a.ts": rule("ABC-1.1", "One."), "test/a.test.ts": proof };
    expect(findings({ ...files, "SPEC.md": spec })).toEqual([]);
    expect(findings({ ...files, "SPEC.md": "- **ABC-1.1** Two.\n" })).toEqual(["src/lib/a.ts:3 TOOL-4.12"]);
    expect(findings({ ...files, "SPEC.md": `${spec}- **ABC-1.2** Gone.\n` })).toEqual(["SPEC.md:2 TOOL-4.12"]);
    expect(findings(files)).toEqual(["src/lib/a.ts:3 TOOL-4.12"]);
  });

  test("TOOL-4.13 every rule has a test, and a test's rule exists", () => {
    const files = { "src/lib/a.ts": rule("ABC-1.1", "One."), "SPEC.md": spec };
    expect(findings({ ...files, "test/a.test.ts": 'test("one", () => {});' })).toEqual(["src/lib/a.ts:3 TOOL-4.13"]);
    expect(findings({ ...files, "test/a.test.ts": 'test("ABC-1.10 other", f);' })).toContain("src/lib/a.ts:3 TOOL-4.13");
    expect(findings({ ...files, "test/a.test.ts": `${proof}\ntest("ABC-1.10 other", f);\nconst label = ["ABC-9.9"];` })).toEqual([
      "test/a.test.ts:2 TOOL-4.13",
    ]);
    expect(findings({ ...files, "test/a.test.ts": `// ${proof}` })).toEqual(["src/lib/a.ts:3 TOOL-4.13"]);
    expect(findings({ ...files, "test/a.test.ts": 'test.each([1])("ABC-1.1 one %s", f);' })).toEqual([]);
    expect(findings({ ...files, "test/a.test.ts": "test(\n  `ABC-1.1 one ${a}`, f);" })).toEqual([]);
  });

  test("TOOL-4.14 lists name their benches and examples", () => {
    const bench = `${head}export async function run(): Promise<Measure[]> {}`;
    const files = { "bench/step.ts": bench, "bench/part.ts": head, "examples/01-first/run.sh": "" };
    expect(findings({ ...files, "bench/README.md": "step", "examples/README.md": "01-first" })).toEqual([]);
    expect(findings({ ...files, "bench/README.md": "", "examples/README.md": "" })).toEqual([
      "bench/README.md:1 TOOL-4.14",
      "examples/README.md:1 TOOL-4.14",
    ]);
    expect(findings(files)).toEqual([]);
  });

  test("TOOL-4.15 a folder with findings prints them in order and exits with 1, a clean one says nothing", async () => {
    const root = folder();
    put(root, "package.json", manifest);
    put(root, "node_modules/x/index.js", "let a;");
    put(root, "src/lib/b.ts", `${head}let a = 1;\nlet b = 2;\n`);
    put(root, "src/lib/a.ts", "export {};\n");
    const script = join(import.meta.dirname, "../../tools/tidy.ts");
    const ran = await node([script, root]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(
      /^src\/lib\/a\.ts:1 TOOL-4\.5 .+\nsrc\/lib\/b\.ts:2 TOOL-4\.7 .+\nsrc\/lib\/b\.ts:3 TOOL-4\.7 .+\n$/,
    );
    put(root, "src/lib/b.ts", head);
    put(root, "src/lib/a.ts", head);
    expect(await node([script, root])).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("TOOL-4.15 in a repository what git ignores is not looked at", async () => {
    const root = folder();
    put(root, "package.json", manifest);
    put(root, ".gitignore", "out/\n");
    put(root, "out/a.ts", "let a;");
    put(root, "src/lib/b.ts", "export {};\n");
    execFileSync("git", ["init", "-q", root]);
    const ran = await node([join(import.meta.dirname, "../../tools/tidy.ts"), root]);
    expect(ran.stdout.trim().split("\n")).toHaveLength(1);
    expect(ran.stdout).toMatch(/^src\/lib\/b\.ts:1 TOOL-4\.5/);
  });
});
