/** The tool door, by clients of both eras, on a whole kernel. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Client } from "@modelcontextprotocol/client";
import type { Gate } from "../../../src/abi/gate.ts";
import { toolDoor } from "../../../src/doors/tool/door.ts";
import { serveHttp } from "../../../src/doors/tool/http.ts";
import { ok } from "../../../src/lib/result.ts";
import { handler } from "../../kernel/rig.ts";
import { clientOf, credential, openedDoor, type Opened } from "./opened.ts";

let opened: Opened;
let legacy: Client;
let modern: Client;
const heard: string[] = [];

beforeAll(async () => {
  opened = await openedDoor({ type: "namespaced" }, { decide: (request) => decide(request.action.id) });
  legacy = await clientOf(opened.url, "legacy", { elicitation: {} }, (client) => {
    client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ada" } }));
    client.setNotificationHandler("notifications/message", ({ params }) => void heard.push(String(params.data)));
  });
  modern = await clientOf(opened.url, "auto");
});

afterAll(async () => {
  await legacy.close();
  await modern.close();
  await opened.close();
});

function decide(action: string): { verb: "allow" | "deny"; rules: string[] } {
  return { verb: action.endsWith(".lists") ? "deny" : "allow", rules: ["test#1"] };
}

const eras = ["sessions", "stateless"] as const;
const of = (era: (typeof eras)[number]): Client => (era === "sessions" ? legacy : modern);

test.each(eras)("DRT-1.2 a client of the era with %s is served", async (era) => {
  expect(of(era).getProtocolEra()).toBe(era === "sessions" ? "legacy" : "modern");
  const { tools } = await of(era).listTools();
  expect(tools.map(({ name }) => name).slice(0, 3)).toEqual(["fs__gone", "fs__read", "rich__ask_name"]);
  expect(tools.at(-1)?.name).toBe("daimon__read_on");
  const result = await of(era).callTool({ name: "rich__image" });
  expect(result.content).toEqual([
    { type: "text", text: "a picture" },
    { type: "image", data: "AAAA", mimeType: "image/png" },
  ]);
});

test("DRT-1.1 every request is a call in the journal, and a name that is not held is unknown", async () => {
  const names: string[] = [];
  const stop = opened.machine.kernel.on((entry) => {
    if (entry.kind === "call") names.push(`${entry.name} ${entry.intent.verb}`);
  });
  await legacy.callTool({ name: "fs__read", arguments: { path: "a.txt" } });
  await legacy.listResources();
  await legacy.readResource({ uri: "daimon:rich/file:///a" });
  await legacy.getPrompt({ name: "rich__greet" });
  stop();
  expect(names).toEqual([
    "fs.read allow",
    "mcp.rich.resources.list allow",
    "mcp.rich.resources.list allow",
    "mcp.rich.resources.read allow",
    "mcp.rich.prompts.get allow",
  ]);
  for (const name of ["rich__nothing", "mcp.rich.image", "__proto__", "toString"]) {
    await expect(legacy.callTool({ name })).rejects.toMatchObject({ code: -32602 });
  }
  await expect(legacy.readResource({ uri: "file:///a" })).rejects.toMatchObject({ code: -32602 });
});

test("DRT-1.1 a process sees and reaches only what it holds", async () => {
  const narrow = await openedDoor({ type: "namespaced" }, {}, ["mcp.rich.image"]);
  const client = await clientOf(narrow.url, "legacy");
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["rich__image", "daimon__read_on"]);
  expect(client.getServerCapabilities()?.resources).toBeUndefined();
  await expect(client.callTool({ name: "fs__read" })).rejects.toMatchObject({ code: -32602 });
  await client.close();
  await narrow.close();
});

test("DRT-1.3 a server asks the client that called, and tells it", async () => {
  const asked = await legacy.callTool({ name: "rich__ask_name" });
  expect(asked.content).toEqual([{ type: "text", text: '{"name":"Ada"}' }]);
  const progress: number[] = [];
  await legacy.callTool({ name: "rich__tell" }, { onprogress: (told) => void progress.push(told.progress) });
  expect(heard).toEqual(["working"]);
  expect(progress).toEqual([1]);
  const mute = await modern.callTool({ name: "rich__ask_name" });
  expect(mute.content).toEqual([{ type: "text", text: "refused" }]);
});

test("DRT-1.3 a client is asked nothing that it did not declare, and nothing that servers do not ask", async () => {
  const refusals: string[] = [];
  const gate: Gate = {
    specs: () => [handler({ name: "x.ask" }, () => ok({ value: 1 })).spec],
    call: async (_name, _args, exchange) => {
      for (const method of ["sampling/createMessage", "roots/list", "tools/list", "ping"])
        await exchange.ask(method, { messages: [], maxTokens: 1 }).catch((error: Error) => refusals.push(error.message));
      return ok("asked");
    },
    watch: () => () => undefined,
  };
  const served = await serveHttp(toolDoor({ gate, mode: { type: "namespaced" }, version: "1" }), {
    listen: { port: 0 },
    credential,
  });
  if (!served.ok) throw new Error(served.error.message);
  const client = await clientOf(served.value.url ?? "", "legacy", { elicitation: {} });
  await client.callTool({ name: "x__ask" });
  expect(refusals).toEqual(Array.from({ length: 4 }, () => "the client cannot be asked this"));
  await client.close();
  await served.value.close();
});

test("DRT-1.4 a client that cancels its request cancels the call", async () => {
  const outcome = new Promise<unknown>((resolve) => {
    const stop = opened.machine.kernel.on((entry) => {
      if (entry.kind !== "outcome") return;
      stop();
      resolve(entry);
    });
  });
  const abort = new AbortController();
  const begun = new Promise<void>((resolve) => {
    const stop = opened.machine.kernel.on((entry) => {
      if (entry.kind !== "call") return;
      stop();
      resolve();
    });
  });
  const hanging = legacy.callTool({ name: "rich__hang" }, { signal: abort.signal });
  await begun;
  abort.abort();
  await expect(hanging).rejects.toThrow();
  expect(await outcome).toMatchObject({ error: { errno: "ECANCELED" } });
});

test("DRT-3.1 what failed is a result the model reads, what the protocol refuses is an error", async () => {
  const gone = await legacy.callTool({ name: "fs__gone" });
  expect(gone).toMatchObject({ isError: true, content: [{ type: "text", text: "ENOENT: there is no such file" }] });
  const denied = await modern.callTool({ name: "rich__lists" });
  expect(denied.isError).toBe(true);
  expect(JSON.stringify(denied.content)).toContain("EPERM");
  await expect(legacy.getPrompt({ name: "nobody__greet" })).rejects.toMatchObject({ code: -32602 });
});

test("DRT-3.2 a long text is cut and read on", async () => {
  const first = await legacy.callTool({ name: "rich__long" });
  const text = textOf(first);
  expect(text).toMatch(/daimon__read_on \{"text":"1","from":\d+\} reads on\]$/);
  const from = Number(/"from":(\d+)/.exec(text)?.[1]);
  const rest = textOf(await modern.callTool({ name: "daimon__read_on", arguments: { text: "1", from } }));
  expect(text.slice(0, from) + rest).toBe("lorem ".repeat(20_000));
  const none = await legacy.callTool({ name: "daimon__read_on", arguments: { text: "9", from: 0 } });
  expect(none.isError).toBe(true);
});

test("DRT-3.3 links and resources are named as the client can read them", async () => {
  const { content } = await legacy.callTool({ name: "rich__links" });
  expect(content).toEqual([
    { type: "resource_link", uri: "daimon:rich/file:///b", name: "b" },
    { type: "resource", resource: { uri: "daimon:rich/file:///a", text: "inside" } },
  ]);
  const { resources } = await modern.listResources();
  expect(resources.map(({ uri, name }) => [uri, name])).toEqual([
    ["daimon:rich/file:///a", "ab"],
    ["daimon:rich/file:///b", "b"],
  ]);
  const { resourceTemplates } = await legacy.listResourceTemplates();
  expect(resourceTemplates[0]?.uriTemplate).toBe("daimon:rich/file:///{name}");
  const read = await legacy.readResource({ uri: "daimon:rich/file:///b" });
  expect(read.contents).toMatchObject([{ uri: "daimon:rich/file:///b", text: "of file:///b" }]);
  const { prompts } = await legacy.listPrompts();
  expect(prompts[0]?.name).toBe("rich__greet");
  const completed = await legacy.complete({
    ref: { type: "ref/prompt", name: "rich__greet" },
    argument: { name: "whom", value: "A" },
  });
  expect(completed.completion.values).toEqual(["A!", '{"type":"ref/prompt","name":"greet"}']);
});

function textOf(result: { readonly content: readonly unknown[] }): string {
  return (result.content[0] as { readonly text: string }).text;
}
