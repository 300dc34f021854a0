import fc from "fast-check";
import { expect, test } from "vitest";
import { guestOf, guests } from "../../src/guests/all.ts";
import { claude } from "../../src/guests/claude.ts";
import { gemini } from "../../src/guests/gemini.ts";
import { codex } from "../../src/guests/codex.ts";
import { inWorkspace, standsFor, type Place } from "../../src/guests/guest.ts";
import { proxyEnv } from "../../src/guests/network.ts";
import type { Json } from "../../src/lib/json.ts";

const place: Place = { home: "/home/me", workspace: "/home/me/work", cwd: "/home/me/work/sub" };
const unknown = (tool: string): unknown => [{ name: "guest.tool", args: { tool } }];
const of = (guest: typeof claude, name: string, args: Json): unknown => standsFor(guest, place, name, args);

test("GUE-1.1 a tool is decided on as the call it stands for", () => {
  expect(of(claude, "Bash", { command: "git push", description: "x" })).toEqual([
    { name: "shell.run", args: { command: "git push" } },
  ]);
  expect(of(claude, "Write", { file_path: "/home/me/work/.git/hooks/x", content: "y" })).toEqual([
    { name: "fs.write", args: { path: ".git/hooks/x" } },
  ]);
  expect(of(claude, "Grep", { pattern: "x" })).toEqual([{ name: "fs.search", args: { path: "." } }]);
  expect(of(claude, "WebFetch", { url: "https://a.example/", prompt: "p" })).toEqual([
    { name: "net.fetch", args: { url: "https://a.example/" } },
  ]);
  expect(of(claude, "TodoWrite", { todos: [] })).toEqual([]);
  expect(of(codex, "shell", { command: ["bash", "-lc", "rm -rf x"] })).toEqual([
    { name: "shell.run", args: { command: "rm -rf x" } },
  ]);
  expect(of(codex, "shell", { command: ["git", "commit", "-m", "it's"] })).toEqual([
    { name: "shell.run", args: { command: `git commit -m 'it'\\''s'` } },
  ]);
  const patch =
    "*** Begin Patch\n*** Add File: a.md\n+x\n*** Update File: /home/me/work/b.md\n*** Move to: ../c.md\n@@\n*** End Patch";
  expect(of(codex, "apply_patch", { input: patch })).toEqual([
    { name: "fs.edit", args: { path: "sub/a.md" } },
    { name: "fs.edit", args: { path: "b.md" } },
    { name: "fs.edit", args: { path: "c.md" } },
  ]);
});

test("GUE-1.2 what is not known, or cannot be read, is a tool of the guest that policy sees by its name", () => {
  for (const name of ["Unheard", "__proto__", "constructor", "toString", "mcp__other__x"])
    expect(of(claude, name, {})).toEqual(unknown(name));
  for (const args of [null, "ls", '{"command":"ls"', ["ls"], {}, { command: 7 }, { command: ["a", 1] }])
    expect(of(claude, "Bash", args)).toEqual([{ name: "shell.run", args: {} }]);
  for (const args of [null, '{"path":"x"', { path: 7 }])
    expect(of(claude, "Grep", args)).toEqual([{ name: "fs.search", args: {} }]);
  for (const args of [null, {}, { input: 7 }, { input: "no patch" }])
    expect(of(codex, "apply_patch", args)).toEqual([{ name: "fs.edit", args: {} }]);
  expect(of(claude, "mcp__daimon__fs__read", { path: "x" })).toEqual(unknown("mcp__daimon__fs__read"));
});

test("GUE-1.1 what the guest reads leniently is read so here", () => {
  const patch =
    "*** Begin Patch\n*** Update File: a.md\n@@\n \t*** Update File:  .git/config \r\n@@\n\u00a0*** Delete File: b.md\n*** End Patch";
  expect(of(codex, "apply_patch", { input: patch })).toEqual(
    ["sub/a.md", "sub/.git/config", "sub/b.md"].map((path) => ({ name: "fs.edit", args: { path } })),
  );
  for (const command of ["rm x", ["bash", "-lc", "rm x"]])
    expect(of(codex, "local_shell", { action: { type: "exec", command } })).toEqual([
      { name: "shell.run", args: { command: "rm x" } },
    ]);
});

test("GUE-1.4 an argument that is given under several names is decided on under each", () => {
  expect(of(gemini, "read_file", { absolute_path: "a.md", file_path: ".env" })).toEqual([
    { name: "fs.read", args: { path: "sub/a.md" } },
    { name: "fs.read", args: { path: "sub/.env" } },
  ]);
  expect(of(codex, "container.exec", { cmd: "ls", command: ["rm", "x"] })).toEqual([
    { name: "shell.run", args: { command: "ls" } },
    { name: "shell.run", args: { command: "rm x" } },
  ]);
  expect(of(gemini, "read_file", { absolute_path: "/etc/passwd", file_path: 7 })).toEqual([
    { name: "guest.tool", args: { tool: "read_file" } },
    { name: "fs.read", args: {} },
  ]);
});

test("GUE-1.3 a path is the workspace's only where it lies in it, however it is written", () => {
  expect(inWorkspace("a.md", place)).toBe("sub/a.md");
  expect(inWorkspace("../a.md", place)).toBe("a.md");
  expect(inWorkspace("/home/me/work", place)).toBe(".");
  for (const path of ["/home/me/work-evil/a", "/home/me/work/../x", "../../x", "~/x", "/etc/passwd", "a\0b"])
    expect(inWorkspace(path, place), path).toBe(null);
  fc.assert(
    fc.property(fc.array(fc.constantFrom("..", ".", "a", "", "work", "b.md"), { maxLength: 8 }), (segments) => {
      const inside = inWorkspace(segments.join("/"), place);
      return inside === null || (inside !== "" && !inside.startsWith("/") && !inside.split("/").includes(".."));
    }),
  );
  expect(of(claude, "Read", { file_path: "/home/me/.ssh/id" })).toEqual(unknown("Read"));
});

test("GUE-2.1 a command is the guest whose program it names", () => {
  expect(guestOf("claude").name).toBe("claude");
  expect(guestOf("/usr/local/bin/codex").name).toBe("codex");
  expect(guestOf("python3").name).toBe("program");
  expect(new Set(guests.flatMap(({ programs }) => programs)).size).toBe(guests.flatMap(({ programs }) => programs).length);
});

test("GUE-2.1 every guest is launched at the doors with a credential that is nobody's key", () => {
  for (const guest of guests) {
    const launch = guest.launch({ model: "http://127.0.0.1:7000", credential: "dmn_secret" }, place);
    const all = JSON.stringify(launch);
    expect(all, guest.name).toContain("http://127.0.0.1:7000");
    expect(all, guest.name).toContain("dmn_secret");
    for (const { path } of launch.files) expect(path.startsWith(`${place.home}/`) || path.startsWith("/etc/"), path).toBe(true);
  }
});

test("GUE-4.1 the net door is where programs look for a proxy, in both cases, and the loopback device is reached without it", () => {
  const env = proxyEnv(4142, "dmn_x");
  const proxy = new URL(env["HTTPS_PROXY"] ?? "");
  expect([proxy.username, proxy.password, proxy.host]).toEqual(["daimon", "dmn_x", "127.0.0.1:4142"]);
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]) expect(env[name.toLowerCase()]).toBe(env[name]);
  expect(env["HTTP_PROXY"]).toBe(env["HTTPS_PROXY"]);
  expect(env["NO_PROXY"]?.split(",")).toContain("127.0.0.1");
});
