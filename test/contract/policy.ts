/** The contract of a policy engine, whichever answers: the compiled index or Cedar. */
import { describe, expect, test } from "vitest";
import type { PolicyEngine, PolicySet } from "../../src/abi/policy.ts";
import { parsePolicies } from "../../src/drivers/policy/cedar.ts";
import type { Result } from "../../src/lib/result.ts";
import { question, schema } from "../security/policy/fixture.ts";

export function policyContract(
  name: PolicyEngine["name"],
  make: (set: PolicySet) => Result<PolicyEngine, { readonly message: string }>,
): void {
  const engine = (text: string): PolicyEngine => {
    const set = parsePolicies([{ scope: "project", file: "p.cedar", text }], schema);
    const made = set.ok ? make(set.value) : set;
    if (!made.ok) throw new Error(made.error.message);
    return made.value;
  };

  describe(`the ${name} engine`, () => {
    test("says its name and the digest of its sources", () => {
      const [first, same, other] = [
        engine("permit(principal, action, resource);"),
        engine("permit(principal, action, resource);"),
        engine(""),
      ];
      expect(first.name).toBe(name);
      expect(first.digest).toMatch(/^[0-9a-f]{64}$/);
      expect(same.digest).toBe(first.digest);
      expect(other.digest).not.toBe(first.digest);
    });

    test("denies by default, lets a forbid win, and gives the rules that decided", () => {
      const made = engine(`
        @id("read") permit(principal, action in Action::"read", resource);
        @id("src") permit(principal is Process in Program::"brief", action == Action::"fs.write", resource) when { context.path like "src/*" };
        @id("gen") forbid(principal, action, resource is Path) when { context has path && context.path like "*/gen/*" };
        @id("net") @ask("Fetch?") permit(principal, action == Action::"net.fetch", resource == Host::"example.com");`);
      expect(made.decide(question("fs.read", "src/a"))).toEqual({ verb: "allow", rules: ["read"] });
      expect(made.decide(question("fs.read", "src/gen/a"))).toEqual({ verb: "deny", rules: ["gen"] });
      expect(made.decide(question("fs.write", "src/a"))).toEqual({ verb: "allow", rules: ["src"] });
      expect(made.decide(question("fs.write", "a"))).toEqual({ verb: "deny", rules: [] });
      expect(made.decide(question("net.fetch", "example.com"))).toEqual({ verb: "ask", rules: ["net"] });
      expect(made.decide(question("net.fetch", "example.org"))).toEqual({ verb: "deny", rules: [] });
    });

    test("gives the source of a rule, and nothing for an unknown one", () => {
      const made = engine('\n@id("a")\n@reason("because")\npermit(principal, action, resource);');
      expect(made.rule("a")).toMatchObject({
        id: "a",
        scope: "project",
        file: "p.cedar",
        line: 2,
        effect: "permit",
        ask: null,
        reason: "because",
      });
      expect(made.rule("a")?.text).toMatch(/^@id\("a"\)[^]*;$/);
      expect(made.rule("b")).toBeUndefined();
    });

    test("explains: the same decision, and the rules that erred", () => {
      const made = engine(
        '@id("a") permit(principal, action, resource); @id("b") forbid(principal, action, resource) when { 9007199254740991 * 9007199254740991 == 0 };',
      );
      expect(made.explain(question("fs.read", "x"))).toEqual({ decision: { verb: "allow", rules: ["a"] }, erred: ["b"] });
    });

    test("denies what it cannot read, without a throw", () => {
      const made = engine("permit(principal, action, resource);");
      for (const value of [null, 0.5, 2 ** 60, "\udfff", { a: [null] }]) {
        expect(made.decide(question("fs.read", "x", { odd: value }))).toEqual({ verb: "deny", rules: [] });
      }
    });
  });
}
