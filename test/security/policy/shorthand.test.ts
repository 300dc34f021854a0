import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matches, parseGlob } from "../../../src/lib/glob.ts";
import { shorthandToCedar } from "../../../src/security/policy/shorthand.ts";
import { calls, engineOf, question, shorthandText, verb } from "./fixture.ts";
import { cedarEngine, parsePolicies } from "../../../src/drivers/policy/cedar.ts";
import { schema } from "./fixture.ts";

const segment = fc.constantFrom("a", "b", "ab", "A", "x.md", ".env", "é", 'q"', "a*", "*", "*.md", "**", "?");
const name = fc.constantFrom("a", "b", "ab", "aab", "A", "x.md", "y.md", ".env", "é", 'q"', ".md", "*");
const pattern = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));

function entry(verbOf: "allow" | "ask" | "deny", text: string) {
  const none = { allow: [], ask: [], deny: [] };
  return shorthandToCedar({ ...none, [verbOf]: [{ text, line: 7 }] }, { scope: "project", file: "daimon.yaml", calls });
}

describe("entries", () => {
  test.each([
    ["fs.write", "fs.write", "a", "allow"],
    ["fs.*", "fs.edit", "a/b", "allow"],
    ["fs.*", "net.fetch", "x.com", "deny"],
    ["*", "task.done", undefined, "allow"],
    ["Read(./src/**)", "fs.read", "src/a/b.ts", "allow"],
    ["Read(./src/**)", "fs.list", "src", "allow"],
    ["Read(./src/**)", "fs.read", "srcs/a", "deny"],
    ["Edit(docs/**)", "fs.edit", "docs/a.md", "allow"],
    ["Write(docs/*.md)", "fs.write", "docs/a.md", "allow"],
    ["Write(docs/*.md)", "fs.write", "docs/a/b.md", "deny"],
    ["Read(**/*.md)", "fs.read", "a/b.md", "allow"],
    ["Read(**/*.md)", "fs.read", "b.md", "allow"],
    ["Read(**/lib/**)", "fs.read", "a/lib/b", "allow"],
    ["Read(*)", "fs.read", "a/b", "deny"],
    ["WebFetch", "net.fetch", "a.com", "allow"],
    ["mcp__hub__push", "mcp.hub.push", undefined, "allow"],
    ["mcp__hub", "mcp.hub.push", undefined, "allow"],
  ])("POL-13.1  allow %s makes %s %s %s", (text, call, argument, wanted) => {
    expect(verb(engineOf([shorthandText({ allow: [text] })]), call, argument)).toBe(wanted);
  });

  test.each([
    "",
    "Read(",
    "fs.raed",
    "Read(../x)",
    "Read(~/x)",
    "Read(//etc/passwd)",
    "Bash(a && b)",
    "Bash(git > x)",
    "Bash()",
    "Bash(git *:*)",
    "WebFetch(domain:a b)",
    "WebFetch(https://a.com/x)",
    "WebFetch(domain:a.*)",
    "task.done(x)",
    "Read(a?)",
    "Read(a*/**/b)",
    "nope.*",
    "fs.*(x)y",
    "Read(a\0b)",
  ])("POL-13.1  allow %j is refused with file, line and what to write", (text) => {
    const result = entry("allow", text);
    expect(result.ok).toBe(false);
    if (!result.ok) {
      expect(result.error.errno).toBe("ENOEXEC");
      expect(result.error.message).toMatch(/^daimon\.yaml:7: .+; .+/s);
    }
  });

  test("POL-13.1  whatever the entry, it is an error or Cedar that passes the schema, one policy for one line", () => {
    const heads = fc.constantFrom(
      "Read",
      "Edit",
      "Bash",
      "WebFetch",
      "fs.read",
      "fs.*",
      "*",
      "mcp__hub",
      "mcp__no__t",
      "task.done",
      "__proto__",
      "constructor",
    );
    const bodies = fc.oneof(
      pattern,
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.constantFrom("git diff:*", "rm *", "a*b c", "domain:*.x.org", "$X", "'", "\\"),
    );
    const entries = fc.oneof(
      heads,
      fc.tuple(heads, bodies).map(([head, body]) => `${head}(${body})`),
      fc.string({ unit: "binary", maxLength: 10 }),
    );
    fc.assert(
      fc.property(fc.constantFrom("allow", "ask", "deny"), entries, (verbOf, text) => {
        const result = entry(verbOf, text);
        if (!result.ok) return;
        const set = parsePolicies([result.value], schema);
        expect(set.ok ? "" : set.error.message).toBe("");
        if (set.ok) expect(set.value.rules.map((rule) => rule.line)).toEqual(result.value.lines);
      }),
      { numRuns: 600 },
    );
  });
});

describe("paths", () => {
  test("POL-13.2  an allowed path pattern allows exactly what the glob matches", () => {
    fc.assert(
      fc.property(pattern, fc.array(path, { minLength: 6, maxLength: 6 }), (text, paths) => {
        const policy = entry("allow", `Read(./${text})`);
        if (!policy.ok) return;
        const glob = parseGlob(text);
        const engine = engineOf([policy.value]);
        for (const each of paths)
          expect(verb(engine, "fs.read", each)).toBe(glob.ok && matches(glob.value, each) ? "allow" : "deny");
      }),
      { numRuns: 400 },
    );
  });

  test("POL-13.3  a denied path pattern denies what the glob matches in any case, and what lies below", () => {
    fc.assert(
      fc.property(pattern, fc.array(path, { minLength: 6, maxLength: 6 }), (text, paths) => {
        const policy = entry("deny", `Read(${text})`);
        const glob = parseGlob(text.toLowerCase());
        if (!policy.ok || !glob.ok) return;
        const engine = engineOf([shorthandText({ allow: ["*"] }), { ...policy.value, file: "other.yaml" }]);
        for (const each of paths) {
          if (!matches(glob.value, each.toLowerCase())) continue;
          expect(verb(engine, "fs.read", each)).toBe("deny");
          expect(verb(engine, "fs.read", `${each.toUpperCase()}/below`)).toBe("deny");
        }
      }),
      { numRuns: 300 },
    );
  });

  test("POL-13.3  a name without a slash is denied at any depth, and a denied edit cannot be committed", () => {
    const engine = engineOf([shorthandText({ allow: ["*"], deny: ["Edit(notes.md)", "Read(.env)"] })]);
    expect(verb(engine, "fs.edit", "a/b/Notes.md")).toBe("deny");
    expect(verb(engine, "fs.commit", "a/notes.md")).toBe("deny");
    expect(verb(engine, "fs.read", "a/.ENV")).toBe("deny");
    expect(verb(engine, "fs.read", "a/notes.md")).toBe("allow");
  });

  test("POL-13.3  a denied name is denied in every disguise, and may itself be written in one", () => {
    const engine = engineOf([shorthandText({ allow: ["*"], deny: ["Read(private/**)", "Read(Stra\u00dfe. )"] })]);
    for (const path of ["pri\u200dvate/x", "PRIVATE. /x", "\uff50rivate/x", "a/STRASSE", "stra\u00dfe/below"])
      expect(verb(engine, "fs.read", path), path).toBe("deny");
    expect(verb(engine, "fs.read", "privates/x")).toBe("allow");
    expect(entry("deny", "Read(../x)")).toMatchObject({ ok: false });
  });
});

describe("commands", () => {
  test.each([
    ["Bash(git status)", "git status", "allow"],
    ["Bash(git status)", "git status -s", "deny"],
    ["Bash(git status)", "git status; rm -rf /", "deny"],
    ["Bash(git status)", "git status > x", "deny"],
    ["Bash(git diff:*)", "git diff", "allow"],
    ["Bash(git diff:*)", "git diff HEAD~1 -- a.ts", "allow"],
    ["Bash(git diff:*)", "git difftool", "deny"],
    ["Bash(git diff:*)", "git diff && x", "deny"],
    ["Bash(git diff:*)", "git diff $(x)", "deny"],
    ["Bash(git diff:*)", 'git diff "$(x)"', "deny"],
    ["Bash(git diff:*)", "git diff `x`", "deny"],
    ["Bash(git diff:*)", "git diff\nx", "deny"],
    ["Bash(git diff:*)", "git diff \\\nx", "deny"],
    ["Bash(git diff:*)", "git diff | x", "deny"],
    ["Bash(git diff:*)", "git diff & x", "deny"],
    ["Bash(git diff:*)", "git diff <(x)", "deny"],
    ["Bash(git diff:*)", "git diff 'a;b'", "allow"],
    ["Bash(npm run test *)", "npm run test unit", "allow"],
    ["Bash(npm run test *)", "npm run tests", "deny"],
    ["Bash", "a; b", "allow"],
  ])("POL-13.4  allow %s makes %j %s", (text, command, wanted) => {
    expect(verb(engineOf([shorthandText({ allow: [text] })]), "shell.run", command)).toBe(wanted);
  });

  test.each([
    ["Bash(git push:*)", "git push origin", "deny"],
    ["Bash(git push)", "git push -f", "deny"],
    ["Bash(git push:*)", "git pull", "allow"],
    ["Bash(git push:*)", "cd x && git push", "deny"],
    ["Bash(git push:*)", "echo $(git push)", "deny"],
    ["Bash(git push:*)", "g'i't \"push\"", "deny"],
    ["Bash(git push:*)", "/usr/bin/git push", "deny"],
    ["Bash(git push:*)", "sudo -u me git push", "deny"],
    ["Bash(git push:*)", "bash -c 'x; git push'", "deny"],
    ["Bash(git push:*)", "git >/dev/null push", "deny"],
    ["Bash(git push:*)", "git $(true) push", "deny"],
    ["Bash(git push:*)", "git $X", "deny"],
    ["Bash(git push:*)", "$X push", "deny"],
    ["Bash(git push:*)", "A=1 git push", "deny"],
    ["Bash(git push:*)", "if x; then git push; fi", "deny"],
    ["Bash(git push:*)", "ls $HOME", "allow"],
    ["Bash(rm *)", "rm -rf x", "deny"],
    ["Bash(rm *)", "rmdir x", "allow"],
    ["Bash(npm run test*)", "npm run tests", "deny"],
    ["Bash(npm run test*)", "npm run build", "allow"],
    ["Bash(npm run test*)", 'npm run "t"est', "deny"],
    ["Bash(* --force)", "git push --force", "deny"],
  ])("POL-13.5  deny %s makes %j %s", (text, command, wanted) => {
    expect(verb(engineOf([shorthandText({ allow: ["*"], deny: [text] })]), "shell.run", command)).toBe(wanted);
  });

  test("POL-13.5  a denied command is denied wherever it stands in a line", () => {
    const engine = engineOf([shorthandText({ allow: ["*"], deny: ["Bash(git push:*)"] })]);
    const before = fc.constantFrom(
      "",
      "x; ",
      "x && ",
      "x | ",
      "(",
      "{ ",
      "$(",
      "`",
      "x\n",
      "A=b ",
      "! ",
      "nohup ",
      "env -i A=b ",
      'echo "$(',
      "if ",
      "sh -c '",
      "2>&1 ",
    );
    const after = fc.constantFrom("", " origin", "; x", ")", "`", " > y", "'", " &");
    fc.assert(
      fc.property(
        before,
        after,
        before,
        (a, b, c) => verb(engine, "shell.run", `${c}${a}git push${b}`) === "deny" || c.includes("'") || c.includes('"'),
      ),
    );
  });
});

test.each([
  ["allow", "domain:example.com", "example.com", "allow"],
  ["allow", "domain:example.com", "a.example.com", "deny"],
  ["allow", "domain:*.example.com", "a.b.example.com", "allow"],
  ["allow", "domain:*.example.com", "example.com", "deny"],
  ["allow", "domain:*.example.com", "evilexample.com", "deny"],
  ["allow", "Example.com", "example.com", "allow"],
  ["deny", "domain:example.com", "a.example.com", "deny"],
  ["deny", "domain:example.com", "notexample.com", "allow"],
] as const)("POL-13.6  %s WebFetch(%s) for %s: %s", (list, text, host, wanted) => {
  const lists = list === "allow" ? { allow: [`WebFetch(${text})`] } : { allow: ["*"], deny: [`WebFetch(${text})`] };
  expect(verb(engineOf([shorthandText(lists)]), "net.fetch", host)).toBe(wanted);
});

test.each([
  ["allow", "net.connect(example.com)", 443, "allow"],
  ["allow", "net.connect(example.com)", 80, "allow"],
  ["allow", "net.connect(example.com)", 22, "deny"],
  ["ask", "net.connect(domain:example.com)", 22, "deny"],
  ["ask", "net.connect(*)", 443, "ask"],
  ["allow", "net.connect(*)", 8443, "deny"],
  ["allow", "net.connect(*:8443)", 8443, "allow"],
  ["allow", "net.connect(example.com:8443)", 8443, "allow"],
  ["allow", "net.connect(example.com:8443)", 443, "deny"],
  ["allow", "net.connect", 22, "allow"],
  ["deny", "net.connect(example.com)", 22, "deny"],
  ["deny", "net.connect(example.com:22)", 22, "deny"],
  ["deny", "net.connect(example.com:22)", 443, "allow"],
] as const)("POL-13.9  %s %s at port %d: %s", (list, text, port, wanted) => {
  const lists = list === "deny" ? { allow: ["net.connect"], deny: [text] } : { [list]: [text] };
  const engine = engineOf([shorthandText(lists)]);
  expect(engine.decide(question("net.connect", "example.com", { port })).verb).toBe(wanted);
});

test("POL-13.9  an entry for what an agent fetches keeps every port, and one with a port is that port", () => {
  const fetches = (text: string, port: number) =>
    engineOf([shorthandText({ allow: [text] })]).decide(question("net.fetch", "example.com", { port })).verb;
  expect(fetches("WebFetch(domain:example.com)", 8443)).toBe("allow");
  expect(fetches("WebFetch(domain:example.com:443)", 8443)).toBe("deny");
  expect(fetches("WebFetch(domain:example.com:8443)", 8443)).toBe("allow");
});

test("POL-13.10  a deny of what is fetched holds for a guest's connections, an allow does not", () => {
  const denied = engineOf([shorthandText({ allow: ["net.connect"], deny: ["WebFetch(domain:example.com)"] })]);
  expect(verb(denied, "net.connect", "example.com")).toBe("deny");
  expect(verb(denied, "net.connect", "a.example.com")).toBe("deny");
  expect(verb(denied, "net.connect", "example.org")).toBe("allow");
  const allowed = engineOf([shorthandText({ allow: ["WebFetch(domain:example.com)"] })]);
  expect(verb(allowed, "net.fetch", "example.com")).toBe("allow");
  expect(verb(allowed, "net.connect", "example.com")).toBe("deny");
});

test("POL-13.7  deny wins over ask, ask over allow, in any file; Cedar itself agrees", () => {
  const entries = ["Read(src/**)", "Read", "fs.read", "fs.*", "*", "Read(src/a)"];
  fc.assert(
    fc.property(fc.subarray(entries), fc.subarray(entries), fc.subarray(entries), (allow, ask, deny) => {
      const texts = [shorthandText({ allow, ask }), { ...shorthandText({ deny }), file: "user.yaml", scope: "user" as const }];
      const wanted = deny.length > 0 ? "deny" : ask.length > 0 ? "ask" : allow.length > 0 ? "allow" : "deny";
      expect(verb(engineOf(texts), "fs.read", "src/a")).toBe(wanted);
    }),
    { numRuns: 60 },
  );
  const set = parsePolicies([shorthandText({ allow: ["*"], deny: ["Read(src/*)"] })], schema);
  const cedar = set.ok ? cedarEngine(set.value) : set;
  expect(cedar.ok && verb(cedar.value, "fs.read", "src/x")).toBe("deny");
});

test("POL-13.8  an entry about an MCP tool that is not connected decides nothing", () => {
  const text = shorthandText({ allow: ["mcp__gone", "mcp__gone__x", "mcp.gone.*"], deny: ["mcp__hub__gone"] });
  expect(text.lines).toEqual([]);
  expect(verb(engineOf([text]), "mcp.hub.push")).toBe("deny");
});
