/**
 * The contract of a model driver (src/abi/model.ts). Every driver's test calls `modelContract(subject)`.
 *
 * A subject says how to open its driver and what the suite may ask of it:
 *   script  the driver answers the turns it was opened with, in order. Without it the driver has a mind of its own (reflex, gullible):
 *           it gets no turns, and the suite holds only the shape of what it says to the rules.
 *   fail    a turn can be a failure (`{ fail: errno }`).
 *   hang    a turn can stay unanswered (`{ hang: true }`).
 *   opaque  a turn can carry a block that must come back verbatim; `sent()` gives the requests as they left.
 * Requests are numbered `1.1`, `1.2`, … in their idempotency key, so a recording can be keyed by step.
 */
import { describe, expect, test } from "vitest";
import type { Errno } from "../../src/abi/errno.ts";
import type { CallPart, Message, Part, ToolDefinition } from "../../src/abi/message.ts";
import type { Delta, ModelDriver, ModelReply, ModelRequest, ThinkIo, Usage } from "../../src/abi/model.ts";
import type { Json, JsonSchema } from "../../src/lib/json.ts";
import type { Awaitable } from "../../src/lib/result.ts";
import { schemaCompiler } from "../../src/lib/schema.ts";

export type Feature = "script" | "fail" | "hang" | "opaque";

export interface ContractReply {
  readonly text?: string;
  readonly calls?: readonly { readonly name: string; readonly args: Json }[];
  readonly opaque?: string;
  readonly usage?: Pick<Usage, "inputTokens" | "outputTokens" | "cacheReadTokens" | "cacheWriteTokens">;
}

export type ContractTurn = ContractReply | { readonly fail: Errno } | { readonly hang: true };

export interface Opened {
  readonly driver: ModelDriver;
  /** The requests as they left, where the driver sends any. */
  sent?(): readonly string[];
  close(): Awaitable<void>;
}

export interface ModelSubject {
  readonly name: string;
  readonly model: string;
  readonly can: readonly Feature[];
  /** Errnos a failing turn may have; all that a provider can cause by default. */
  readonly errnos?: readonly Errno[];
  /** A string that no error may hold. */
  readonly secret?: string;
  open(turns: readonly ContractTurn[]): Awaitable<Opened>;
}

const tools: readonly ToolDefinition[] = [
  {
    name: "fs.read",
    description: "Read a file of the workspace.",
    input: { type: "object", properties: { path: { type: "string" } }, required: ["path"], additionalProperties: false },
  },
  {
    name: "mcp.weather-server.get_forecast",
    description: "The weather at a place.",
    input: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  },
];

const contracts: readonly { readonly name: string; readonly schema: JsonSchema; readonly value: Json }[] = [
  {
    name: "an object",
    schema: {
      type: "object",
      properties: { title: { type: "string" }, count: { type: "integer" } },
      required: ["title", "count"],
      additionalProperties: false,
    },
    value: { title: "Brief", count: 3 },
  },
  { name: "a list", schema: { type: "array", items: { type: "string" } }, value: ["one", "two"] },
  { name: "a string", schema: { type: "string" }, value: "only words" },
];

const allErrnos: readonly Errno[] = ["EACCES", "EDQUOT", "EAGAIN", "EINVAL", "E2BIG", "ENOENT", "ETIMEDOUT", "EIO", "EPROTO"];

export function modelContract(subject: ModelSubject): void {
  const can = (feature: Feature): boolean => subject.can.includes(feature);
  /** A test of a feature is none where the subject has no such feature: a skip would say that this machine lacks something. */
  const where = (feature: Feature): ((title: string, body: () => Promise<void>) => void) =>
    can(feature) ? test : () => undefined;

  describe(`model contract: ${subject.name}`, () => {
    test("MOD-0.1 MOD-0.3 a reply to a plain question is well formed", async () => {
      await using(subject, [{ text: "The answer is 42." }], async ({ driver }) => {
        expect(driver.name).toMatch(/^[a-z][a-z0-9-]*$/);
        expect(driver.windowTokens(subject.model)).toBeGreaterThanOrEqual(1_024);
        const reply = await think(driver, ask(subject, 1, [user("What is the answer?")]));
        if (can("script")) expect(textOf(reply)).toBe("The answer is 42.");
      });
    });

    test("MOD-0.2 the deltas are together the reply", async () => {
      const long = "Ünïcödé 🎈 text, long enough to come in many pieces.\nWith two lines.";
      await using(subject, [{ text: long, calls: [{ name: "fs.read", args: { path: "a.md" } }] }], async ({ driver }) => {
        const deltas: Delta[] = [];
        const reply = await think(driver, ask(subject, 1, [user("Read a.md")], { tools }), {
          onDelta: (delta) => deltas.push(delta),
        });
        const last = deltas.slice(deltas.findLastIndex((delta) => delta.type === "restart") + 1);
        expect(last.map((delta) => (delta.type === "text" ? delta.text : "")).join("")).toBe(textOf(reply));
        expect(last.flatMap((delta) => (delta.type === "call" ? [delta.name] : []))).toEqual(
          callsOf(reply).map((part) => part.name),
        );
      });
    });

    test("MOD-0.4 a request cancelled before it starts is ECANCELED", async () => {
      await using(subject, [{ text: "too late" }], async ({ driver }) => {
        const result = await driver.think(ask(subject, 1, [user("Hello")]), { signal: AbortSignal.abort(), onDelta: null });
        expect(result).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
      });
    });

    test("MOD-0.5 a frozen conversation with parts of other dialects is answered and not changed", async () => {
      await using(subject, [{ text: "done" }], async ({ driver }) => {
        const messages = [
          user("Read a.md and b.md"),
          assistant([
            { type: "opaque", dialect: "some-other-provider", value: { sealed: "xyz" } },
            { type: "text", text: "Reading." },
            { type: "text", text: "" },
            { type: "call", id: "id-1", name: "fs.read", args: { path: "a.md" } },
            { type: "call", id: "id-2", name: "fs.read", args: "{ not json" },
          ]),
          result("id-1", "fs.read", true, "Alpha"),
          result("id-2", "fs.read", false, "EINVAL: the arguments are not JSON"),
          user("Go on."),
        ];
        const request = deepFreeze(ask(subject, 1, messages, { tools }));
        const before = JSON.stringify(request);
        await think(driver, request);
        expect(JSON.stringify(request)).toBe(before);
      });
    });

    for (const { name, schema, value } of contracts) {
      test(`MOD-0.6 a reply under a contract is JSON that fits: ${name}`, async () => {
        await using(subject, [{ text: JSON.stringify(value) }], async ({ driver }) => {
          const check = schemaCompiler()(schema);
          if (!check.ok) throw new Error(check.error);
          const deltas: string[] = [];
          const reply = await think(
            driver,
            ask(subject, 1, [user("Summarise: daimon is an operating system for agents.")], { output: schema }),
            {
              onDelta: (delta) => deltas.push(delta.type === "text" ? delta.text : ""),
            },
          );
          const text = textOf(reply);
          expect(check.value(JSON.parse(text) as Json)).toBeNull();
          expect(deltas.join("")).toBe(text);
          expect(reply.stop).toBe("end");
          if (can("script")) expect(JSON.parse(text)).toEqual(value);
        });
      });
    }

    where("script")("MOD-0.6 a contract does not keep a model from calling first", async () => {
      const schema = contracts[0]?.schema ?? {};
      await using(
        subject,
        [{ calls: [{ name: "fs.read", args: { path: "a.md" } }] }, { text: `{"title":"A","count":1}` }],
        async ({ driver }) => {
          const first = await think(driver, ask(subject, 1, [user("Count a.md")], { tools, output: schema }));
          expect(first.stop).toBe("calls");
          const messages = [user("Count a.md"), assistant(first.parts), result(idOf(first, 0), "fs.read", true, "one")];
          const second = await think(driver, ask(subject, 2, messages, { tools, output: schema }));
          expect(JSON.parse(textOf(second))).toEqual({ title: "A", count: 1 });
          expect(second.stop).toBe("end");
        },
      );
    });

    where("script")("MOD-0.7 several calls of one reply, and their results, make the round trip", async () => {
      const calls = [
        { name: "fs.read", args: { path: "a.md" } },
        { name: "mcp.weather-server.get_forecast", args: { city: "Zürich", days: [1, 2], exact: { deep: true } } },
        { name: "fs.read", args: {} },
      ];
      await using(subject, [{ text: "Looking.", calls }, { text: "All read." }], async ({ driver }) => {
        const messages: Message[] = [user("Read and tell the weather")];
        const first = await think(driver, ask(subject, 1, messages, { tools }));
        expect(first.stop).toBe("calls");
        expect(callsOf(first).map(({ name, args }) => ({ name, args }))).toEqual(calls);
        expect(new Set(callsOf(first).map((part) => part.id)).size).toBe(3);
        messages.push(assistant(first.parts));
        for (const part of callsOf(first)) messages.push(result(part.id, part.name, true, `result of ${part.name}`));
        const second = await think(driver, ask(subject, 2, messages, { tools }));
        expect(textOf(second)).toBe("All read.");
        expect(second.stop).toBe("end");
      });
    });

    where("script")("MOD-0.3 usage arrives with its cache figures", async () => {
      const usage = { inputTokens: 1_000, outputTokens: 50, cacheReadTokens: 600, cacheWriteTokens: 300 };
      await using(
        subject,
        [
          { text: "one", usage },
          { text: "two", usage },
        ],
        async ({ driver }) => {
          const whole = await think(driver, ask(subject, 1, [user("Hello")]));
          expect(whole.usage).toEqual({ ...usage, reported: true });
          const streamed = await think(driver, ask(subject, 2, [user("Hello")]), { onDelta: () => undefined });
          expect(streamed.usage).toEqual({ ...usage, reported: true });
        },
      );
    });

    where("opaque")("MOD-0.5 a block only its own provider understands goes back verbatim and in place", async () => {
      const turns = [{ opaque: "let me think", calls: [{ name: "fs.read", args: { path: "a.md" } }] }, { text: "ok" }];
      await using(subject, turns, async ({ driver, sent }) => {
        const first = await think(driver, ask(subject, 1, [user("Read")], { tools }), { onDelta: () => undefined });
        const opaque = first.parts.find((part) => part.type === "opaque");
        if (opaque?.type !== "opaque") throw new Error("the reply carries no opaque part");
        await think(
          driver,
          ask(subject, 2, [user("Read"), assistant(first.parts), result(idOf(first, 0), "fs.read", true, "A")], { tools }),
        );
        const wire = JSON.stringify(opaque.value).slice(1, -1);
        const request = sent?.()[1] ?? "";
        expect(request).toContain(wire);
        expect(request.indexOf(wire)).toBeLessThan(request.indexOf(idOf(first, 0)));
      });
    });

    where("hang")("MOD-0.4 a request cancelled under way is ECANCELED", async () => {
      for (const onDelta of [null, () => undefined]) {
        await using(subject, [{ hang: true }], async ({ driver }) => {
          const abort = new AbortController();
          const thinking = driver.think(ask(subject, 1, [user("Hello")]), { signal: abort.signal, onDelta });
          setImmediate(() => abort.abort());
          expect(await thinking).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
        });
      }
    });

    for (const errno of subject.errnos ?? allErrnos) {
      where("fail")(`MOD-0.8 a failure is ${errno}, named, and holds no key`, async () => {
        await using(
          subject,
          Array.from({ length: 8 }, () => ({ fail: errno })),
          async ({ driver }) => {
            const result = await driver.think(ask(subject, 1, [user("Hello")]), { signal: null, onDelta: null });
            if (result.ok) throw new Error("a failing turn was answered");
            expect(result.error.errno).toBe(errno);
            expect(result.error.message.length).toBeGreaterThan(20);
            if (subject.secret !== undefined) expect(JSON.stringify(result.error)).not.toContain(subject.secret);
          },
        );
      });
    }

    test("MOD-0.8 closing twice is harmless", async () => {
      const { driver, close } = await subject.open([]);
      await driver.close();
      await driver.close();
      await close();
    });
  });
}

async function using(
  subject: ModelSubject,
  turns: readonly ContractTurn[],
  body: (opened: Opened) => Promise<void>,
): Promise<void> {
  const opened = await subject.open(turns);
  try {
    await body(opened);
  } finally {
    await opened.driver.close();
    await opened.close();
  }
}

/** Asks, and holds the reply to the rules every reply must keep. */
async function think(driver: ModelDriver, request: ModelRequest, io: Partial<ThinkIo> = {}): Promise<ModelReply> {
  const result = await driver.think(request, { signal: null, onDelta: null, ...io });
  if (!result.ok) throw new Error(`${result.error.errno}: ${result.error.message}`);
  const { parts, stop, usage, model } = result.value;
  expect(JSON.parse(JSON.stringify(result.value))).toEqual(result.value);
  expect(model).not.toBe("");
  expect(parts.every((part) => part.type !== "result")).toBe(true);
  if (stop === "end" || stop === "calls") expect(stop === "calls").toBe(parts.some((part) => part.type === "call"));
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = usage;
  for (const tokens of [inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens]) {
    expect(Number.isSafeInteger(tokens)).toBe(true);
    expect(tokens).toBeGreaterThanOrEqual(0);
  }
  expect(cacheReadTokens + cacheWriteTokens).toBeLessThanOrEqual(inputTokens);
  return result.value;
}

function ask(subject: ModelSubject, step: number, messages: readonly Message[], more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    model: subject.model,
    system: "You are a careful assistant.",
    messages,
    tools: [],
    outputTokensMax: 1_024,
    output: null,
    idempotencyKey: `1.${step}`,
    ...more,
  };
}

function user(text: string): Message {
  return { role: "user", parts: [{ type: "text", text }], tokens: Math.ceil(text.length / 4) };
}

function assistant(parts: readonly Part[]): Message {
  return { role: "assistant", parts, tokens: 10 };
}

function result(id: string, name: string, ok: boolean, text: string): Message {
  return { role: "tool", parts: [{ type: "result", id, name, ok, text, page: "1.1.0" }], tokens: Math.ceil(text.length / 4) };
}

function textOf(reply: ModelReply): string {
  return reply.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function callsOf(reply: ModelReply): readonly CallPart[] {
  return reply.parts.filter((part) => part.type === "call");
}

function idOf(reply: ModelReply, n: number): string {
  return callsOf(reply)[n]?.id ?? "";
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}
