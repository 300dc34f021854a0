import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { node, scratch } from "./scratch.ts";

const folder = scratch();
const root = join(import.meta.dirname, "../..");

interface Published {
  readonly files: readonly string[];
  readonly bin: { readonly daimon: string };
  readonly exports: { readonly ".": Readonly<Record<string, string>> };
  readonly scripts: Readonly<Record<string, string>>;
}

test("TOOL-8.1 the built package runs the brief and a sandbox from a folder of its own", { timeout: 120_000 }, async () => {
  const published = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Published;
  expect(published.scripts["prepack"]).toBe("node tools/build.ts");
  const own = folder();
  const built = await node([join(root, "tools/build.ts"), join(own, "dist")]);
  expect(built).toMatchObject({ code: 0, stderr: "" });
  for (const name of ["package.json", ...published.files].filter((file) => file !== "dist"))
    cpSync(join(root, name), join(own, name), { recursive: true });
  for (const file of [published.bin.daimon, ...Object.values(published.exports["."])])
    expect([file, existsSync(join(own, file))]).toEqual([file, true]);
  symlinkSync(join(root, "node_modules"), join(own, "node_modules"));

  const work = folder();
  mkdirSync(join(work, "home"));
  cpSync(join(root, "examples/inbox"), join(work, "inbox"), { recursive: true });
  const daimon = (from: string, ...args: string[]): ReturnType<typeof node> =>
    node([join(from, published.bin.daimon), ...args, "--cwd", work, "--json"], { HOME: join(work, "home") });
  const ran = await daimon(own, "run", "brief", "inbox");
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(ran.stdout)).toMatchObject({ exit: 0, delivered: [{ path: "BRIEF.md" }] });
  // What the machine can do is the same for both, the sandbox's helper among it.
  const able = async (from: string): Promise<unknown> => {
    const { checks } = JSON.parse((await daimon(from, "doctor")).stdout) as { checks: { name: string; state: string }[] };
    return checks.map(({ name, state }) => `${name} ${state}`);
  };
  expect(await able(own)).toEqual(await able(root));
});
