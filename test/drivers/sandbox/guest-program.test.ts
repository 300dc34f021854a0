/** Where a guest's program lies and what is shown for it, on a host made up of real files. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { checkRoot, homeOf, inside } from "../../../src/drivers/sandbox/guest-places.ts";
import { findProgram, type Program } from "../../../src/drivers/sandbox/guest-program.ts";
import { errno, value } from "../../contract/session.ts";

const top = mkdtempSync(join(realpathSync(tmpdir()), "program-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const home = join(top, "home/ann");
const root = join(home, "work");
mkdirSync(root, { recursive: true });

function program(path: string, text = "\u007fELF"): string {
  const file = path.startsWith("/") ? path : join(home, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

function link(path: string, target: string): void {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  symlinkSync(target, join(home, path));
}

function found(word: string, ...folders: string[]): Program {
  const path = [...folders.map((folder) => join(home, folder)), "/usr/bin", "/bin"].join(":");
  return value(findProgram(word, { root, cwd: root, home, path }));
}

test("SBX-14.1 a name is looked up on the PATH in order, a path from where the person stands", () => {
  program("one/tool");
  program("two/tool");
  expect(found("tool", "nowhere", "two", "one").file).toBe(join(home, "two/tool"));
  program("work/sub/run.sh", "#!/bin/sh\n");
  expect(found("sub/run.sh")).toMatchObject({ file: join(root, "sub/run.sh"), shown: [], links: [] });
  expect(found("env")).toMatchObject({ file: "/usr/bin/env", shown: [], links: [] });
});

test("SBX-14.1 what is not there, not executable, a folder or found through a relative PATH is ENOENT", () => {
  writeFileSync(join(home, "one/plain"), "text");
  program("work/bin/local");
  const at = (word: string, path: string): string => errno(findProgram(word, { root, cwd: root, home, path }));
  expect(at("plain", join(home, "one"))).toBe("ENOENT");
  expect(at("one", home)).toBe("ENOENT");
  expect(at("../one", home)).toBe("ENOENT");
  expect(at("local", "bin:.:")).toBe("ENOENT");
  expect(at("", "/usr/bin")).toBe("ENOENT");
});

test("SBX-14.2 the interpreter of a script is found too, through env to the PATH, also where that is a script", () => {
  program("nvm/v24/bin/node");
  mkdirSync(join(home, "nvm/v24/lib"), { recursive: true });
  program("prefix/lib/node_modules/agent/cli.js", "#!/usr/bin/env -S node --no-warnings\n");
  link("prefix/bin/agent", "../lib/node_modules/agent/cli.js");
  const agent = found("agent", "prefix/bin", "nvm/v24/bin");
  expect(agent.shown).toEqual([join(home, "prefix/lib/node_modules"), join(home, "nvm/v24/bin"), join(home, "nvm/v24/lib")]);
  expect(agent.links).toEqual([
    { path: join(home, "prefix/bin/agent"), target: join(home, "prefix/lib/node_modules/agent/cli.js") },
  ]);
  program("deep/a", `#!${join(home, "deep/b")}\n`);
  program("deep/b", `#!${join(home, "deep/c")} -x\n`);
  program("deep/c");
  expect(found("a", "deep").shown).toEqual(["a", "b", "c"].map((name) => join(home, "deep", name)));
  program("deep/loop", `#!${join(home, "deep/loop")}\n`);
  expect(found("loop", "deep").shown).toEqual([join(home, "deep/loop")]);
});

test("SBX-14.3 a package is shown whole, a lone file alone, the home never", () => {
  program(".local/share/claude/versions/2.1");
  link(".local/bin/claude", "../share/claude/versions/2.1");
  mkdirSync(join(home, ".local/lib"), { recursive: true });
  expect(found("claude", ".local/bin").shown).toEqual([join(home, ".local/share/claude/versions/2.1")]);
  program(".local/bin/aider");
  expect(found("aider", ".local/bin").shown).toEqual([join(home, ".local/bin/aider")]);
  program(".cargo/bin/tool2");
  writeFileSync(join(home, ".cargo/credentials.toml"), "secret");
  expect(found("tool2", ".cargo/bin").shown).toEqual([join(home, ".cargo/bin/tool2")]);
  program("venv/bin/py");
  writeFileSync(join(home, "venv/pyvenv.cfg"), "");
  expect(found("py", "venv/bin").shown).toEqual([join(home, "venv")]);
  program(".pyenv/shims/py3", "#!/bin/sh\n");
  expect(found("py3", ".pyenv/shims").shown).toEqual([join(home, ".pyenv")]);
  program("shims/own");
  expect(found("own", "shims").shown).toEqual([join(home, "shims/own")]);
  program("project/bin/serve");
  for (const path of ["project/lib", "project/.git"]) mkdirSync(join(home, path));
  writeFileSync(join(home, "project/.env"), "secret");
  expect(found("serve", "project/bin").shown).toEqual([join(home, "project/bin"), join(home, "project/lib")]);
  program("bin/mine");
  mkdirSync(join(home, "lib"));
  expect(found("mine", "bin").shown).toEqual([join(home, "bin/mine")]);
  program("x/node_modules/.pnpm/p@1/node_modules/p/cli");
  expect(found("cli", "x/node_modules/.pnpm/p@1/node_modules/p").shown).toEqual([join(home, "x/node_modules")]);
  const [file, within] = [join(home, "x/node_modules/.pnpm/p@1/node_modules/p/cli"), join(home, "x/node_modules/somebody")];
  expect(value(findProgram(file, { root, cwd: root, home: within, path: "" })).shown).toEqual([file]);
});

test("SBX-14.4 PATH inside holds what is seen there, in the person's order, and the system's", () => {
  const agent = found("agent", "one", "prefix/bin", "nvm/v24/bin", "work/node_modules/.bin");
  const folders = agent.path.split(":");
  expect(folders.slice(0, 4)).toEqual([
    join(home, "prefix/bin"),
    join(home, "nvm/v24/bin"),
    join(home, "work/node_modules/.bin"),
    "/usr/bin",
  ]);
  expect(folders).toContain("/sbin");
  expect(new Set(folders).size).toBe(folders.length);
});

test("SBX-13.1 a workspace that would cover the system is refused", () => {
  for (const folder of ["/", "/usr", "/etc", "/proc", "/proc/self", "/dev/shm", "/tmp", "/lib64"]) {
    expect(errno(checkRoot(folder)), folder).toBe("EINVAL");
  }
  for (const folder of ["/home/ann", "/root", "/tmp/x", "/usr/local/src/x", "/srv", "/opt/x"]) {
    expect(errno(checkRoot(folder)), folder).toBe("ok");
  }
});

test("SBX-13.2 the home keeps its path where it can, and never covers the workspace or the system", () => {
  expect(homeOf("/home/ann/work", "/home/ann")).toBe("/home/ann");
  expect(homeOf("/srv/x", "/home/ann")).toBe("/home/ann");
  for (const [where, whose] of [
    ["/home/ann", "/home/ann"],
    ["/home", "/home/ann"],
    ["/srv", "/"],
    ["/srv", "/usr/games"],
    ["/srv", ""],
  ] as const) {
    expect(homeOf(where, whose)).toBe("/tmp/home");
  }
  const folder = fc.array(fc.constantFrom("home", "ann", "usr", "x"), { maxLength: 4 }).map((names) => `/${names.join("/")}`);
  fc.assert(
    fc.property(folder, folder, (where, whose) => {
      const placed = homeOf(where, whose);
      expect(placed === "/tmp/home" || !inside(placed, where)).toBe(true);
      expect(inside("/usr", placed)).toBe(false);
    }),
  );
});
