import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfigFile } from "../../src/boot/config-file.ts";
import {
  noTerms,
  readTerms,
  rulesIn,
  rulesWidened,
  serverReaches,
  termsOf,
  widenings,
  type Terms,
} from "../../src/boot/terms.ts";
import { parseJson } from "../../src/lib/json.ts";
import { platformPolicy } from "../../src/security/policy/platform.ts";
import { engineOf, question, shorthandText } from "../security/policy/fixture.ts";

function terms(yaml: string): Terms {
  const { file, problems } = parseConfigFile("daimon.yaml", yaml);
  expect(problems).toEqual([]);
  return termsOf(file, () => []);
}

const trusted = `cpu: reflex
models: { gateway: { baseUrl: "http://localhost:4000/v1", keyEnv: KEY } }
budget: { costUsd: 2 USD, calls: 10 }
window: 32_000
policy:
  allow: [fs.commit(docs/**)]
  ask: [fs.write(contracts/**)]
  deny: [Read(private/**)]
  files: [rules.cedar]
mcp: { servers: { notes: { command: node, args: [server.mjs], env: { LEVEL: info } } } }
egress: { a.test: { header: X-Key, keyEnv: KEY_A } }
`;

const texts = (...from: string[]) => fc.uniqueArray(fc.constantFrom(...from));
const number = fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined });
const reach = fc.constantFrom("a", "b").map((shown) => ({ shown, digest: shown }));
const anyTerms: fc.Arbitrary<Terms> = fc.record({
  limits: fc
    .record({ "budget.costUsd": number, windowTokens: number })
    .map((all) => Object.fromEntries(Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))),
  deny: texts("fs.read(x)", "shell.run", "*", "net.fetch"),
  ask: texts("fs.write(a/**)", "net.fetch", "shell.run"),
  allow: texts("net.fetch", "fs.read(x)", "shell.run", "fs.commit(docs/**)"),
  reaches: fc.dictionary(fc.constantFrom("cpu", "models.a", "mcp.a", "mcp.b", "egress.a.test"), reach),
  files: fc.dictionary(fc.constantFrom("a.cedar", "b.cedar"), fc.constant({ permits: [], forbids: [] })),
});

describe("terms", () => {
  it("BOO-25.1  everything that asks for more is named, one line each", () => {
    const was = terms(trusted);
    const changes: readonly (readonly [from: string, to: string, told: string])[] = [
      ["costUsd: 2 USD", "costUsd: 3 USD", "budget.costUsd is 3, it was 2"],
      [", calls: 10", "", "budget.calls is gone, it was 10"],
      ["window: 32_000\n", "", "windowTokens is gone, it was 32000"],
      ["allow: [fs.commit(docs/**)]", "allow: [fs.commit(docs/**), WebFetch]", "policy.allow WebFetch is new"],
      ["allow: [fs.commit(docs/**)]", "allow: [fs.commit(**)]", "policy.allow fs.commit(**) is new"],
      ["ask: [fs.write(contracts/**)]", "ask: []", "policy.ask fs.write(contracts/**) is gone"],
      ["deny: [Read(private/**)]", "deny: [Read(private/a)]", "policy.deny Read(private/**) is gone"],
      ["files: [rules.cedar]", "files: []", "policy.files rules.cedar is gone"],
      ["cpu: reflex", "cpu: gateway/large", "cpu is gateway/large, it was reflex"],
      ["cpu: reflex\n", "", "cpu is gone, it was reflex"],
      [
        "localhost:4000",
        "evil.example",
        "models.gateway is http://evil.example/v1, key from KEY, it was http://localhost:4000/v1, key from KEY",
      ],
      [
        "keyEnv: KEY",
        "keyEnv: OTHER",
        "models.gateway is http://localhost:4000/v1, key from OTHER, it was http://localhost:4000/v1, key from KEY",
      ],
      ["models: {", "models: { other: {},", "models.other is new: its own address, key from its own variable"],
      ["args: [server.mjs]", "args: [other.mjs]", "mcp.notes is LEVEL=(set) node other.mjs, it was LEVEL=(set) node server.mjs"],
      ["LEVEL: info", "LEVEL: debug", "mcp.notes changed in what it runs or is given: LEVEL=(set) node server.mjs"],
      ["X-Key", "X-Other", "egress.a.test is X-Other from KEY_A, it was X-Key from KEY_A"],
      ["KEY_A", "GITHUB_TOKEN", "egress.a.test is X-Key from GITHUB_TOKEN, it was X-Key from KEY_A"],
      ["egress: {", "egress: { b.test: { header: X, keyEnv: K },", "egress.b.test is new: X from K"],
      ["notes: {", "more: { url: 'http://h/mcp' }, notes: {", "mcp.more is new: http://h/mcp"],
    ];
    for (const [from, to, told] of changes) {
      expect(trusted).toContain(from);
      expect(widenings(was, terms(trusted.replace(from, to))), to).toEqual([told]);
    }
    expect(widenings(noTerms, was)).toHaveLength(5);
  });

  it("BOO-25.2  what only restricts widens nothing: lower limits, more denies and asks, fewer allows and servers, other words", () => {
    const was = terms(trusted);
    for (const [from, to] of [
      ["costUsd: 2 USD", "costUsd: 1 USD"],
      ["calls: 10", "calls: 10, tokens: 5"],
      ["deny: [Read(private/**)]", "deny: [Bash, Read(private/**)]"],
      ["ask: [fs.write(contracts/**)]", "ask: [fs.write(contracts/**), fs.edit]"],
      ["allow: [fs.commit(docs/**)]", "allow: []"],
      [/^mcp: .*\n/m, ""],
      [/^egress: .*\n/m, ""],
      ["cpu: reflex", "# a comment\ncpu: reflex"],
      ["files: [rules.cedar]", "files: [rules.cedar, more.cedar]"],
    ] as const)
      expect(widenings(was, terms(trusted.replace(from, to))), to).toEqual([]);
  });

  it("BOO-25.2  it is an order: nothing widens itself, and steps that widen nothing widen nothing together", () => {
    fc.assert(
      fc.property(anyTerms, anyTerms, anyTerms, (a, b, c) => {
        expect(widenings(a, a)).toEqual([]);
        if (widenings(a, b).length + widenings(b, c).length === 0) expect(widenings(a, c)).toEqual([]);
        /** The meet of two versions widens neither: the smaller limits, all denies and asks, the allows both have. */
        const meet: Terms = {
          limits: Object.fromEntries(
            [...new Set([...Object.keys(a.limits), ...Object.keys(b.limits)])].map((key) => [
              key,
              Math.min(a.limits[key] ?? Infinity, b.limits[key] ?? Infinity),
            ]),
          ),
          deny: [...a.deny, ...b.deny],
          ask: [...a.ask, ...b.ask],
          allow: a.allow.filter((entry) => b.allow.includes(entry)),
          reaches: Object.fromEntries(Object.entries(a.reaches).filter(([name]) => !/^(?:mcp|egress)\./.test(name))),
          files: { ...a.files, ...b.files },
        };
        expect(widenings(a, meet)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("BOO-25.3  under a version that widens nothing nothing is allowed that was not", () => {
    const questions = [
      question("fs.read", "x"),
      question("fs.read", "y"),
      question("fs.write", "a/b"),
      question("shell.run", "ls"),
      question("net.fetch", "example.com"),
      question("fs.commit", "docs/a.md"),
      question("fs.commit", "src/a.ts"),
    ];
    const verbs = ({ allow, ask, deny }: Terms): readonly string[] => {
      const engine = engineOf([platformPolicy, shorthandText({ allow, ask, deny })]);
      return questions.map((one) => engine.decide(one).verb);
    };
    fc.assert(
      fc.property(anyTerms, anyTerms, (was, other) => {
        const now = {
          ...was,
          allow: was.allow.filter((one) => other.allow.includes(one)),
          deny: [...new Set([...was.deny, ...other.deny])],
          ask: [...new Set([...was.ask, ...other.ask])],
        };
        expect(widenings(was, now)).toEqual([]);
        const [before, after] = [verbs(was), verbs(now)];
        for (const [n, verb] of after.entries()) if (verb === "allow") expect(before[n]).toBe("allow");
      }),
      { numRuns: 10 },
    );
  });

  it("BOO-25.1  of a Cedar file a new permit and a lost forbid ask for more, a new forbid and a lost permit do not", () => {
    const permit = (text: string) => ({ effect: "permit", text }) as const;
    const forbid = (text: string) => ({ effect: "forbid", text }) as const;
    const was = rulesIn([permit("a"), permit("b"), forbid("c")]);
    expect(rulesWidened(was, rulesIn([permit("a"), forbid("c"), forbid("d")]))).toBeNull();
    expect(rulesWidened(was, rulesIn([forbid("c"), permit("b"), permit("a")]))).toBeNull();
    expect(rulesWidened(was, rulesIn([permit("a"), permit("B"), forbid("c")]))).toBe("permits more, by 1 rule");
    expect(rulesWidened(was, rulesIn([permit("a"), permit("x"), permit("y")]))).toBe(
      "permits more, by 2 rules and forbids less, by 1 rule",
    );
    expect(rulesWidened(was, rulesIn([permit("a"), permit("b"), permit("c")])), "a forbid turned permit").toContain(
      "permits more",
    );
  });

  it("BOO-25.4  they come back as they were written, or not at all, and hold no value of an environment or a header", () => {
    fc.assert(
      fc.property(anyTerms, (one) => {
        expect(readTerms(parseJson(JSON.stringify(one)))).toEqual(JSON.parse(JSON.stringify(one)));
      }),
    );
    const whole = { ...terms(trusted) };
    for (const broken of [
      null,
      [],
      {},
      { ...whole, deny: [1] },
      { ...whole, limits: { a: "1" } },
      { ...whole, reaches: { a: 1 } },
      { ...whole, files: { a: {} } },
    ])
      expect(readTerms(parseJson(JSON.stringify(broken)))).toBeNull();
    const secret = { command: "x", args: [], env: { TOKEN: "hunter2" }, url: null, headers: { Auth: "hunter3" } };
    const kept = JSON.stringify(serverReaches(new Map([["a", secret]]), () => []));
    expect(kept).toContain("TOKEN=(set)");
    expect(kept).not.toContain("hunter");
  });
});
