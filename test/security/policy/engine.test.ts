import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PolicyRequest, PolicyScope, PolicyText } from "../../../src/abi/policy.ts";
import { cedarEngine, parseUnchecked } from "../../../src/drivers/policy/cedar.ts";
import type { Json, JsonObject } from "../../../src/lib/json.ts";
import { prng } from "../../../src/lib/prng.ts";
import { Affixes } from "../../../src/security/policy/affixes.ts";
import { compilePolicies } from "../../../src/security/policy/engine.ts";
import { likeMatcher, runsOf, type PatternElement } from "../../../src/security/policy/like.ts";
import { readScene } from "../../../src/security/policy/scene.ts";
import { equals, readValue } from "../../../src/security/policy/value.ts";
import { compareOnce, emptyTally } from "./differential.ts";
import { engineOf } from "./fixture.ts";

function text(policies: string, scope: PolicyScope = "project"): PolicyText {
  return { scope, file: `${scope}.cedar`, text: policies };
}

function asked(context: JsonObject = {}, more: Partial<PolicyRequest> = {}): PolicyRequest {
  const entity = (type: string, id: string) => ({ type, id, attrs: {}, parents: [] });
  return { principal: entity("P", "p"), action: entity("Action", "x"), resource: entity("R", "r"), context, ...more };
}

function decide(policies: string, context: JsonObject = {}) {
  return engineOf([text(policies)], false).decide(asked(context));
}

const permit = "permit(principal, action, resource)";
const forbid = "forbid(principal, action, resource)";

/** The value of an expression as both engines see it: `satisfied`, `not` or `erred`. */
function evaluate(expression: string, context: JsonObject = {}): string {
  const set = parseUnchecked([text(`${permit} when { ${expression} };`)]);
  if (!set.ok) return `refused: ${set.error.message}`;
  const [compiled, cedar] = [compilePolicies(set.value), cedarEngine(set.value)];
  if (!compiled.ok || !cedar.ok) return "refused at load";
  const [ours, theirs] = [compiled.value, cedar.value].map((engine) => engine.explain(asked(context)));
  expect(ours).toEqual(theirs);
  return ours?.erred.length === 1 ? "erred" : ours?.decision.verb === "allow" ? "satisfied" : "not";
}

describe("decision", () => {
  test("POL-1.1  a forbid denies whatever permits, and where nothing permits the answer is deny", () => {
    expect(decide(`@id("a") ${permit}; @id("b") ${forbid};`)).toEqual({ verb: "deny", rules: ["b"] });
    expect(decide(`${permit} when { false };`)).toEqual({ verb: "deny", rules: [] });
    expect(decide("")).toEqual({ verb: "deny", rules: [] });
    const texts = [text(`@id("a") ${permit};`, "process"), text(`@id("b") ${forbid};`, "platform")];
    expect(engineOf(texts, false).decide(asked())).toEqual({ verb: "deny", rules: ["b"] });
  });

  test("POL-1.2  a rule whose evaluation errs takes no part", () => {
    expect(decide(`@id("a") ${permit}; @id("b") ${forbid} when { context.missing == 1 };`)).toEqual({
      verb: "allow",
      rules: ["a"],
    });
    expect(decide(`@id("a") ${permit} when { context.n + 1 == 2 };`, { n: "1" })).toEqual({ verb: "deny", rules: [] });
  });

  test("POL-1.3  the rules are all that determined, sorted", () => {
    expect(decide(`@id("c") ${permit}; @id("a") ${permit}; @id("b") ${permit} when { false };`).rules).toEqual(["a", "c"]);
    expect(decide(`@id("c") ${forbid}; @id("z") ${permit}; @id("a") ${forbid};`).rules).toEqual(["a", "c"]);
  });

  test("POL-1.4  a permit with @ask asks, and plain Cedar sees the same permit", () => {
    const set = parseUnchecked([text(`@id("a") @ask("Sure?") ${permit}; @id("b") ${permit};`)]);
    const engine = set.ok ? compilePolicies(set.value) : set;
    const cedar = set.ok ? cedarEngine(set.value) : set;
    if (!engine.ok || !cedar.ok) throw new Error("the policies load");
    expect(engine.value.decide(asked())).toEqual({ verb: "ask", rules: ["a", "b"] });
    expect(cedar.value.decide(asked())).toEqual({ verb: "ask", rules: ["a", "b"] });
    expect(engine.value.rule("a")?.ask).toBe("Sure?");
  });

  test("POL-1.5  a platform question yields to a plain permit of another scope; no other question yields", () => {
    const ask = `@ask("Sure?") ${permit};`;
    const verbOf = (...texts: PolicyText[]) => engineOf(texts, false).decide(asked()).verb;
    expect(verbOf(text(ask, "platform"))).toBe("ask");
    expect(verbOf(text(ask, "platform"), text(`${permit};`, "user"))).toBe("allow");
    expect(verbOf(text(`${ask} @id("p") ${permit};`, "platform"))).toBe("ask");
    expect(verbOf(text(ask, "organisation"), text(`${permit};`, "user"))).toBe("ask");
  });

  test("POL-1.6  decision, rules and erring rules equal Cedar's on sets that each stress one part of the index", () => {
    const tally = emptyTally();
    for (let seed = 900_000; seed < 900_100; seed += 1) expect(compareOnce(seed, 20, tally)).toBeNull();
    expect(Math.min(tally.allow, tally.ask, tally.deny, tally.erring)).toBeGreaterThan(20);
  });

  test("POL-1.7  what cannot be carried exactly is refused with file, line and rule", () => {
    const set = parseUnchecked([text(`${permit};\n\n${permit} when { context.n == 9007199254740993 };`)]);
    const engine = set.ok ? compilePolicies(set.value) : set;
    expect(engine.ok ? "" : engine.error.message).toMatch(
      /^project\.cedar:3: rule project\.cedar#2 cannot be used: an integer literal/,
    );
  });

  test("POL-1.7  a rule of which a part is not understood is refused as a whole: what is left of it would say something else", () => {
    const set = parseUnchecked([text(`forbid(principal, action in [Action::"x", Action::"y"], resource);`)]);
    const rule = set.ok ? set.value.rules[0] : undefined;
    if (!set.ok || rule === undefined) throw new Error("the rule parses");
    const entities = [{ type: "Action", id: "x" }, { slot: "?action" }];
    const policy = { ...rule.policy, action: { op: "in", entities } };
    expect(compilePolicies({ ...set.value, rules: [{ ...rule, policy }] })).toMatchObject({
      ok: false,
      error: { errno: "ENOEXEC", message: expect.stringContaining("its action constraint is not understood") },
    });
  });
});

describe("values", () => {
  test("POL-2.1  types differ, sets are equal in any order, records and entities by content", () => {
    for (const equal of [
      "[1, 2, 2] == [2, 1]",
      '{a: [1], b: "x"} == {b: "x", a: [1, 1]}',
      'P::"a" == P::"a"',
      'ip("1.2.3.4") == ip("1.2.3.4/32")',
      'decimal("1.0") == decimal("1.00")',
    ]) {
      expect(evaluate(equal)).toBe("satisfied");
    }
    for (const unequal of [
      '1 == "1"',
      "true == 1",
      '"[]" == []',
      'P::"a" == Q::"a"',
      '[["a"]] == ["a"]',
      '["\\u{0}e[\\"P\\",\\"a\\"]"].contains(P::"a")',
      '["\\u{0}s\\u{0}"].contains("\\u{0}")',
      "{} == []",
    ]) {
      expect(evaluate(unequal)).toBe("not");
    }
    const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        fc.boolean(),
        fc.integer(),
        fc.string({ unit: "binary" }),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom("a", "b", "__proto__"), tie("value")),
      ),
    })).value;
    fc.assert(
      fc.property(json, (value) => {
        const [first, second] = [readValue(value), readValue(structuredClone(value))];
        expect(first !== undefined && second !== undefined && equals(first, second)).toBe(true);
      }),
    );
  });

  test.each([
    [null],
    [1.5],
    [2 ** 53],
    ["\ud800"],
    [[1, null]],
    [{ a: { b: 0.1 } }],
    [{ __extn: { fn: "ip", arg: "1.2.3" } }],
    [Number.NaN],
  ])("POL-2.2  a request with %j is denied by no rule", (value) => {
    expect(decide(`${permit};`, { value: value as Json })).toEqual({ verb: "deny", rules: [] });
  });
});

test("POL-3.1  like matches the whole text as the reference does, and a hostile pattern takes no time", () => {
  const element = fc.constantFrom<PatternElement>(
    "Wildcard",
    { Literal: "a" },
    { Literal: "b" },
    { Literal: "ab" },
    { Literal: "*" },
  );
  const texts = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(element, { maxLength: 6 }), texts, (pattern, subject) => {
      const source = pattern.map((each) => (each === "Wildcard" ? ".*" : each.Literal.replace("*", "\\*"))).join("");
      expect(likeMatcher(runsOf(pattern))(subject)).toBe(new RegExp(`^${source}$`, "s").test(subject));
    }),
    { numRuns: 2_000 },
  );
  const hostile = Array.from({ length: 400 }, (_, at): PatternElement => (at % 2 === 0 ? "Wildcard" : { Literal: "a" }));
  const started = performance.now();
  expect(likeMatcher([...runsOf(hostile).slice(0, -1), "b"])("a".repeat(100_000))).toBe(false);
  expect(performance.now() - started).toBeLessThan(500);
});

test.each([
  ['ip("1.2.3.4/33").isIpv4()'],
  ['ip("01.2.3.4").isIpv4()'],
  ['ip("::1.2.3.4").isIpv6()'],
  ['decimal("1.23456").lessThan(decimal("2.0"))'],
  ['decimal("922337203685477.5808") == decimal("0.0")'],
  ['datetime("2023-02-29") == datetime("2023-02-28")'],
  ['datetime("2024-01-01T24:00:00Z") == datetime("2023-02-28")'],
  ['duration("1m1h") == duration("0s")'],
  ['datetime("2024-01-01").offset(duration("9223372036854775807ms")) == datetime("2024-01-01")'],
  ["context.s.isIpv4()"],
])("POL-4.1  %s errs", (expression) => {
  expect(evaluate(expression, { s: "x" })).toBe("erred");
});

test.each([
  ['ip("127.0.0.0/7").isLoopback()', "not"],
  ['ip("127.1.2.3/8").isLoopback()', "satisfied"],
  ['ip("::1/127").isLoopback()', "not"],
  ['ip("ff00::/7").isMulticast()', "not"],
  ['ip("10.0.0.0/8").isInRange(ip("10.0.0.0/16"))', "not"],
  ['ip("::a").isInRange(ip("0.0.0.0/0"))', "not"],
  ['datetime("1969-12-31T23:59:59.999Z").toDate() == datetime("1969-12-31")', "satisfied"],
  ['duration("-1ms").toDays() == 0', "satisfied"],
])("POL-4.1  %s is %s", (expression, wanted) => {
  expect(evaluate(expression)).toBe(wanted);
});

describe("expressions", () => {
  test.each([
    ["false && context.missing", "not"],
    ["true || context.missing", "satisfied"],
    ["context.missing || true", "erred"],
    ["if true then true else context.missing", "satisfied"],
    ["context has missing.more", "not"],
    ["context has constructor", "not"],
    ["context.n has x", "erred"],
    ["principal in [resource, 1]", "erred"],
    ["principal is P in resource", "not"],
    ['principal.hasTag("x")', "not"],
    ['principal.getTag("x") == 1', "erred"],
    ["[].isEmpty() && [1, [2]].containsAll([[2]]) && ![1].containsAny([])", "satisfied"],
    ['"a*b" like "a\\*b" && "a😀b" like "a*b" && !("ab" like "a")', "satisfied"],
  ])("POL-5.1  %s is %s", (expression, wanted) => {
    expect(evaluate(expression, { n: 1 })).toBe(wanted);
  });

  test("POL-5.2  an operator, function or slot the compiler does not know is refused by name", () => {
    const rule = (policy: JsonObject) =>
      compilePolicies({
        key: "",
        digest: "",
        warnings: [],
        rules: [{ id: "r", scope: "project", file: "f", line: 1, text: "", effect: "permit", ask: null, reason: null, policy }],
      });
    const all = { op: "All" };
    const when = (body: Json): JsonObject => ({
      effect: "permit",
      principal: all,
      action: all,
      resource: all,
      conditions: [{ kind: "when", body }],
    });
    const broken: readonly (readonly [JsonObject, string])[] = [
      [when({ matches: { left: { Value: "a" }, right: { Value: "b" } } }), '"matches"'],
      [when({ unknown: [{ Value: "a" }] }), '"unknown"'],
      [when({ toString: [{ Value: "a" }] }), '"toString"'],
      [when({ Slot: "?principal" }), '"Slot"'],
      [when({ ip: [] }), "takes 1"],
      [{ ...when({ Value: true }), principal: { op: "==", slot: "?principal" } }, "principal constraint"],
      [{ ...when({ Value: true }), conditions: [{ kind: "while", body: { Value: true } }] }, "neither"],
    ];
    for (const [policy, named] of broken) {
      const engine = rule(policy);
      expect(engine.ok ? "" : engine.error.message).toContain(named);
    }
  });

  test.each([
    ["9007199254740991 * 1024 + 1023 == 9007199254740991 * 1024 + 1023", "satisfied"],
    ["9007199254740991 + 1 == 9007199254740991 + 2", "not"],
    ["9007199254740991 * 9007199254740991 == 0", "erred"],
    ["3037000500 * 3037000500 > 0", "erred"],
    ["3037000499 * 3037000499 > 0", "satisfied"],
    ["-4294967296 * 2147483648 < 0", "satisfied"],
    ["-(-4294967296 * 2147483648) > 0", "erred"],
    ["-4294967296 * 2147483648 - 1 < 0", "erred"],
    ["0 * -1 == 0", "satisfied"],
  ])("POL-5.3  %s: %s", (expression, wanted) => {
    expect(evaluate(expression)).toBe(wanted);
  });
});

test("POL-6.1  a request that describes one entity in two ways is no scene", () => {
  const one = { type: "P", id: "p", attrs: { a: 1 }, parents: [] };
  expect(readScene(asked({}, { principal: one, resource: { ...one } }))).toBeDefined();
  expect(readScene(asked({}, { principal: one, resource: { ...one, attrs: { a: 2 } } }))).toBeUndefined();
  expect(readScene(asked({ __entity: { type: "P", id: "p" } }))).toBeUndefined();
});

test("POL-7.1  the index finds every rule that a look at all rules finds", () => {
  const tally = emptyTally();
  for (let seed = 910_000; seed < 910_060; seed += 1) expect(compareOnce(seed, 10, tally)).toBeNull();
  expect(tally.determining).toBeGreaterThan(100);
});

test("POL-7.2  rules behind equality, sets, prefixes, suffixes, entities and alternatives are all found, and only when they hold", () => {
  const rules: readonly (readonly [string, JsonObject])[] = [
    ['context.a == "x"', { a: "x" }],
    ['"y" == context.b', { b: "y" }],
    ['context.c like "lib/*.ts"', { c: "lib/a.ts" }],
    ['context.c like "lib/*.md"', { c: "lib/.md" }],
    ["context.flag", { flag: true }],
    ["!context.flag", { flag: false }],
    ["context.n == 0", { n: -0 }],
    ['context.s.contains("x")', { s: ["y", "x"] }],
    ['["p", "q"].contains(context.a)', { a: "q" }],
    ['context.a like "src/*"', { a: "src/" }],
    ['context.a like "*.ts"', { a: "a.ts" }],
    ['context.a == "k" || context.b like "z*"', { a: "", b: "zz" }],
    ['context.a == "l" || context.n > 41', { a: "", n: 42 }],
    ['context has a && (context.a like "1*" && context.a like "*2")', { a: "12" }],
  ];
  const policies = rules.map(([condition], at) => `@id("r${at}") ${permit} when { ${condition} };`).join("\n");
  const engine = engineOf([text(policies)], false);
  for (const [at, [, context]] of rules.entries()) expect(engine.decide(asked(context)).rules).toEqual([`r${at}`]);
  expect(engine.decide(asked({ a: "nothing", b: "", flag: 1, s: "x", n: "0" })).rules).toEqual([]);
});

test("POL-8.1  each() visits exactly the prefixes (suffixes) of a text, in whatever order they were added", () => {
  const words = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 5 }), { maxLength: 20 });
  fc.assert(
    fc.property(
      words,
      fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 8 }),
      fc.constantFrom("prefix" as const, "suffix" as const),
      (stored, subject, side) => {
        const tree = new Affixes<string>(side);
        for (const word of stored) tree.add(word, word);
        const found: string[] = [];
        tree.each(subject, (values) => found.push(...values));
        const wanted = stored.filter((word) => (side === "prefix" ? subject.startsWith(word) : subject.endsWith(word)));
        expect(found.sort()).toEqual(wanted.sort());
      },
    ),
    { numRuns: 1_000 },
  );
});

test("LIB-2.1  equal seeds give equal sequences, near seeds differ, and a pick is fair", () => {
  const [a, b, c] = [prng(7), prng(7), prng(8)];
  const take = (random: ReturnType<typeof prng>) => Array.from({ length: 8 }, () => random.uint32());
  const first = take(a);
  expect(take(b)).toEqual(first);
  expect(take(c)).not.toEqual(first);
  const counts = [0, 0, 0, 0];
  for (let n = 0; n < 40_000; n += 1) counts[a.below(4)] = (counts[a.below(4)] ?? 0) + 1;
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(3_000);
});
