/** What the remote drivers do beyond the contract: streams that break, retries, caching, and what each dialect sends. */
import { expect, test } from "vitest";
import type { Message } from "../../../src/abi/message.ts";
import type { Delta, ModelDriver, ModelReply, ModelRequest, ThinkIo } from "../../../src/abi/model.ts";
import { anthropicDriver, isClassic } from "../../../src/drivers/model/anthropic.ts";
import { contractFormat } from "../../../src/drivers/model/anthropic-schema.ts";
import { compatibleDriver } from "../../../src/drivers/model/compatible.ts";
import { openAiDriver } from "../../../src/drivers/model/openai-responses.ts";
import type { RemoteDeps } from "../../../src/drivers/model/remote.ts";
import type { Json } from "../../../src/lib/json.ts";
import type { ReplyTurn, Turn } from "../../upstream/turns.ts";
import { bench, must, secret, type Bench } from "./subjects.ts";

const user = (text: string): Message => ({ role: "user", parts: [{ type: "text", text }], tokens: 3 });
const base: ModelRequest = {
  model: "claude-sonnet-5-5",
  system: "Be brief.",
  messages: [user("Hello")],
  tools: [],
  outputTokensMax: 1_000,
  output: null,
  idempotencyKey: "7.3",
};
const readTool = { name: "fs.read", description: "Read.", input: { type: "object", properties: { path: { type: "string" } } } };

interface Dialects {
  readonly name: string;
  readonly model: string;
  make(origin: string, deps: RemoteDeps, key?: string): ModelDriver;
}

const dialects: readonly Dialects[] = [
  {
    name: "anthropic",
    model: "claude-sonnet-5-5",
    make: (baseUrl, deps, apiKey = secret) => must(anthropicDriver({ apiKey, baseUrl }, deps)),
  },
  {
    name: "openai",
    model: "gpt-6-sol",
    make: (origin, deps, apiKey = secret) => must(openAiDriver({ apiKey, baseUrl: `${origin}/v1` }, deps)),
  },
  {
    name: "openai chat",
    model: "gpt-6-sol",
    make: (origin, deps, apiKey = secret) => must(openAiDriver({ apiKey, baseUrl: `${origin}/v1`, dialect: "chat" }, deps)),
  },
  {
    name: "compatible",
    model: "qwen3:8b",
    make: (origin, deps, apiKey = secret) => must(compatibleDriver({ apiKey, baseUrl: `${origin}/v1` }, deps)),
  },
];

async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  const opened = await bench();
  try {
    await body(opened);
  } finally {
    await opened.close();
  }
}

const ask = (driver: ModelDriver, request: ModelRequest, io: Partial<ThinkIo> = {}) =>
  Promise.resolve(driver.think(request, { signal: null, onDelta: null, ...io }));

async function reply(driver: ModelDriver, request: ModelRequest, io: Partial<ThinkIo> = {}): Promise<ModelReply> {
  return must(await ask(driver, request, io));
}

const watched = { onDelta: () => undefined };
const textOf = (value: ModelReply): string => value.parts.map((part) => (part.type === "text" ? part.text : "")).join("");

for (const { name, model, make } of dialects) {
  const request = { ...base, model };

  test(`MOD-5.1 ${name}: a stream in one-byte pieces, through compression, is the same reply`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const driver = make(upstream.origin, deps);
      const turn: ReplyTurn = {
        kind: "reply",
        text: "Zürich 🎈 and more",
        calls: [{ name: "fs__read", args: { path: "ü.md" } }],
        thinking: "hm",
      };
      upstream.push(
        turn,
        { ...turn, pieceBytes: 1 },
        { ...turn, encoding: "gzip", pieceBytes: 7 },
        { ...turn, encoding: "br" },
        { ...turn, encoding: "zstd" },
      );
      const replies: ModelReply[] = [];
      for (let n = 0; n < 5; n += 1) {
        const deltas: Delta[] = [];
        const got = await reply(driver, { ...request, tools: [readTool] }, { onDelta: (delta) => deltas.push(delta) });
        expect(deltas.map((delta) => (delta.type === "text" ? delta.text : "")).join("")).toBe("Zürich 🎈 and more");
        replies.push(got);
      }
      for (const other of replies) expect(other).toEqual(replies[0]);
      upstream.push(turn);
      expect(await reply(driver, { ...request, tools: [readTool] })).toEqual(replies[0]);
    });
  });

  test(`MOD-1.2 ${name}: a compressed whole reply is read`, async () => {
    await withBench(async ({ upstream, deps }) => {
      for (const encoding of ["gzip", "br", "zstd"] as const) {
        upstream.push({ kind: "reply", text: "packed", encoding });
        expect(textOf(await reply(make(upstream.origin, deps), request))).toBe("packed");
      }
    });
  });

  for (const [what, broken] of [
    ["cut in the middle", { kind: "reply", text: "a reply that is cut somewhere in its middle", cutAfterBytes: 600 }],
    ["ended early", { kind: "reply", text: "half a rep", unfinished: true }],
    ["cut inside its compression", { kind: "reply", text: "a reply that is cut", encoding: "gzip", cutAfterBytes: 60 }],
  ] as const) {
    test(`MOD-5.3 ${name}: a stream ${what} is never a shorter reply: it is asked again, and what was shown is void`, async () => {
      await withBench(async ({ upstream, deps }) => {
        upstream.push(broken, { kind: "reply", text: "whole" });
        const deltas: Delta[] = [];
        const got = await reply(make(upstream.origin, deps), request, { onDelta: (delta) => deltas.push(delta) });
        expect(textOf(got)).toBe("whole");
        const last = deltas.findLastIndex((delta) => delta.type === "restart");
        expect(last >= 0 || deltas.every((delta) => delta.type === "text" && "whole".includes(delta.text))).toBe(true);
        expect(
          deltas
            .slice(last + 1)
            .map((delta) => (delta.type === "text" ? delta.text : ""))
            .join(""),
        ).toBe("whole");
        expect(upstream.seen).toHaveLength(2);
      });
    });
  }

  test(`MOD-5.3 ${name}: a stream that always breaks is EPROTO in the end`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push(...Array.from({ length: 5 }, (): Turn => ({ kind: "reply", text: "half", unfinished: true })));
      const result = await ask(make(upstream.origin, deps), request, watched);
      expect(result).toMatchObject({ ok: false, error: { errno: "EPROTO", message: expect.stringContaining("tried 5 times") } });
    });
  });

  test(`MOD-5.2 ${name}: every retry sends the same bytes under the same key; a refused connection is tried again`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const busy: Turn = { kind: "status", status: 503, body: "busy" };
      upstream.push(
        busy,
        { kind: "reset" },
        { ...busy, status: 429, headers: { "retry-after": "0" } },
        { kind: "reply", text: "at last" },
      );
      expect(textOf(await reply(make(upstream.origin, deps), request))).toBe("at last");
      expect(upstream.seen).toHaveLength(4);
      expect(new Set(upstream.seen.map((seen) => seen.text)).size).toBe(1);
      expect(new Set(upstream.seen.map((seen) => seen.headers["idempotency-key"]))).toEqual(new Set(["test-7.3"]));
    });
  });

  test(`MOD-3.1 ${name}: the provider's word not to retry is kept`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push({ kind: "status", status: 529, body: "{}", headers: { "x-should-retry": "false" } });
      expect(await ask(make(upstream.origin, deps), request)).toMatchObject({ ok: false, error: { errno: "EIO" } });
      expect(upstream.seen).toHaveLength(1);
    });
  });

  test(`MOD-1.2 ${name}: an error inside a stream has the errno its status would have had`, async () => {
    await withBench(async ({ upstream, deps }) => {
      for (const [type, errno] of [
        ["rate_limit_error", "EAGAIN"],
        ["overloaded_error", "EIO"],
        ["invalid_request_error", "EINVAL"],
        ["context_length_exceeded", "E2BIG"],
        ["insufficient_quota", "EDQUOT"],
      ] as const) {
        upstream.push(
          ...Array.from({ length: 5 }, (): Turn => ({ kind: "stream-error", type, message: `no: ${secret}`, text: "begun" })),
        );
        const driver = make(upstream.origin, deps);
        const result = await ask(driver, request, watched);
        expect(result).toMatchObject({ ok: false, error: { errno } });
        expect(JSON.stringify(result)).not.toContain(secret);
        while (upstream.seen.length % 5 !== 0) await ask(driver, request, watched);
      }
    });
  });

  test(`MOD-1.1 ${name}: a refused key is EACCES, names the variable and not the key`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const wrong = "sk-wrong-99887766554433221100";
      const result = await ask(make(upstream.origin, deps, wrong), request);
      if (result.ok) throw new Error("the key was taken");
      expect(result.error.errno).toBe("EACCES");
      expect(result.error.message).toMatch(/_API_KEY/);
      expect(JSON.stringify(result)).not.toContain("99887766554433221100");
      expect(upstream.seen).toHaveLength(1);
    });
  });

  test(`MOD-4.2 ${name}: malformed arguments stay text; a call cut off at the limit has no empty arguments`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const calls = [{ name: "fs__read", args: { raw: `{"path": "a.md` } }];
      upstream.push(
        { kind: "reply", calls },
        { kind: "reply", calls: [{ name: "fs__read", args: { raw: "" } }], stop: "length" },
      );
      const driver = make(upstream.origin, deps);
      const first = await reply(driver, { ...request, tools: [readTool] }, watched);
      expect(first.parts).toMatchObject([{ type: "call", name: "fs.read", args: `{"path": "a.md` }]);
      const second = await reply(driver, { ...request, tools: [readTool] }, watched);
      expect(second.stop).toBe("length");
      expect(second.parts).toMatchObject([{ type: "call", args: "" }]);
    });
  });

  test(`MOD-0.1 ${name}: stop reasons`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const driver = make(upstream.origin, deps);
      upstream.push(
        { kind: "reply", text: "cut", stop: "length" },
        { kind: "reply", text: "no", stop: "refusal" },
        { kind: "reply", refusal: "I will not" },
      );
      expect(await reply(driver, request)).toMatchObject({ stop: "length" });
      expect(await reply(driver, request, watched)).toMatchObject({ stop: "refusal" });
      const refused = await reply(driver, request, watched);
      expect(refused.stop).toBe("refusal");
      expect(textOf(refused)).toBe("I will not");
    });
  });

  test(`MOD-4.3 ${name}: a reported zero is estimated`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push({ kind: "reply", text: "some words", usage: null }, { kind: "reply", text: "some words", usage: null });
      for (const io of [{}, watched]) {
        const { usage } = await reply(make(upstream.origin, deps), request, io);
        expect(usage.reported).toBe(false);
        expect(Math.min(usage.inputTokens, usage.outputTokens)).toBeGreaterThan(0);
      }
    });
  });

  test(`MOD-0.5 ${name}: a message is serialised once, however often it is sent`, async () => {
    await withBench(async ({ upstream, deps }) => {
      let reads = 0;
      const parts = new Proxy([{ type: "text", text: "counted" } as const], {
        get(target, key, receiver) {
          if (key === "map" || key === Symbol.iterator || key === "0") reads += 1;
          return Reflect.get(target, key, receiver) as unknown;
        },
      });
      const driver = make(upstream.origin, deps);
      const message: Message = { role: "user", parts, tokens: 2 };
      upstream.push(...Array.from({ length: 3 }, (): Turn => ({ kind: "reply", text: "ok" })));
      await reply(driver, { ...request, messages: [message] });
      const once = reads;
      expect(once).toBeGreaterThan(0);
      await reply(driver, { ...request, messages: [message, user("more")] });
      await reply(driver, { ...request, messages: [message, user("more")] }, watched);
      expect(reads).toBe(once);
      expect(upstream.seen[2]?.text).toContain("counted");
    });
  });

  test(`MOD-1.2 ${name}: what is no model server is EPROTO, what is not there is EIO`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push(
        { kind: "garbage", type: "text/html", body: "<html>hello</html>" },
        { kind: "garbage", type: "application/json", body: "[]" },
      );
      expect(await ask(make(upstream.origin, deps), request)).toMatchObject({ ok: false, error: { errno: "EPROTO" } });
      expect(upstream.seen).toHaveLength(2);
      const gone = make("http://127.0.0.1:1", deps);
      expect(await ask(gone, request)).toMatchObject({
        ok: false,
        error: { errno: "EIO", message: expect.stringContaining("connection refused") },
      });
    });
  });

  test(`MOD-5.1 ${name}: a server that answers a stream request in one piece is understood`, async () => {
    await withBench(async ({ upstream, deps }) => {
      const driver = make(upstream.origin, deps);
      upstream.push({ kind: "reply", text: "whole" });
      await reply(driver, request);
      const whole = upstream.seen[0]?.text ?? "";
      expect(whole).not.toContain(`"stream"`);
      const body: Json =
        name === "anthropic"
          ? { content: [{ type: "text", text: "whole" }], stop_reason: "end_turn", model, usage: {} }
          : name === "openai"
            ? { status: "completed", output: [{ type: "message", content: [{ type: "output_text", text: "whole" }] }], model }
            : { choices: [{ message: { content: "whole" }, finish_reason: "stop" }], model };
      upstream.push({ kind: "garbage", type: "application/json", body: JSON.stringify(body) });
      const deltas: Delta[] = [];
      expect(textOf(await reply(driver, request, { onDelta: (delta) => deltas.push(delta) }))).toBe("whole");
      expect(deltas).toEqual([{ type: "text", text: "whole" }]);
    });
  });

  test(`MOD-0.4 ${name}: a request cancelled in the middle of its stream ends at once`, async () => {
    await withBench(async ({ upstream, deps }) => {
      upstream.push({ kind: "reply", text: "a long reply ".repeat(20), stallAfterBytes: 1_500 });
      const abort = new AbortController();
      const result = await ask(make(upstream.origin, deps), request, { signal: abort.signal, onDelta: () => abort.abort() });
      expect(result).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
      expect(upstream.seen).toHaveLength(1);
    });
  });
}

test("MOD-5.4 without the key it needs, a driver says so and sends nothing", async () => {
  await withBench(async ({ deps }) => {
    for (const driver of [must(anthropicDriver({ apiKey: null }, deps)), must(openAiDriver({ apiKey: "" }, deps))]) {
      expect(driver.remote).toBe(true);
      const result = await ask(driver, base);
      expect(result).toMatchObject({
        ok: false,
        error: { errno: "EACCES", message: expect.stringMatching(/needs a key.*_API_KEY/) },
      });
    }
  });
});

test("MOD-5.4 an address with a password, or none at all, is refused before anything is sent", async () => {
  await withBench(async ({ deps }) => {
    for (const baseUrl of ["http://user:pass@127.0.0.1/v1", "ftp://127.0.0.1", "nonsense", ""]) {
      const made = compatibleDriver({ baseUrl, apiKey: null }, deps);
      expect(made).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
      expect(JSON.stringify(made)).not.toContain("pass@");
    }
    expect(must(compatibleDriver({ baseUrl: "http://127.0.0.1:9/v1", apiKey: null }, deps)).remote).toBe(false);
    expect(must(compatibleDriver({ baseUrl: "https://models.example/v1", apiKey: null }, deps)).remote).toBe(true);
  });
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
    for (const { model, make } of dialects) {
      upstream.push({ kind: "reply", text: "ok" });
      await reply(make(upstream.origin, deps), { ...base, model });
    }
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
