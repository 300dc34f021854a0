import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Format } from "../../src/abi/upstream.ts";
import { askedReader, type Asked } from "../../src/wire/asked.ts";

function read(
  format: Format,
  body: unknown,
  options: { cuts?: readonly number[]; waited?: (id: string) => boolean; max?: number } = {},
) {
  const bytes = Buffer.from(JSON.stringify(body));
  const reader = askedReader(format, options.waited ?? (() => true), options.max ?? 10_000);
  const places = [...new Set([0, ...(options.cuts ?? []).map((cut) => cut % bytes.length), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  for (const [n, place] of places.entries()) reader.push(bytes.subarray(places[n - 1] ?? 0, place));
  return reader.end();
}

const bodies: Readonly<Record<Format, unknown>> = {
  messages: {
    model: "m",
    max_tokens: 128,
    stream: true,
    system: [{ type: "text", text: "be good" }],
    messages: [
      { role: "user", content: "go" },
      {
        role: "assistant",
        content: [{ type: "tool_use", id: "t1", name: "Bash", input: { type: "tool_result", content: "no" } }],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "t1", content: "plain" },
          {
            content: [
              { type: "text", text: "in" },
              { type: "image", source: {} },
            ],
            is_error: true,
            tool_use_id: "t2",
            type: "tool_result",
          },
          { type: "text", text: "and more" },
        ],
      },
    ],
  },
  responses: {
    input: [
      { role: "user", content: [{ type: "input_text", text: "go" }] },
      { type: "function_call", call_id: "t1", name: "x", arguments: "{}" },
      { type: "function_call_output", call_id: "t1", output: "plain" },
      { type: "custom_tool_call_output", call_id: "t2", output: [{ type: "input_text", text: "in" }, { type: "input_image" }] },
    ],
    stream: true,
    max_output_tokens: 128,
    model: "m",
  },
  chat: {
    model: "m",
    messages: [
      { role: "user", content: "go" },
      { role: "assistant", content: null, tool_calls: [{ id: "t1" }] },
      { role: "tool", tool_call_id: "t1", content: "plain" },
      { tool_call_id: "t2", content: [{ type: "text", text: "in" }, { type: "image" }], role: "tool" },
    ],
    stream: true,
    max_completion_tokens: 128,
  },
  gemini: {
    contents: [
      { role: "user", parts: [{ text: "go" }] },
      { role: "model", parts: [{ functionCall: { name: "t1", args: {} } }] },
      {
        role: "user",
        parts: [
          { functionResponse: { name: "t1", response: { output: "plain" } } },
          { functionResponse: { id: "t2", name: "x", response: { error: "in\n[image]" } } },
        ],
      },
    ],
    generationConfig: { maxOutputTokens: 128, temperature: 0 },
  },
};

const told: Asked["results"] = [
  { id: "t1", ok: true, text: "plain", cut: false },
  { id: "t2", ok: true, text: "in\n[image]", cut: false },
];

describe("asked", () => {
  test.each(["messages", "responses", "chat", "gemini"] as const)(
    "ASK-1.2  the results of %s are told in order, however the body is cut",
    (format) => {
      const failing = format === "messages" || format === "gemini";
      const block = format === "responses" ? "input_image" : "image";
      const results = told.map((one, n) => (n === 1 ? { ...one, ok: !failing, text: `in\n[${block}]` } : one));
      fc.assert(
        fc.property(fc.array(fc.nat(), { maxLength: 8 }), (cuts) => {
          expect(read(format, bodies[format], { cuts })).toMatchObject({
            model: format === "gemini" ? null : "m",
            stream: format !== "gemini",
            outputTokensMax: 128,
            results,
          });
        }),
      );
    },
  );

  test("ASK-1.1  what is not there is null, and what is no JSON is no request", () => {
    expect(read("messages", {})).toMatchObject({ model: null, stream: false, outputTokensMax: null, results: [] });
    expect(read("chat", { model: 7, max_tokens: "many", messages: "none" })).toMatchObject({
      model: null,
      outputTokensMax: null,
    });
    const reader = askedReader("chat", () => true, 10);
    reader.push(Buffer.from(`{"model":"m"`));
    expect(reader.end()).toBeNull();
  });

  test("ASK-1.3  a result beyond the bound is cut, and the next is whole", () => {
    const messages = [
      { role: "tool", tool_call_id: "a", content: "x".repeat(500) },
      { role: "tool", tool_call_id: "b", content: "short" },
    ];
    expect(read("chat", { messages }, { max: 100 })?.results).toEqual([
      { id: "a", ok: true, text: "", cut: true },
      { id: "b", ok: true, text: "short", cut: false },
    ]);
  });

  test("ASK-1.4  only results that are waited for are told", () => {
    for (const format of ["messages", "responses", "chat", "gemini"] as const) {
      expect(read(format, bodies[format], { waited: (id) => id === "t2" })?.results).toMatchObject([{ id: "t2" }]);
    }
  });
});

test("ASK-1.5 results without an id are those of the newest calls of their tool", () => {
  const part = (name: string, output: string, id?: string): unknown => ({
    functionResponse: { ...(id === undefined ? {} : { id }), name, response: { output } },
  });
  const contents = [
    { role: "user", parts: [part("shell", "old"), part("read", "a")] },
    { role: "model", parts: [{ functionCall: { name: "shell", args: {} } }] },
    { role: "user", parts: [part("shell", "first", "shell-1"), part("shell", "second", "shell-2"), part("read", "b", "r1")] },
  ];
  const asked = (waiting: readonly string[]): unknown => {
    const reader = askedReader("gemini", (id) => waiting.includes(id), 1_000);
    reader.push(Buffer.from(JSON.stringify({ contents })));
    return reader.end()?.results.map(({ id, text }) => [id, text]);
  };
  expect(asked(["shell"])).toEqual([["shell", "second"]]);
  expect(asked(["shell", "shell#2"])).toEqual([
    ["shell", "first"],
    ["shell#2", "second"],
  ]);
  expect(asked(["r1", "shell"])).toEqual([
    ["shell", "second"],
    ["r1", "b"],
  ]);
  expect(asked([])).toEqual([]);
});

test.each([
  ["messages", (content: string) => `{"messages":[{"content":[{"type":"tool_result","tool_use_id":"w","content":${content}}]}]}`],
  ["responses", (content: string) => `{"input":[{"type":"function_call_output","call_id":"w","output":${content}}]}`],
  ["chat", (content: string) => `{"messages":[{"role":"tool","tool_call_id":"w","content":${content}}]}`],
  ["gemini", (content: string) => `{"contents":[{"parts":[{"functionResponse":{"id":"w","name":"n","response":${content}}}]}]}`],
] as const)("ASK-1.3 %s: a result that nests without end is told as cut", (format, body) => {
  const reader = askedReader(format, () => true, 256 * 1024);
  expect(reader.push(Buffer.from(body('{"a":'.repeat(20_000) + "1" + "}".repeat(20_000))))).toBe(true);
  expect(reader.end()?.results).toEqual([{ id: "w", ok: true, text: "", cut: true }]);
});

test("ASK-1.6 of several bounds the largest counts, and so often as there are choices", () => {
  const two = { model: "m", max_completion_tokens: 100_000, max_tokens: 1, n: 128, messages: [] };
  expect(read("chat", two)).toMatchObject({ outputTokensMax: 100_000, choices: 128 });
  expect(read("chat", { ...two, n: 0 })).toMatchObject({ choices: 1 });
  const config = { generationConfig: { candidateCount: 8, maxOutputTokens: 7 } };
  expect(read("gemini", config)).toMatchObject({ outputTokensMax: 7, choices: 8 });
  const reader = askedReader("messages", () => false, 10);
  reader.push(Buffer.from('{"max_tokens":9,"max_tokens":1}'));
  expect(reader.end()).toMatchObject({ outputTokensMax: 9, choices: 1 });
});
