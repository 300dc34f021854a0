/** What each dialect sends and how it reads what only its provider says. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Message } from "../../../src/abi/message.ts";
import { anthropicDriver } from "../../../src/drivers/model/anthropic.ts";
import { isClassic, messagesDialect } from "../../../src/wire/messages.ts";
import { contractFormat } from "../../../src/wire/messages-schema.ts";
import { compatibleDriver } from "../../../src/drivers/model/compatible.ts";
import { chatDialect } from "../../../src/wire/chat.ts";
import { openAiDriver } from "../../../src/drivers/model/openai.ts";
import { responsesDialect } from "../../../src/wire/responses.ts";
import type { Dialect } from "../../../src/wire/dialect.ts";
import type { Json } from "../../../src/lib/json.ts";
import { anthropicWire } from "../../upstream/anthropic.ts";
import type { Turn } from "../../upstream/turns.ts";
import { ask, base, readTool, reply, user, watched, withBench } from "./asking.ts";
import { must, secret } from "./subjects.ts";

test("MOD-4.5 a conversation that grows, shrinks or is changed anywhere is sent as if it were new", () => {
  const call = fc.record({
    type: fc.constant("call" as const),
    id: fc.string({ maxLength: 3 }),
    name: fc.constantFrom("fs.read", "a.b"),
    args: fc.jsonValue().map((value) => value as Json),
  });
  const text = fc.record({ type: fc.constant("text" as const), text: fc.string({ unit: "binary", maxLength: 8 }) });
  const result = fc.record({
    type: fc.constant("result" as const),
    id: fc.string({ maxLength: 3 }),
    name: fc.constant("a.b"),
    ok: fc.boolean(),
    text: fc.string(),
    page: fc.constant("1.1.0"),
  });
  const opaque = fc.constantFrom(
    { type: "opaque" as const, dialect: "anthropic", value: { type: "thinking" } },
    { type: "opaque" as const, dialect: "openai-responses", value: { type: "reasoning" } },
  );
  const message: fc.Arbitrary<Message> = fc.oneof(
    fc.record({ role: fc.constant("user" as const), parts: fc.array(text, { maxLength: 2 }), tokens: fc.constant(1) }),
    fc.record({
      role: fc.constant("assistant" as const),
      parts: fc.array(fc.oneof(text, call, opaque), { maxLength: 3 }),
      tokens: fc.constant(1),
    }),
    fc.record({
      role: fc.constant("tool" as const),
      parts: fc.array(result, { minLength: 1, maxLength: 2 }),
      tokens: fc.constant(1),
    }),
  );
  const edit = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), message, at: fc.nat(20) }),
    fc.record({ kind: fc.constant("push" as const), message, at: fc.nat(20) }),
    fc.record({ kind: fc.constant("replace" as const), message, at: fc.nat(20) }),
    fc.record({ kind: fc.constant("drop" as const), message, at: fc.nat(20) }),
  );
  const makers: readonly (() => Dialect)[] = [
    () => messagesDialect({}),
    () => responsesDialect({}),
    () => chatDialect({ effort: null, local: true }),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...makers), fc.array(edit, { minLength: 1, maxLength: 40 }), (make, edits) => {
      const kept = make();
      const messages: Message[] = [];
      for (const { kind, message: next, at } of edits) {
        if (kind === "push") messages.push(next);
        else if (kind === "replace" && messages.length > 0) messages[at % messages.length] = next;
        else if (kind === "drop") messages.splice(at, 2);
        const sent = Buffer.from(kept.body({ ...base, messages }, true)).toString();
        expect(sent).toBe(Buffer.from(make().body({ ...base, messages: [...messages] }, true)).toString());
        expect(() => JSON.parse(sent) as unknown).not.toThrow();
        expect((sent.match(/"cache_control"/g) ?? []).length).toBeLessThanOrEqual(4);
      }
    }),
    { numRuns: 300 },
  );
});

test("MOD-6.2 the head, the last turn and the end of the request are marked for the cache, at most four times", async () => {
  await withBench(async ({ upstream, deps }) => {
    const driver = must(anthropicDriver({ apiKey: secret, baseUrl: upstream.origin }, deps));
    const turn = (n: number): Message[] => [
      { role: "assistant", parts: [{ type: "call", id: `t${n}`, name: "fs.read", args: {} }], tokens: 1 },
      {
        role: "tool",
        parts: [{ type: "result", id: `t${n}`, name: "fs.read", ok: true, text: `r${n}`, page: "1.1.0" }],
        tokens: 1,
      },
    ];
    upstream.push({ kind: "reply", text: "ok" });
    await reply(driver, { ...base, tools: [readTool], messages: [user("go"), ...turn(1), ...turn(2), ...turn(3)] });
    const { system, messages } = (upstream.seen[0]?.body ?? {}) as {
      system: { cache_control?: unknown }[];
      messages: { role: string; content: { cache_control?: unknown }[] }[];
    };
    expect(system.at(-1)?.cache_control).toEqual({ type: "ephemeral" });
    expect(messages.map(({ content }) => content.map((block) => block.cache_control !== undefined))).toEqual([
      [false],
      [false],
      [false],
      [false],
      [true],
      [false],
      [true],
    ]);
  });
});

test("MOD-6.1 thinking goes back verbatim, in place and in order, and blocks of other providers do not", async () => {
  await withBench(async ({ upstream, deps }) => {
    const driver = must(anthropicDriver({ apiKey: secret, baseUrl: upstream.origin }, deps));
    upstream.push(
      { kind: "reply", thinking: "hm, ünï", text: "so", calls: [{ name: "fs__read", args: {} }] },
      { kind: "reply", text: "ok" },
    );
    const first = await reply(driver, { ...base, tools: [readTool] }, watched);
    expect(first.parts.map((part) => part.type)).toEqual(["opaque", "text", "call"]);
    const foreign = { type: "opaque", dialect: "openai-responses", value: { type: "reasoning" } } as const;
    const result = { type: "result", id: "toolu_0", name: "fs.read", ok: true, text: "r", page: "1.1.0" } as const;
    const messages: Message[] = [
      ...base.messages,
      { role: "assistant", parts: [foreign, ...first.parts], tokens: 1 },
      { role: "tool", parts: [result], tokens: 1 },
    ];
    await reply(driver, { ...base, tools: [readTool], messages });
    const sent = upstream.seen[1]?.body.messages as { content: unknown[] }[];
    expect(sent[1]?.content).toEqual([
      { type: "thinking", thinking: "hm, ünï", signature: "signed" },
      { type: "text", text: "so" },
      { type: "tool_use", id: "toolu_0", name: "fs__read", input: {} },
    ]);
  });
});

test("MOD-7.1 reasoning goes back verbatim and in place, with nothing kept at the provider", async () => {
  await withBench(async ({ upstream, deps }) => {
    const driver = must(openAiDriver({ apiKey: secret, baseUrl: `${upstream.origin}/v1` }, deps));
    upstream.push({ kind: "reply", thinking: "hm", calls: [{ name: "fs__read", args: {} }] }, { kind: "reply", text: "ok" });
    const first = await reply(driver, { ...base, tools: [readTool] }, watched);
    const result = { type: "result", id: "call_0", name: "fs.read", ok: true, text: "r", page: "1.1.0" } as const;
    const messages: Message[] = [
      ...base.messages,
      { role: "assistant", parts: first.parts, tokens: 1 },
      { role: "tool", parts: [result], tokens: 1 },
    ];
    await reply(driver, { ...base, tools: [readTool], messages });
    const { input, store, include } = upstream.seen[1]?.body ?? {};
    expect((input as unknown[]).slice(1)).toEqual([
      { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "sealed" },
      { type: "function_call", call_id: "call_0", name: "fs__read", arguments: "{}" },
      { type: "function_call_output", call_id: "call_0", output: "r" },
    ]);
    expect([store, include]).toEqual([false, ["reasoning.encrypted_content"]]);
  });
});

test("MOD-8.3 MOD-7.2 a contract is strict where the schema allows it", async () => {
  await withBench(async ({ upstream, deps }) => {
    const strict = { type: "object", properties: { n: { type: "integer" } }, required: ["n"], additionalProperties: false };
    const chat = must(openAiDriver({ apiKey: secret, baseUrl: `${upstream.origin}/v1`, dialect: "chat" }, deps));
    const responses = must(openAiDriver({ apiKey: secret, baseUrl: `${upstream.origin}/v1` }, deps));
    upstream.push(...Array.from({ length: 4 }, (): Turn => ({ kind: "reply", text: `{"n":1}` })));
    for (const output of [strict, { type: "object" }]) {
      await reply(chat, { ...base, output });
      await reply(responses, { ...base, output });
    }
    const bodies = upstream.seen.map((seen) => seen.body);
    expect(bodies[0]).toMatchObject({ response_format: { type: "json_schema", json_schema: { schema: strict, strict: true } } });
    expect(bodies[1]).toMatchObject({ text: { format: { type: "json_schema", schema: strict, strict: true } } });
    expect(bodies[2]).toMatchObject({ response_format: { json_schema: { strict: false } } });
    expect(bodies[3]).toMatchObject({ text: { format: { strict: false } } });
  });
});

test("MOD-6.3 a current model gets a format and no forced tool, a classic one a forced tool and no format", async () => {
  await withBench(async ({ upstream, deps }) => {
    const output = { type: "object", properties: { n: { type: "integer", minimum: 1 } }, required: ["n"] };
    const driver = must(anthropicDriver({ apiKey: secret, baseUrl: upstream.origin, effort: "low", thinking: "adaptive" }, deps));
    upstream.push({ kind: "reply", text: `{"n":1}` }, { kind: "reply", text: `{"n":2}` });
    await reply(driver, { ...base, output });
    await reply(driver, { ...base, model: "claude-haiku-4-5", output });
    const [current, classic] = upstream.seen.map((seen) => seen.body);
    expect(current?.output_config).toMatchObject({
      effort: "low",
      format: { type: "json_schema", schema: { additionalProperties: false } },
    });
    expect(JSON.stringify(current?.output_config)).toContain("minimum: 1");
    expect(current).toMatchObject({ thinking: { type: "adaptive" } });
    expect(current).not.toHaveProperty("tool_choice");
    expect(classic).toMatchObject({ tool_choice: { type: "tool", name: "final_answer" } });
    expect(classic).not.toHaveProperty("output_config");
    expect(classic).not.toHaveProperty("thinking");
  });
});

test("MOD-6.3 a classic thinking budget leaves room for the answer", async () => {
  await withBench(async ({ upstream, deps }) => {
    const driver = must(anthropicDriver({ apiKey: secret, baseUrl: upstream.origin, thinking: { budgetTokens: 8_000 } }, deps));
    upstream.push({ kind: "reply", text: "a" }, { kind: "reply", text: "b" });
    await reply(driver, { ...base, model: "claude-sonnet-4-5", outputTokensMax: 4_096 });
    await reply(driver, { ...base, model: "claude-sonnet-4-5", outputTokensMax: 1_500 });
    expect(upstream.seen[0]?.body.thinking).toEqual({ type: "enabled", budget_tokens: 3_072 });
    expect(upstream.seen[1]?.body).not.toHaveProperty("thinking");
  });
});

test("MOD-6.3 models before 4.6 are classic, later and unknown ones current", () => {
  const classic = [
    "claude-3-5-haiku-20241022",
    "claude-opus-4-20250514",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-sonnet-4-5",
    "claude-haiku-4-5-20251001",
    "claude-opus-4-5@20251101",
  ];
  const current = [
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-8",
    "claude-sonnet-5",
    "claude-opus-5-5",
    "claude-fable-5-1",
    "claude-next",
    "some-proxy-model",
  ];
  expect(classic.filter((model) => !isClassic(model))).toEqual([]);
  expect(current.filter(isClassic)).toEqual([]);
});

test("MOD-6.5 what structured output does not check is said in words; free names are not expressible", () => {
  const format = contractFormat({
    type: "object",
    properties: { a: { type: "array", items: { type: "string", maxLength: 5 }, minItems: 2 } },
    required: ["a"],
  });
  expect(JSON.parse(format ?? "null")).toEqual({
    type: "json_schema",
    schema: {
      type: "object",
      properties: { a: { type: "array", items: { type: "string", description: "maxLength: 5" }, description: "minItems: 2" } },
      required: ["a"],
      additionalProperties: false,
    },
  });
  expect(contractFormat({ type: "object", additionalProperties: { type: "string" } })).toBeNull();
});

test("MOD-6.5 a contract with free names is said in the prompt", async () => {
  await withBench(async ({ upstream, deps }) => {
    upstream.push({ kind: "reply", text: `{"x":"y"}` });
    const driver = must(anthropicDriver({ apiKey: secret, baseUrl: upstream.origin }, deps));
    await reply(driver, { ...base, output: { type: "object", additionalProperties: { type: "string" } } });
    const system = upstream.seen[0]?.body.system as { text: string }[];
    expect(system).toHaveLength(2);
    expect(system[1]?.text).toContain("additionalProperties");
  });
});

test("MOD-6.4 no dialect sends sampling parameters", async () => {
  await withBench(async ({ upstream, deps }) => {
    const baseUrl = `${upstream.origin}/v1`;
    const drivers = [
      anthropicDriver({ apiKey: secret, baseUrl }, deps),
      openAiDriver({ apiKey: secret, baseUrl }, deps),
      openAiDriver({ apiKey: secret, baseUrl, dialect: "chat" }, deps),
      compatibleDriver({ apiKey: secret, baseUrl }, deps),
    ];
    upstream.push(...drivers.map((): Turn => ({ kind: "reply", text: "ok" })));
    for (const driver of drivers) await reply(must(driver), base);
    expect(upstream.seen).toHaveLength(4);
    for (const { body } of upstream.seen)
      for (const field of ["temperature", "top_p", "top_k"]) expect(body).not.toHaveProperty(field);
  });
});

test("MOD-7.3 requests with one head share a cache key, other heads have others", async () => {
  await withBench(async ({ upstream, deps }) => {
    const driver = must(openAiDriver({ apiKey: secret, baseUrl: `${upstream.origin}/v1` }, deps));
    const heads = [base, { ...base, messages: [user("Other")] }, { ...base, system: "Be long." }, { ...base, tools: [readTool] }];
    upstream.push(...heads.map((): Turn => ({ kind: "reply", text: "ok" })));
    for (const request of heads) await reply(driver, request);
    const keys = upstream.seen.map((seen) => seen.body.prompt_cache_key);
    expect(keys[0]).toBe(keys[1]);
    expect(new Set(keys).size).toBe(3);
  });
});

test("MOD-8.1 calls are put together whatever a compatible server leaves out", async () => {
  await withBench(async ({ upstream, deps }) => {
    const driver = must(compatibleDriver({ apiKey: null, baseUrl: `${upstream.origin}/v1` }, deps));
    const stream = (...pieces: readonly Json[]): Turn => {
      const chunks = pieces.map((piece) => ({ choices: [{ delta: { tool_calls: [piece] } }] }));
      const events = [...chunks, { choices: [{ delta: {}, finish_reason: "stop" }], model: "m" }];
      return {
        kind: "garbage",
        type: "text/event-stream",
        body: events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""),
      };
    };
    const expected = [
      { name: "fs.read", args: { path: "a" } },
      { name: "fs.read", args: { path: "b" } },
    ];
    const fn = (name: string | undefined, args: Json) => ({ ...(name === undefined ? {} : { name }), arguments: args });
    upstream.push(
      stream({ id: "a", function: fn("fs__read", `{"path":"a"}`) }, { id: "b", function: fn("fs__read", `{"path":"b"}`) }),
      stream(
        { index: 0, id: "a", function: fn("fs__read", { path: "a" }) },
        { index: 0, id: "b", function: fn("fs__read", { path: "b" }) },
      ),
      stream(
        { function: fn("fs__read", `{"pa`) },
        { function: fn(undefined, `th":"a"}`) },
        { function: fn("fs__read", `{"path":"b"}`) },
      ),
      stream(
        { index: 0, function: fn("fs__read", "") },
        { index: 1, function: fn("fs__read", `{"path":`) },
        { index: 0, function: fn(undefined, `{"path":"a"}`) },
        { index: 1, function: fn(undefined, `"b"}`) },
      ),
    );
    for (let n = 0; n < 4; n += 1) {
      const got = await reply(driver, { ...base, tools: [readTool] }, watched);
      expect(got.stop).toBe("calls");
      expect(got.parts.map((part) => (part.type === "call" ? { name: part.name, args: part.args } : part))).toEqual(expected);
      expect(new Set(got.parts.map((part) => (part.type === "call" ? part.id : ""))).size).toBe(2);
    }
  });
});

test("MOD-8.2 shown reasoning goes back with its calls to a compatible server, and not without them", async () => {
  await withBench(async ({ upstream, deps }) => {
    const driver = must(compatibleDriver({ apiKey: null, baseUrl: `${upstream.origin}/v1` }, deps));
    const thought = { type: "opaque", dialect: "openai-chat", value: { reasoning_content: "because" } } as const;
    const call = { type: "call", id: "c", name: "fs.read", args: {} } as const;
    const result = { type: "result", id: "c", name: "fs.read", ok: true, text: "r", page: "1.1.0" } as const;
    upstream.push({ kind: "reply", text: "ok" }, { kind: "reply", text: "ok" });
    await reply(driver, {
      ...base,
      messages: [
        user("go"),
        { role: "assistant", parts: [thought, call], tokens: 1 },
        { role: "tool", parts: [result], tokens: 1 },
      ],
    });
    await reply(driver, {
      ...base,
      messages: [user("go"), { role: "assistant", parts: [thought, { type: "text", text: "so" }], tokens: 1 }, user("on")],
    });
    expect(upstream.seen[0]?.text).toContain(`"reasoning_content":"because"`);
    expect(upstream.seen[1]?.text).not.toContain("because");
  });
});

test("MOD-5.3 a stream of Anthropic's without its closing event is not a reply, even where its stop reason is known", async () => {
  await withBench(async ({ upstream, deps }) => {
    const events = anthropicWire.events({ kind: "reply", text: "all but the end" }, { model: base.model }, 1).slice(0, -1);
    const body = events.map(({ event, data }) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join("");
    upstream.push(...Array.from({ length: 5 }, (): Turn => ({ kind: "garbage", type: "text/event-stream", body })));
    const driver = must(anthropicDriver({ apiKey: secret, baseUrl: upstream.origin }, deps));
    expect(await ask(driver, base, watched)).toMatchObject({ ok: false, error: { errno: "EPROTO" } });
  });
});
