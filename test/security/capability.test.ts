import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CallSpec } from "../../src/abi/call.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { attenuates, checkCapabilities, compileCapabilities } from "../../src/security/capability.ts";

function spec(name: string, roles: CallSpec["roles"]): CallSpec {
  return { name, summary: "", input: {}, output: {}, effect: "read", reversible: true, recovery: "pure", roles };
}

const read = spec("fs.read", { path: "path", from: "option" });
const diff = spec("fs.diff", { paths: "path" });
const fetch = spec("net.fetch", { url: "host" });
const watch = spec("fs.watch", { command: "command" });
const shell = spec("shell.run", { command: "command" });

function held(list: readonly string[], call: CallSpec, args: JsonObject): boolean {
  return compileCapabilities(list).refuse(call, args) === null;
}

describe("holding", () => {
  test.each([
    [["fs.read"], read, { path: "a" }, true],
    [["fs.*"], read, { path: "a" }, true],
    [["*"], shell, { command: "a; b" }, true],
    [["fs.readx"], read, { path: "a" }, false],
    [["fs"], read, { path: "a" }, false],
    [[], read, { path: "a" }, false],
    [["fs.read(inbox/**)"], read, { path: "inbox/a/b", from: 3 }, true],
    [["fs.read(inbox/**)"], read, { path: "inbox" }, true],
    [["fs.read(inbox/**)"], read, { path: "inboxes/a" }, false],
    [["fs.read(inbox/*)"], read, { path: "inbox/a/b" }, false],
    [["fs.read(inbox/**)"], read, {}, false],
    [["fs.read(a/**)", "fs.read(b/**)"], read, { path: "b/x" }, true],
    [["fs.*(a/**)"], diff, { paths: ["a/x", "a/y"] }, true],
    [["fs.*(a/**)", "fs.diff(b/**)"], diff, { paths: ["a/x", "b/y"] }, true],
    [["fs.*(a/**)"], diff, { paths: ["a/x", "b/y"] }, false],
    [["net.fetch(example.com)"], fetch, { url: "https://Example.com./x" }, true],
    [["net.fetch(*.example.com)"], fetch, { url: "https://example.com.evil.org/" }, false],
    [["net.fetch(Example.COM)"], fetch, { url: "https://example.com/x" }, true],
    [["shell.run(git *)"], shell, { command: "git status" }, true],
    [["shell.run(git a; rm b)"], shell, { command: "git a; rm b" }, true],
    [["fs.watch(**)"], watch, { command: "git" }, false],
  ] as const)("CAP-1.1  %j and %o with %j: %s", (list, call, args, wanted) => {
    expect(held(list, call, args as JsonObject)).toBe(wanted);
  });

  test("CAP-1.1  a refusal names the call, the argument and what is held", () => {
    expect(compileCapabilities(["fs.read(inbox/**)"]).refuse(read, { path: "etc/x" })).toBe(
      'fs.read with "etc/x" is beyond what this process holds (fs.read(inbox/**)); keep within it',
    );
    expect(compileCapabilities(["fs.read"]).mayHold("fs.read")).toBe(true);
    expect(compileCapabilities(["fs.read(x)"]).mayHold("fs.write")).toBe(false);
  });

  test.each([["inbox/../secret"], ["/inbox/a"], ["inbox/\0"], ["~/inbox"], [7], [null]])(
    "CAP-1.2  the path %j is not covered by a pattern",
    (path) => {
      expect(held(["fs.read(**)"], read, { path })).toBe(false);
    },
  );

  test("CAP-1.2  a path is normalised before it is compared, and a host must be a URL's", () => {
    expect(held(["fs.read(inbox/*)"], read, { path: "./inbox//a" })).toBe(true);
    expect(held(["net.fetch(*)"], fetch, { url: "not a url" })).toBe(false);
  });

  test.each(["git status; rm x", "git $(rm x)", "git a | b", "git a > b", "git\nrm x"])(
    "CAP-1.3  shell.run(git *) does not hold for %j",
    (command) => {
      expect(held(["shell.run(git *)"], shell, { command })).toBe(false);
    },
  );

  test.each([
    "",
    "fs.",
    ".read",
    "fs.*.x",
    "fs.read(",
    "fs.read()",
    "shell.run()",
    "net.fetch( )",
    "fs.read(../x)",
    "fs.read(a**)",
    "*(x)",
    "fs read",
    "**",
    "fs.re*",
  ])("CAP-1.4  %j is refused, and grants nothing", (text) => {
    const checked = checkCapabilities(["fs.list", text]);
    expect(checked.ok ? "" : checked.error.message).toContain(JSON.stringify(text));
    expect(compileCapabilities([text]).mayHold("fs.read")).toBe(false);
    expect(attenuates(["*"], [text])).toBe(text);
  });
});

describe("attenuation", () => {
  test.each([
    [["*"], ["fs.*", "*", "fs.read(x)"], null],
    [["fs.*"], ["fs.read", "fs.read(a/**)", "fs.*"], null],
    [["fs.*"], ["*"], "*"],
    [["fs.read"], ["fs.*"], "fs.*"],
    [["fs.read"], ["fs.write"], "fs.write"],
    [["fs.read(a/**)"], ["fs.read(a/b/*)", "fs.read(a/**)", "fs.read(a)"], null],
    [["fs.read(a/**)"], ["fs.read"], "fs.read"],
    [["fs.read(a/*)"], ["fs.read(a/**)"], "fs.read(a/**)"],
    [["fs.read(a/*)"], ["fs.read(a/b/c)"], "fs.read(a/b/c)"],
    [["fs.*(a/**)"], ["fs.read(a/x)"], null],
    [["shell.run(git *)"], ["shell.run(git log *)", "shell.run(git status)"], null],
    [["shell.run(git *)"], ["shell.run(git a; rm b)"], "shell.run(git a; rm b)"],
    [["shell.run(git *)"], ["shell.run(*)"], "shell.run(*)"],
    [["shell.run(git *)"], ["shell.run"], "shell.run"],
    [["shell.run"], ["shell.*"], "shell.*"],
    [["fs.read"], ["fs.read.*"], "fs.read.*"],
    [["mcp.hub.*"], ["mcp.hub.push", "mcp.hub.*"], null],
    [["mcp.hub.*"], ["mcp.hubs.push"], "mcp.hubs.push"],
  ])("CAP-2.1  a child of %j may have %j: %j", (parent, child, wanted) => {
    expect(attenuates(parent, child)).toBe(wanted);
  });

  test("CAP-2.1  what a child holds its parent holds, for every path", () => {
    const pattern = fc
      .array(fc.constantFrom("a", "b", "*", "**", "a*", "?"), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join("/"));
    const path = fc.array(fc.constantFrom("a", "b", "ab", "c"), { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
    let granted = 0;
    fc.assert(
      fc.property(pattern, pattern, fc.array(path, { minLength: 8, maxLength: 8 }), (outer, inner, paths) => {
        const [parent, child] = [[`fs.read(${outer})`], [`fs.read(${inner})`]];
        if (attenuates(parent, child) !== null) return;
        granted += 1;
        for (const each of paths) if (held(child, read, { path: each })) expect(held(parent, read, { path: each })).toBe(true);
      }),
      { numRuns: 4_000 },
    );
    expect(granted).toBeGreaterThan(100);
  });
});
