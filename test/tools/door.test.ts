import { chmodSync, cpSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { node, put, scratch } from "./scratch.ts";

const folder = scratch();

/** A package with the real door and a command line that says which form of it ran. */
function installed(): { root: string; home: string; door: string } {
  const root = folder();
  cpSync(join(import.meta.dirname, "../../bin"), join(root, "bin"), { recursive: true });
  put(root, "package.json", '{"type":"module"}');
  put(root, "dist/cli/main.js", 'export const main = async (argv) => { console.log("built", ...argv); return 3; };');
  return { root, home: folder(), door: join(root, "bin/daimon.mjs") };
}

describe("door", () => {
  test("TOOL-3.1 an old Node is told what to do in one line", async () => {
    const { door, home } = installed();
    const old = "Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.11.0'}})";
    const ran = await node(["--import", `data:text/javascript,${old}`, door, "version"], { HOME: home });
    expect(ran.code).toBe(78);
    expect(ran.stderr).toMatch(/^daimon needs Node 22\.18 or newer, and this is 20\.11\.0\. .*npm start.*\n$/);
    expect(ran.stdout).toBe("");
  });

  test("TOOL-3.2 the cache folder is for its user alone, and one that others can write is not used", async () => {
    const { door, home } = installed();
    const env = { HOME: home, XDG_CACHE_HOME: "", NODE_COMPILE_CACHE: "" };
    const cache = join(home, ".cache/daimon/compile");
    expect(await node([door, "a", "b"], env)).toMatchObject({ code: 3, stdout: "built a b\n", stderr: "" });
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    expect(readdirSync(cache)).not.toEqual([]);
    const open = folder();
    mkdirSync(join(open, ".cache/daimon/compile"), { recursive: true });
    chmodSync(join(open, ".cache/daimon/compile"), 0o777);
    expect((await node([door], { ...env, HOME: open })).code).toBe(3);
    expect(readdirSync(join(open, ".cache/daimon/compile"))).toEqual([]);
    expect((await node([door], { ...env, HOME: join(open, "missing") })).code).toBe(3);
  });

  test("a checkout runs its sources, not what was once built from them", async () => {
    const { root, door, home } = installed();
    put(
      root,
      "src/cli/main.ts",
      'export async function main(argv: string[]): Promise<number> { console.log("source", ...argv); return 0; }',
    );
    expect(await node([door, "x"], { HOME: home })).toMatchObject({ code: 0, stdout: "source x\n" });
  });
});
