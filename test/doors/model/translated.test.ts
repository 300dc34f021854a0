/** A guest of one format on a model of another: the guest's own bytes in, a real driver against a real server of the other format out. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { ModelDriver } from "../../../src/abi/model.ts";
import { systemClock } from "../../../src/drivers/clock/system.ts";
import { compatibleDriver } from "../../../src/drivers/model/compatible.ts";
import { httpClient } from "../../../src/drivers/model/http.ts";
import { isObject, type Json, type JsonObject } from "../../../src/lib/json.ts";
import { credential, door, type Provider } from "./door.ts";

/** A server of Chat Completions, and the driver that speaks to it. */
async function chat(
  replies: readonly JsonObject[],
  work: (driver: ModelDriver, asked: readonly JsonObject[]) => Promise<void>,
): Promise<void> {
  const asked: JsonObject[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Json;
      if (isObject(body)) asked.push(body);
      const reply = replies[Math.min(asked.length, replies.length) - 1] ?? {};
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "local", usage, ...reply }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const clock = systemClock();
  const deps = { http: httpClient(clock), clock, random: () => 0.5, instance: "test" };
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const driver = compatibleDriver({ baseUrl, apiKey: null }, deps);
  if (!driver.ok) throw new Error(driver.error.message);
  try {
    await work(driver.value, asked);
  } finally {
    await deps.http.close();
    await new Promise((resolve) => server.close(resolve));
  }
}

const usage = { prompt_tokens: 50, completion_tokens: 7, total_tokens: 57 };
const says = (content: string): JsonObject => ({
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
});
const callsTool = (id: string, command: string): JsonObject => ({
  choices: [
    {
      index: 0,
      message: {
        role: "assistant",
        content: null,
        tool_calls: [{ id, type: "function", function: { name: "Bash", arguments: JSON.stringify({ command }) } }],
      },
      finish_reason: "tool_calls",
    },
  ],
});

const nobody: Provider = (_asked, response) => void response.writeHead(500).end();

const request: JsonObject = {
  model: "claude-x",
  max_tokens: 200,
  system: [{ type: "text", text: "You are careful." }],
  tools: [
    {
      name: "Bash",
      description: "Runs a command.",
      input_schema: { type: "object", properties: { command: { type: "string" } } },
    },
  ],
  messages: [
    { role: "user", content: "list the files" },
    {
      role: "assistant",
      content: [
        { type: "text", text: "I look." },
        { type: "tool_use", id: "toolu_1", name: "Bash", input: { command: "ls" } },
      ],
    },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "a.md" }] },
  ],
};

test("DOR-9.1 a guest of one format runs on a model of another, streamed and in one piece", async () => {
  for (const stream of [true, false]) {
    await chat([callsTool("call_7", "cat a.md")], async (driver, asked) => {
      await door(nobody, { driver }, async ({ post, proc }) => {
        const told = await post("/v1/messages", { ...request, stream });
        expect(told.status).toBe(200);
        expect(told.text).toContain("call_7");
        expect(told.text).toContain(stream ? '"stop_reason":"tool_use"' : "tool_use");
        expect(proc.pending).toMatchObject([{ modelId: "call_7", name: "Bash", args: { command: "cat a.md" } }]);
        expect(proc.spend.tokens).toBe(57);
        expect(asked[0]).toMatchObject({
          messages: [
            { role: "system", content: "You are careful." },
            { role: "user", content: "list the files" },
            { role: "assistant", tool_calls: [{ id: "toolu_1", function: { name: "Bash", arguments: '{"command":"ls"}' } }] },
            { role: "tool", tool_call_id: "toolu_1", content: "a.md" },
          ],
          tools: [{ type: "function", function: { name: "Bash" } }],
        });
      });
    });
  }
});

test("DOR-9.1 every format is written for the guest that speaks it", async () => {
  const asked: readonly (readonly [string, JsonObject, RegExp])[] = [
    ["/v1/chat/completions", { model: "m", messages: [{ role: "user", content: "hi" }] }, /"content":"hello"/],
    ["/v1/responses", { model: "m", input: "hi" }, /"type":"output_text","text":"hello"/],
    ["/v1beta/models/m:generateContent", { contents: [{ role: "user", parts: [{ text: "hi" }] }] }, /"text":"hello"/],
  ];
  await chat([says("hello")], async (driver) => {
    await door(nobody, { driver }, async ({ post }) => {
      for (const [path, body, expected] of asked) {
        const told = await post(path, body);
        expect(told.status, path).toBe(200);
        expect(told.text, path).toMatch(expected);
      }
    });
  });
});

test("DOR-9.2 what cannot be said in the other format is an error that names it, and nothing is asked", async () => {
  await chat([says("hello")], async (driver, asked) => {
    await door(nobody, { driver }, async ({ post }) => {
      const file = { type: "document", source: { type: "base64", media_type: "application/pdf", data: "aGk=" } };
      const told = await post("/v1/messages", { ...request, messages: [{ role: "user", content: [file] }] });
      expect(told.status).toBe(400);
      expect(told.text).toContain("document");
      const compact = await post("/v1/responses/compact", { model: "m", input: "hi" });
      expect(compact.status).toBe(400);
      expect(compact.text).toContain("compacted");
      expect(asked).toEqual([]);
    });
  });
});

test("DOR-9.3 a refused call is answered to the model of the other format, and the guest hears one reply", async () => {
  await chat([callsTool("call_1", "rm -rf /"), says("Then not.")], async (driver, asked) => {
    const decide = ({ resource }: { readonly resource: { readonly id: string } }) =>
      ({ verb: resource.id.startsWith("rm") ? "deny" : "allow", rules: ["no-rm#1"] }) as const;
    await door(nobody, { driver, decide }, async ({ post }) => {
      const told = await post("/v1/messages", { ...request, stream: true });
      expect(told.text).not.toContain("call_1");
      expect(told.text).toContain("[daimon refused: ");
      expect(told.text).toContain("Then not.");
      const messages = asked[1]?.["messages"] as readonly JsonObject[];
      expect(messages.slice(-2)).toMatchObject([
        { role: "assistant", tool_calls: [{ id: "call_1" }] },
        { role: "tool", tool_call_id: "call_1", content: expect.stringContaining("no-rm#1") as string },
      ]);
    });
  });
});

test("DOR-9.4 a reply ends at the guest's stop sequence, a call behind it is not made, and the guest reads which it was", async () => {
  const calling = callsTool("call_1", "ls");
  const [choice] = calling["choices"] as readonly JsonObject[];
  const said = choice?.["message"];
  const both = { choices: [{ ...choice, message: { ...(isObject(said) ? said : {}), content: "one STOP two END" } }] };
  for (const stream of [true, false]) {
    await chat([both], async (driver) => {
      await door(nobody, { driver }, async ({ post, proc }) => {
        const told = await post("/v1/messages", { ...request, stream, stop_sequences: ["END", "STOP"] });
        expect(told.text).toContain('"stop_reason":"stop_sequence","stop_sequence":"STOP"');
        expect(told.text).toContain('"one "');
        expect(told.text).not.toMatch(/two|call_1/);
        expect(proc.pending).toEqual([]);
      });
    });
  }
  await chat([says("one STOP two")], async (driver) => {
    await door(nobody, { driver }, async ({ post }) => {
      const body = { model: "m", messages: [{ role: "user", content: "hi" }], stop: "STOP" };
      const { choices } = JSON.parse((await post("/v1/chat/completions", body)).text) as { choices: readonly JsonObject[] };
      expect(choices[0]).toMatchObject({ message: { content: "one " }, finish_reason: "stop" });
    });
  });
});

test("DOR-7.2 where a model of another format answers, the door counts by itself and lists that model, and asks nobody", async () => {
  await chat([says("hello")], async (driver, asked) => {
    await door(nobody, { driver, providers: false }, async ({ post, url, asked: passed }) => {
      const body = JSON.stringify(request);
      const counted = await post("/v1/messages/count_tokens", body);
      expect(JSON.parse(counted.text)).toEqual({ input_tokens: Math.ceil(Buffer.byteLength(body) / 4) });
      const listed = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${credential}` } });
      expect(await listed.json()).toMatchObject({ object: "list" });
      expect([...asked, ...passed]).toEqual([]);
    });
  });
});

test("DOR-9.2 an image reaches a model that sees, and a model that reads text alone is not asked", async () => {
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } };
  const showing = { ...request, messages: [{ role: "user", content: [image, { type: "text", text: "What is it?" }] }] };
  await chat([says("a heart")], async (driver, asked) => {
    await door(nobody, { driver }, async ({ post }) => {
      expect((await post("/v1/messages", showing)).text).toContain("a heart");
    });
    const sent = asked[0]?.["messages"];
    expect(Array.isArray(sent) ? sent.at(-1) : sent).toEqual({
      role: "user",
      content: [
        { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
        { type: "text", text: "What is it?" },
      ],
    });
    await door(nobody, { driver: { ...driver, textOnly: true } }, async ({ post }) => {
      const told = await post("/v1/messages", showing);
      expect(told.status).toBe(400);
      expect(told.text).toContain("reads text alone");
    });
    expect(asked).toHaveLength(1);
  });
});
