import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import { changesOf, measureModules, runModules, type ModuleGraph } from "../../src/boot/modules.ts";
import { freshFolder, put } from "./folder.ts";
import { must, told } from "./machine.ts";

const entry = "programs/x/program.ts";

function tree(files: Readonly<Record<string, string>>): { readonly root: string; put(file: string, text: string): void } {
  const root = freshFolder();
  for (const [file, text] of Object.entries(files)) put(path.join(root, file), text);
  return { root, put: (file, text) => put(path.join(root, file), text) };
}

const whole = {
  [entry]: `import { a } from "../../lib/a.ts";
    import { e } from "esm";
    import data from "./data.json" with { type: "json" };
    import { sep } from "node:path";
    import type { Nothing } from "not-there";
    const value: number = a + data.k;
    export default { value, e, sep, later: () => import("../../lib/later.ts"), bare: () => import("esm") };`,
  "programs/x/data.json": `{ "k": 1 }`,
  "lib/a.ts": `import { b } from "./b.mjs"; export const a: number = b();`,
  "lib/b.mjs": `import { a } from "./a.ts"; export const b = () => 41; export const c = () => a;`,
  "lib/later.ts": "export const later = 1;",
  "node_modules/esm/package.json": `{ "name": "esm", "version": "1.0.0", "type": "module", "exports": "./index.js" }`,
  "node_modules/esm/index.js": `export const e = "first";`,
  "node_modules/esm/other.js": `export const e = "other";`,
} as const;

async function digestOf(root: string): Promise<string> {
  return must(await measureModules(root, entry)).digest;
}

describe("modules", () => {
  it("BOO-27.1  every file that is imported is measured, however deep, and where a bare name led", async () => {
    const { root } = tree(whole);
    const graph = must(await measureModules(root, entry));
    expect(Object.keys(graph.files)).toEqual([
      "lib/a.ts",
      "lib/b.mjs",
      "node_modules/esm/index.js",
      "programs/x/data.json",
      entry,
    ]);
    expect([...graph.names.values()]).toEqual(["node_modules/esm/index.js"]);
    expect(await digestOf(root), "the same files are the same digest").toBe(graph.digest);
  });

  it("BOO-27.1  a change of any of them is another digest, a change of any other file is not", async () => {
    const { root, put: write } = tree(whole);
    const first = must(await measureModules(root, entry));
    write("lib/later.ts", "export const later = 2;");
    write("node_modules/esm/package.json", `${whole["node_modules/esm/package.json"]}\n`);
    expect(await digestOf(root)).toBe(first.digest);
    for (const file of Object.keys(first.files)) {
      write(file, `${whole[file as keyof typeof whole]}\n`);
      const changed = must(await measureModules(root, entry));
      expect(changed.digest, file).not.toBe(first.digest);
      expect(changesOf(first.files, changed)).toEqual([`${file} changed`]);
      write(file, whole[file as keyof typeof whole]);
    }
    const manifest = whole["node_modules/esm/package.json"].replace("index", "other");
    const led = must(await measureModules(tree({ ...whole, "node_modules/esm/package.json": manifest }).root, entry));
    expect(changesOf(first.files, led)).toEqual(["node_modules/esm/index.js is gone", "node_modules/esm/other.js is new"]);
    expect(led.digest).not.toBe(first.digest);
    const both = {
      ...whole,
      [entry]: `${whole[entry]}\nimport "../../node_modules/esm/index.js"; import "../../node_modules/esm/other.js";`,
    };
    const [here, there] = [tree(both).root, tree({ ...both, "node_modules/esm/package.json": manifest }).root];
    const [one, other] = [must(await measureModules(here, entry)), must(await measureModules(there, entry))];
    expect(one.files, "the same files").toEqual(other.files);
    expect(one.digest, "and the name leads elsewhere").not.toBe(other.digest);
  });

  it("BOO-27.1  two programs of one digest have the same files, whatever they are called", async () => {
    const names = fc.uniqueArray(fc.constantFrom("a.ts", "b.ts", "ä ö.ts", "%2e.ts", "x y/z.ts"), { maxLength: 4 });
    const seen = new Map<string, string>();
    await fc.assert(
      fc.asyncProperty(names, fc.nat(3), async (imported, salt) => {
        const files = Object.fromEntries(imported.map((name) => [name, `export const n = ${salt};`]));
        const from = imported.map((name) => `import "../../${encodeURI(name)}";`).join("");
        const { root } = tree({ [entry]: `${from} export default 1;`, ...files });
        const graph = must(await measureModules(root, entry));
        expect(Object.keys(graph.files)).toEqual([...imported, entry].toSorted((a, b) => (a < b ? -1 : 1)));
        const text = JSON.stringify([imported.toSorted((a, b) => (a < b ? -1 : 1)).map((name) => files[name]), from]);
        expect(seen.get(graph.digest) ?? text).toBe(text);
        seen.set(graph.digest, text);
      }),
      { numRuns: 40 },
    );
  });

  it("BOO-27.2  measuring runs no line of it, neither of what it imports nor of what cannot be linked", async () => {
    const { root } = tree({});
    const mark = path.join(root, "ran");
    const spy = `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(mark)}, "x");\n`;
    put(path.join(root, entry), `${spy}import "../../lib/a.ts"; await Promise.resolve(); export default 1;`);
    put(path.join(root, "lib/a.ts"), `${spy}export const a = 1;`);
    const graph = must(await measureModules(root, entry));
    expect(fs.existsSync(mark)).toBe(false);
    put(path.join(root, entry), `${spy}import { nothing } from "../../lib/a.ts"; export default nothing;`);
    await measureModules(root, entry);
    expect(fs.existsSync(mark)).toBe(false);
    must(await runModules(graph));
    expect(fs.existsSync(mark), "the test can tell").toBe(true);
  });

  it("BOO-27.3  what runs are the bytes that were measured, whatever lies on the disk by then", async () => {
    const { root, put: write } = tree(whole);
    const graph = must(await measureModules(root, entry));
    for (const file of Object.keys(graph.files)) write(file, "throw new Error('changed');");
    write("node_modules/esm/package.json", whole["node_modules/esm/package.json"].replace("index", "other"));
    const program = must(await runModules(graph)) as {
      value: number;
      e: string;
      later(): Promise<unknown>;
      bare(): Promise<unknown>;
    };
    expect(program).toMatchObject({ value: 42, e: "first", sep: "/" });
    await expect(program.later(), "an import that was not measured").rejects.toThrow();
    await expect(program.bare(), "the name by itself, later").rejects.toThrow();
    fs.rmSync(root, { recursive: true });
    expect(must(await runModules({ ...graph, digest: "0".repeat(64) }))).toMatchObject({ value: 42 });
  });

  it("BOO-27.3  an import that the graph does not hold is refused while it runs", async () => {
    const { root } = tree({
      [entry]: `const { later } = await import("../../lib/later.ts"); export default later;`,
      "lib/later.ts": "",
    });
    const graph = must(await measureModules(root, entry));
    expect(await runModules(graph)).toMatchObject({
      error: { errno: "EKEYREJECTED", message: expect.stringContaining("lib/later.ts") },
    });
    const less: ModuleGraph = {
      ...must(await measureModules(tree(whole).root, entry)),
      digest: "1".repeat(64),
      names: new Map(),
    };
    expect(told((await runModules(less)) as never)).toMatch(/^EKEYREJECTED "esm" was not measured/);
  });

  it("BOO-27.4  what is neither of the workspace nor of the platform is refused, and the message names no folder of the host", async () => {
    const outside = freshFolder();
    put(path.join(outside, "evil.ts"), "export default 1;");
    put(path.join(outside, "node_modules/evil/package.json"), `{ "name": "evil", "type": "module", "exports": "./i.js" }`);
    put(path.join(outside, "node_modules/evil/i.js"), "export default 1;");
    const root = path.join(outside, "work");
    const refusals: readonly (readonly [string, RegExp])[] = [
      [`import "../../../evil.ts";`, /^ENOENT evil\.ts/],
      [`import "evil";`, /^EINVAL the import "evil" leads outside the workspace/],
      [`import "nowhere";`, /^ENOEXEC .*Cannot find package 'nowhere'/],
      [`import "file://${path.join(outside, "evil.ts")}";`, /^EINVAL .* imports the URL/],
      [`import "data:text/javascript,export default 1";`, /^EINVAL .* imports the URL/],
      [`import "./link.ts";`, /^EPERM programs\/x\/link\.ts/],
      [`import "./old.cjs";`, /^EINVAL programs\/x\/old\.cjs is no ES module/],
      [`import "./a.ts?x";`, /^EINVAL .*no plain path/],
      [`import "./..%2f..%2f..%2fevil.ts";`, /^EINVAL .*no plain path/],
      [`import "./%00.ts";`, /^EINVAL .*no plain path/],
      [`export default {`, /^ENOEXEC/],
    ];
    for (const [text, refusal] of refusals) {
      put(path.join(root, entry), text);
      put(path.join(root, "programs/x/a.ts"), "");
      put(path.join(root, "programs/x/old.cjs"), "");
      fs.rmSync(path.join(root, "programs/x/link.ts"), { force: true });
      fs.symlinkSync(path.join(outside, "evil.ts"), path.join(root, "programs/x/link.ts"));
      const refused = await measureModules(root, entry);
      const message = refused.ok ? "ok" : `${refused.error.errno} ${refused.error.message}`;
      expect(message, text).toMatch(refusal);
      if (!text.includes("nowhere")) expect(message.replace(text, "")).not.toContain(`${outside}/work`);
    }
    const many = Array.from({ length: limits.programFilesMax }, (_, n) => `import "./f${n}.ts";`).join("\n");
    for (let n = 0; n < limits.programFilesMax; n += 1) put(path.join(root, `programs/x/f${n}.ts`), "");
    put(path.join(root, entry), many);
    expect(await measureModules(root, entry)).toMatchObject({ error: { errno: "E2BIG" } });
  });
});
