import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CallSpec } from "../../src/abi/call.ts";
import { actionOf, normalPath, principalOf, questionsOf } from "../../src/security/question.ts";
import { limits } from "../../src/abi/limits.ts";
import { label } from "../../src/security/labels.ts";

const subject = { principal: principalOf("brief/extract"), outputs: ["BRIEF.md"], label: label("untrusted", "workspace") };

function spec(roles: CallSpec["roles"], name = "x.call"): CallSpec {
  return { name, summary: "", input: {}, output: {}, effect: "write", reversible: true, recovery: "pure", roles };
}

function ask(roles: CallSpec["roles"], args: Record<string, never> | Record<string, unknown>) {
  const one = spec(roles);
  return questionsOf(one, actionOf(one), args as never, subject);
}

describe("questions", () => {
  test("TRP-1.1 paths reach policy normalised, and what leaves the workspace is EINVAL", () => {
    expect(normalPath("./a//b/./c")).toEqual({ ok: true, value: "a/b/c" });
    for (const bad of ["../a", "a/../../b", "/etc/passwd", "~/x", "a\0b", 7, null]) {
      expect(normalPath(bad as never), String(bad)).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    }
    const long = `${"a/".repeat(limits.pathBytesMax / 2)}a`;
    expect(normalPath(long)).toMatchObject({ ok: false, error: { errno: "E2BIG" } });
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const path = normalPath(text);
        if (!path.ok) return;
        const segments = path.value.split("/");
        expect(path.value === "." || segments.every((one) => one !== "" && one !== "." && one !== "..")).toBe(true);
        expect(normalPath(path.value)).toEqual(path);
      }),
    );
  });

  test("TRP-1.2 a call with several paths asks for each", () => {
    const asked = ask({ paths: "path" }, { paths: ["a.md", "BRIEF.md"] });
    expect(asked.ok && asked.value.map((one) => [one.resource.id, one.context["declared"]])).toEqual([
      ["a.md", false],
      ["BRIEF.md", true],
    ]);
  });

  test("TRP-1.3 a host reaches policy in one form, and an odd URL is EINVAL", () => {
    const asked = ask({ url: "host" }, { url: "https://Example.COM./x", method: "post" });
    expect(asked.ok && asked.value[0]?.context).toMatchObject({ host: "example.com", port: 443, method: "POST" });
    const port = (url: string) => {
      const questions = ask({ url: "host" }, { url });
      return questions.ok && questions.value[0]?.context["port"];
    };
    expect(["http://a", "http://a:443", "https://a:8443/x", "https://[2000::1]:1"].map(port)).toEqual([80, 443, 8443, 1]);
    for (const url of ["ftp://a", "file:///etc/passwd", "https://user@a", "https://u:p@a", "not a url", 3]) {
      expect(ask({ url: "host" }, { url }), String(url)).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    }
  });

  test("a fetch that names no method is a GET to policy", () => {
    const asked = ask({ url: "host" }, { url: "https://example.com/" });
    expect(asked.ok && asked.value[0]?.context).toMatchObject({ host: "example.com", method: "GET" });
  });

  test.each([
    ["x.call", "write", true],
    ["x.call", "read", true],
    ["x.call", "external", false],
    ["x.call", "irreversible", false],
    ["fs.commit", "write", false],
    ["mcp.mail.draft", "write", false],
    ["mcp.mail.list", "read", false],
  ] as const)("POL-14.1 whether %s, of class %s, stays in the session: %s", (name, effect, session) => {
    const one = { ...spec({}, name), effect };
    const asked = questionsOf(one, actionOf(one), {}, subject);
    expect(asked.ok && asked.value.map(({ context }) => context["session"])).toEqual([session]);
  });

  test.each([
    ["git status", true, ["git", "git status"]],
    ["git a; rm b", false, ["git", "git a", "rm", "rm b"]],
  ] as const)("POL-11.1 policy is told of %j whether it is simple: %s", (command, simple, commands) => {
    const asked = ask({ command: "command" }, { command });
    expect(asked.ok && asked.value[0]?.context).toMatchObject({ command, simple, commands });
  });

  test("a call without a privileged argument asks about itself", () => {
    const asked = ask({ text: "content" }, { text: "hello" });
    expect(asked.ok && asked.value.map((one) => one.resource)).toEqual([{ type: "Call", id: "x.call", attrs: {}, parents: [] }]);
  });

  test("a tool of a server is also an action of that server", () => {
    expect(actionOf(spec({}, "mcp.mail.send")).parents).toContainEqual({ type: "Action", id: "mcp.mail" });
  });
});
