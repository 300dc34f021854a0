/** The shipped policy through the whole machine, with a model that tries what it may not: a scripted server behind a real HTTP driver. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Json } from "../../../src/lib/json.ts";
import { acceptFile } from "../../../src/boot/accept.ts";
import { put } from "../../boot/folder.ts";
import { must, outcomes, parked, perform, start, told, up, workspace, type Call, type Workspace } from "../../boot/machine.ts";
import { answer } from "../../kernel/answer.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

interface Tried {
  readonly port: number;
  /** What the model was told of its calls, in order. */
  readonly heard: string[];
}

/** A model that makes one call after another, whatever it is told, and then ends. */
function model(calls: readonly Call[]): Promise<Tried> {
  const heard: string[] = [];
  let turn = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      const { messages, tools } = JSON.parse(body) as {
        messages: readonly { role: string; content: Json }[];
        tools: readonly { function: { name: string } }[];
      };
      heard.splice(
        0,
        heard.length,
        ...messages.filter((message) => message.role === "tool").map((message) => JSON.stringify(message.content)),
      );
      const [name, args] = calls[turn] ?? ["task.done", { value: "tried" }];
      const tool = tools.find((offered) => offered.function.name.replaceAll(/[^a-z]/g, "") === name.replaceAll(/[^a-z]/g, ""));
      const call = {
        index: 0,
        id: `call_${turn}`,
        type: "function",
        function: { name: tool?.function.name ?? name, arguments: JSON.stringify(args) },
      };
      turn += 1;
      const message = { role: "assistant", content: null, tool_calls: [call] };
      const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify({
          id: "c",
          object: "chat.completion",
          model: "m",
          usage,
          choices: [{ index: 0, message, finish_reason: "tool_calls" }],
        }),
      );
    });
  });
  servers.push(server);
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve({ port: (server.address() as AddressInfo).port, heard }));
  });
}

function withUserPolicy(where: Workspace, yaml: string): void {
  put(path.join(where.layout.user.folder, "config.yaml"), yaml);
}

const tries: readonly (readonly [Call, RegExp])[] = [
  [["fs.write", { path: "../outside.txt", text: "x" }], /EINVAL/],
  [["fs.write", { path: "/etc/daimon-was-here", text: "x" }], /EINVAL/],
  [["fs.write", { path: ".daimon/keys/x", text: "x" }], /EPERM/],
  [["net.fetch", { url: "http://127.0.0.1:9/?q=1" }], /EPERM.*no rule permits/],
  [["fs.read", { path: ".env" }], /EPERM.*secret/],
  [["fs.read", { path: "sub/ID_RSA" }], /EPERM.*secret/],
  [["fs.commit", { paths: ["AGENTS.md"] }], /EPERM.*instructs agents/],
  [["fs.commit", { paths: [".git/hooks/pre-commit"] }], /EPERM/],
  [["fs.commit", { paths: [".github/workflows/x.yml"] }], /EPERM/],
];

const files = { ".env": "TOKEN=hunter2\n", "sub/ID_RSA": "hunter2\n", "a.txt": "a\n" };

describe("policy defaults", () => {
  it("a model that tries everything is refused each time with stage and reason, and reads no secret", async () => {
    const where = workspace(files);
    const { port, heard } = await model(tries.map(([call]) => call));
    withUserPolicy(where, `models:\n  scripted:\n    baseUrl: http://127.0.0.1:${port}/v1\n`);
    const machine = await up(where, { cpu: "scripted/m" });
    const pid = must(
      machine.kernel.spawn({
        manifest: {
          name: "prisoner",
          version: "1.0.0",
          kind: "agent",
          instructions: "Try.",
          cpu: null,
          calls: ["*"],
          output: null,
          limits: { tokens: 1_000_000, costUsd: 10, calls: 100, timeMs: 60_000 },
          windowTokens: null,
          stepsMax: 50,
          outputs: [],
        },
        goal: "escape",
        parent: 0,
        call: null,
      }),
    );
    const status = await Promise.race([machine.kernel.wait(pid), parked(machine, pid)]);
    expect(machine.kernel.processes()[0]?.park).toBeNull();
    if (status === undefined) return;
    expect(status.ok ? "ok" : status.error.message).toBe("ok");
    expect(heard).toHaveLength(tries.length);
    for (const [n, [call, says]] of tries.entries()) expect(heard[n], call.join(" ")).toMatch(says);
    expect(heard.join("")).not.toContain("hunter2");
    expect(machine.kernel.processes()[0]?.refused).toBeGreaterThanOrEqual(tries.length - 1);
    expect(where.has("AGENTS.md") || where.has(".git") || where.has(".github")).toBe(false);
  });

  it("a body is refused the same", async () => {
    const machine = await up(workspace(files));
    const results = await perform(
      machine,
      tries.map(([call]) => call),
    );
    for (const [n, [call, says]] of tries.entries()) expect(told(results[n]), call.join(" ")).toMatch(says);
  });

  for (const [word, allow] of [
    ["yes", true],
    ["no", false],
  ] as const) {
    it(`an undeclared commit waits for a person, and goes on with their ${word}`, async () => {
      const where = workspace({ "a.txt": "before" });
      const machine = await up(where);
      const pid = await start(machine, [
        ["fs.write", { path: "a.txt", text: "after" }],
        ["fs.commit", { paths: ["a.txt"] }],
      ]);
      await parked(machine, pid);
      expect(machine.kernel.processes()).toMatchObject([
        { park: { type: "approval", question: expect.stringContaining("fs.commit") } },
      ]);
      expect(where.read("a.txt")).toBe("before");
      must(answer(machine.kernel, pid, { allow }));
      const [, committed] = outcomes(await machine.kernel.wait(pid));
      expect(told(committed)).toMatch(allow ? /^ok/ : /^EPERM a person refused/);
      expect(where.read("a.txt")).toBe(allow ? "after" : "before");
    });
  }

  it("a deny of the user beats an allow of the project, and the other way round", async () => {
    const where = workspace({ "a.txt": "a" });
    where.put("daimon.yaml", "policy:\n  allow:\n    - net.fetch\n    - fs.read\n  deny:\n    - fs.list\n");
    must(await acceptFile(where.layout, "daimon.yaml", 0));
    withUserPolicy(where, "policy:\n  deny:\n    - net.fetch\n    - fs.read\n  allow:\n    - fs.list\n");
    const machine = await up(where);
    const results = await perform(machine, [
      ["net.fetch", { url: "http://127.0.0.1:9/" }],
      ["fs.read", { path: "a.txt" }],
      ["fs.list", {}],
    ]);
    for (const result of results) expect(told(result)).toMatch(/^EPERM .* policy forbids it/);
  });

  it("configuration that nobody trusted restricts and widens nothing", async () => {
    const where = workspace({ "a.txt": "a" });
    where.put(
      "daimon.yaml",
      "policy:\n  allow:\n    - net.fetch\n    - fs.commit(a.txt)\n  deny:\n    - fs.list\nmodels:\n  mine:\n    baseUrl: http://127.0.0.1:9/v1\n",
    );
    const machine = await up(where);
    expect(machine.findings.length).toBeGreaterThan(0);
    expect(machine.config.models).toEqual({});
    const pid = await start(machine, [
      ["net.fetch", { url: "http://127.0.0.1:9/" }],
      ["fs.list", {}],
      ["fs.write", { path: "a.txt", text: "after" }],
      ["fs.commit", { paths: ["a.txt"] }],
    ]);
    await parked(machine, pid);
    must(answer(machine.kernel, pid, { allow: false }));
    const [fetched, listed] = outcomes(await machine.kernel.wait(pid));
    expect(told(fetched)).toMatch(/^EPERM .*no rule permits/);
    expect(told(listed)).toMatch(/^EPERM/);
    expect(where.read("a.txt")).toBe("a");
  });
});
