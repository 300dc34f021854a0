/** Names at the tool door: no two calls share one, each leads back, and no server takes another's. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { CallSpec } from "../../../src/abi/call.ts";
import { wireName } from "../../../src/wire/parts.ts";
import { namesOf } from "../../../src/doors/tool/names.ts";

function spec(name: string, method = "tools/call"): CallSpec {
  const server = /^mcp\.([^.]+)\./.exec(name)?.[1];
  return {
    name,
    summary: name,
    input: { type: "object" },
    output: {},
    effect: "read",
    reversible: true,
    recovery: "pure",
    roles: {},
    ...(server === undefined ? {} : { mcp: { server, method, definition: null } }),
  };
}

const namespaced = { type: "namespaced" } as const;

test("DRT-2.1 a tool is SERVER__tool, daimon's own fs__read, and a server cannot take daimon's name or another's", () => {
  const specs = [
    spec("fs.read"),
    spec("mcp.docs.echo"),
    spec("mcp.fs.read"),
    spec("mcp.a.b__c"),
    spec("mcp.a__b.c"),
    spec("mcp.docs.resources.read", "resources/read"),
  ];
  const { tools } = namesOf(specs, namespaced);
  const pairs = [...tools].map(([name, { name: call }]) => [name, call]);
  expect(pairs.slice(0, 3)).toEqual([
    ["fs__read", "fs.read"],
    ["docs__echo", "mcp.docs.echo"],
    ["mcp__fs__read", "mcp.fs.read"],
  ]);
  expect(pairs).toHaveLength(5);
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^(?:mcp\.)?(?:mcp|[ab_-]{1,4})\.[ab_.-]{1,6}$/), { maxLength: 12 }),
      (names) => {
        const made = namesOf(
          names.map((name) => spec(name)),
          namespaced,
        ).tools;
        expect([...made.values()].map(({ name }) => name).sort()).toEqual([...names].sort());
        for (const [name, { name: call }] of made) if (!call.startsWith("mcp.")) expect(name).toBe(wireName(call));
        for (const name of made.keys()) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
      },
    ),
  );
});

test("DRT-2.1 prompts and resources lead back to their server, also where one server's name begins another's", () => {
  const names = namesOf(
    [spec("mcp.a.resources.read", "resources/read"), spec("mcp.a__b.prompts.get", "prompts/get")],
    namespaced,
  );
  for (const server of ["a", "a__b"]) {
    expect(names.promptOf(names.prompt(server, "hello"))).toEqual({ server, name: "hello" });
    expect(names.uriOf(names.uri(server, "file:///{name}"))).toEqual({ server, name: "file:///{name}" });
  }
  expect(names.uriOf("file:///etc/passwd")).toBeNull();
  expect(names.promptOf("b__hello")).toBeNull();
  expect(names.servers("resources/read")).toEqual(["a"]);
});

test("DRT-2.2 in identity mode the one server's names are kept and nothing else is shown", () => {
  const specs = [spec("fs.read"), spec("mcp.a.Get-It.now"), spec("mcp.b.other"), spec("mcp.a.prompts.get", "prompts/get")];
  const names = namesOf(specs, { type: "identity", server: "a" });
  expect([...names.tools.keys()]).toEqual(["Get-It.now"]);
  expect(names.promptOf("x")).toEqual({ server: "a", name: "x" });
  expect(names.uri("a", "file:///x")).toBe("file:///x");
});
