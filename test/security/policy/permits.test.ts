import { expect, test } from "vitest";
import type { PolicyRule, PolicyText } from "../../../src/abi/policy.ts";
import { parseUnchecked } from "../../../src/drivers/policy/cedar.ts";
import { mayPermit } from "../../../src/security/policy/permits.ts";
import { platformPolicy } from "../../../src/security/policy/platform.ts";
import { actionOf } from "../../../src/security/question.ts";
import { calls, engineOf, question, shorthandText } from "./fixture.ts";

function rulesOf(texts: readonly PolicyText[]): readonly PolicyRule[] {
  const set = parseUnchecked(texts);
  if (!set.ok) throw new Error(set.error.message);
  return set.value.rules;
}

const cedar = (text: string): PolicyText => ({ scope: "user", file: "policy.cedar", text });
const named = (texts: readonly PolicyText[]): readonly string[] => {
  const rules = rulesOf(texts);
  return calls.filter((spec) => mayPermit(rules, actionOf(spec))).map(({ name }) => name);
};

test("POL-16.1 by itself daimon permits no external call but sharing, and a rule that names one is seen in every form", () => {
  expect(named([platformPolicy])).not.toContain("net.fetch");
  expect(named([platformPolicy])).not.toContain("mcp.hub.push");
  expect(named([platformPolicy])).toContain("fs.share");
  for (const text of [
    "permit(principal, action, resource);",
    'permit(principal, action == Action::"net.fetch", resource);',
    'permit(principal, action in Action::"external", resource);',
    'permit(principal, action in [Action::"fs.read", Action::"net.fetch"], resource);',
    'permit(principal, action, resource) when { context.integrity == "trusted" };',
  ])
    expect(named([platformPolicy, cedar(text)]), text).toContain("net.fetch");
  expect(named([platformPolicy, shorthandText({ allow: ["net.fetch(docs.example)"] })])).toContain("net.fetch");
  expect(named([platformPolicy, shorthandText({ ask: ["mcp__hub"] })])).toContain("mcp.hub.push");
  expect(named([platformPolicy, shorthandText({ deny: ["net.fetch"] })])).not.toContain("net.fetch");
  expect(named([cedar("forbid(principal, action, resource);")])).toEqual([]);
});

test("POL-16.1 what is permitted was never said to be without a permit", () => {
  const sets = [
    [platformPolicy],
    [platformPolicy, shorthandText({ allow: ["net.fetch(a.example)", "mcp__hub"], ask: ["shell.run"] })],
    [platformPolicy, cedar('permit(principal, action in [Action::"external"], resource);')],
  ];
  for (const texts of sets) {
    const engine = engineOf(texts);
    const may = named(texts);
    for (const { name, roles } of calls) {
      for (const argument of ["a.md", "a.example", "make"]) {
        const asked = question(name, Object.keys(roles).length === 0 ? undefined : argument);
        if (engine.decide(asked).verb !== "deny") expect(may, name).toContain(name);
      }
    }
  }
});
