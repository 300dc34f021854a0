/** The checks of `npm run check`, each as a test, so that the suite's closing line counts them. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const scripts = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }).scripts;
const checks = Object.entries(scripts).filter(([name]) => name.startsWith("check:"));

describe("npm run check", () => {
  test("runs every check there is", () => {
    const named = [...(scripts["check"] ?? "").matchAll(/check:\w+/g)].map((match) => match[0]);
    expect(named.toSorted()).toEqual(checks.map(([name]) => name).toSorted());
    expect(named.length).toBeGreaterThanOrEqual(5);
  });

  test.each(checks)("%s finds nothing", { timeout: 180_000 }, (_name, command) => {
    const path = [join(root, "node_modules", ".bin"), process.env["PATH"]].join(delimiter);
    const { FORCE_COLOR: _color, ...inherited } = process.env;
    const env = { ...inherited, PATH: path, NO_COLOR: "1" };
    const ran = spawnSync("/bin/sh", ["-c", command], { cwd: root, encoding: "utf8", env, maxBuffer: 16 << 20 });
    expect(`${ran.stdout}${ran.stderr}`.trim()).toBe("");
    expect(ran.status).toBe(0);
  });
});
