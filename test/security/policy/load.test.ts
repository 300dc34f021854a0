import { describe, expect, test } from "vitest";
import type { PolicyScope, PolicyText } from "../../../src/abi/policy.ts";
import { getCedarVersion } from "@cedar-policy/cedar-wasm/nodejs";
import { parsePolicies } from "../../../src/drivers/policy/cedar.ts";
import { cedarVersion, policyKey } from "../../../src/drivers/policy/key.ts";
import { splitPolicies } from "../../../src/drivers/policy/split.ts";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";
import { prng } from "../../../src/lib/prng.ts";
import { policySchema } from "../../../src/security/policy/schema.ts";
import { policiesText } from "./cases.ts";
import { calls, schema } from "./fixture.ts";

function source(text: string, file = "p.cedar", scope: PolicyScope = "project"): PolicyText {
  return { scope, file, text };
}

function messageOf(...texts: PolicyText[]): string {
  const set = parsePolicies(texts, schema);
  return set.ok ? "" : set.error.message;
}

const any = "permit(principal, action, resource)";

describe("splitting", () => {
  test("POL-9.1  semicolons in strings and comments end nothing, and lines are those of the first token", () => {
    const text = `// a; b\n${any} when { "x;\\";//" == "y" }; // c;\n\n  @id("z;")\n${any};`;
    expect(splitPolicies(text).map(({ line, text: part }) => [line, part.slice(0, 6)])).toEqual([
      [2, "permit"],
      [4, '@id("z'],
    ]);
  });

  test("POL-9.1  generated sets split into as many policies as they have", () => {
    for (let seed = 1; seed <= 200; seed += 1) expect(splitPolicies(policiesText(prng(seed), 9))).toHaveLength(9);
  });
});

describe("errors", () => {
  test.each([
    [`${any};\n// é😀\n${any} wen { true };`, /^p\.cedar:3:37: .*in "wen"; condition must be/],
    [`${any}`, /^p\.cedar:/],
    [`${any} when { foo(1) };`, /^p\.cedar:1:44: .*`foo` is not a valid function.*; did you mean `ip`/],
    [`permit(principal == ?principal, action, resource);`, /^p\.cedar:1:21: a template .*"\?principal"; replace the slot/],
    [`${any} when { context.effect == "a" };\n${any} when { 1 + "a" == 2 };`, /^p\.cedar:2:48: /],
  ])("POL-9.2  %j names file, line, column, text and what to do", (text, wanted) => {
    expect(messageOf(source(text))).toMatch(wanted);
  });

  test("POL-9.2  all files' errors are told at once, as ENOEXEC", () => {
    const set = parsePolicies([source("permit(", "a.cedar"), source("permit(x", "b.cedar")], schema);
    expect(set.ok).toBe(false);
    if (set.ok) return;
    expect(set.error.errno).toBe("ENOEXEC");
    expect(set.error.findings.map(({ where }) => where.split(":")[0])).toEqual(expect.arrayContaining(["a.cedar", "b.cedar"]));
  });

  test("POL-9.3  ids are @id or FILE#N, and a twin is refused with both places", () => {
    const set = parsePolicies([source(`${any};\n@id("mine") ${any};\n${any};`)], schema);
    expect(set.ok && set.value.rules.map(({ id, line }) => [id, line])).toEqual([
      ["p.cedar#1", 1],
      ["mine", 2],
      ["p.cedar#3", 3],
    ]);
    expect(messageOf(source(`@id("x") ${any};`, "a.cedar"), source(`\n@id("x") ${any};`, "b.cedar"))).toMatch(
      /^b\.cedar:2:1: the rule id "x" is taken by a\.cedar:1/,
    );
  });

  test.each([
    ['permit(principal, action == Action::"net.fetsh", resource);', /unrecognized action.*; did you mean `Action::"net\.fetch"`/],
    [`${any} when { context.pth == "a" };`, /attribute `pth`/],
    [`${any} when { context.path == "a" };`, /try testing for the attribute's presence/],
    ["permit(principal is Proces, action, resource);", /unrecognized entity type/],
    [`${any} when { context.effect == 1 };`, /\S/],
  ])("POL-9.4  %s is refused", (text, wanted) => {
    expect(messageOf(source(text))).toMatch(wanted);
  });

  test("POL-9.4  a rule that can never apply loads with a warning", () => {
    const set = parsePolicies([source('permit(principal, action == Action::"task.done", resource is Path);')], schema);
    expect(set.ok && set.value.warnings[0]).toMatchObject({ severity: "warning", where: "p.cedar:1:1" });
  });
});

test("POL-9.6  the Cedar version in the key is the installed one", () => {
  expect(cedarVersion).toBe(getCedarVersion());
});

test("POL-9.5  the key changes with a source, its scope and the schema, and with nothing else", () => {
  const key = policyKey([source(any)], schema);
  expect(policyKey([source(any)], policySchema(calls))).toBe(key);
  const others = [
    policyKey([source(`${any} `)], schema),
    policyKey([source(any, "q")], schema),
    policyKey([source(any, "p.cedar", "user")], schema),
    policyKey([source(any)], policySchema(calls.slice(1))),
  ];
  expect(new Set([key, ...others]).size).toBe(5);
  const set = parsePolicies([source(`${any};`)], schema);
  expect(set.ok && JSON.parse(JSON.stringify(set.value))).toEqual(set.ok ? set.value : null);
});

function actions(): JsonObject {
  const space = schema[""];
  const found = isObject(space) ? space["actions"] : undefined;
  return isObject(found) ? found : {};
}

test("POL-10.1  every call is an action in its effect class, an MCP tool also in its server", () => {
  for (const call of calls) expect(JSON.stringify(actions()[call.name])).toContain(`{"id":"${call.effect}"}`);
  expect(JSON.stringify(actions()["mcp.hub.push"])).toContain('{"id":"mcp.hub"}');
  const grouped =
    'permit(principal, action in Action::"mcp.hub", resource); permit(principal, action in [Action::"read", Action::"irreversible"], resource);';
  expect(messageOf(source(grouped))).toBe("");
});

test("POL-10.2  a path is certain where the call requires it, and must be tested with has where it does not", () => {
  const rule = (call: string) =>
    messageOf(source(`permit(principal, action == Action::"${call}", resource) when { context.path like "a/*" };`));
  expect(rule("fs.read")).toBe("");
  expect(rule("fs.list")).toMatch(/presence/);
});
