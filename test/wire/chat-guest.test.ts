import { expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { chatGuest as format } from "../../src/wire/chat-guest.ts";
import type { Question } from "../../src/wire/guest-format.ts";
import { asked, heardOf, pass } from "./guests.ts";
import { eventsOf, samples, sampleStreams } from "./samples.ts";

const { plain } = sampleStreams;
const usage = { inputTokens: 9, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };

function chunk(delta: Json, more: object = {}): Json {
  return { id: "c1", created: 7, model: "m", choices: [{ index: 0, delta, finish_reason: null, ...more }] };
}

const ended = chunk({}, { finish_reason: "tool_calls" });

function hear(events: readonly Json[]) {
  return pass(format.hear(asked), [Buffer.from(plain(events))]);
}

test("MOD-8.4 calls of the older form and calls of free text are held, and come out as calls", () => {
  const legacy = hear([
    chunk({ content: "so" }),
    chunk({ function_call: { name: "run", arguments: "" } }),
    chunk({ function_call: { arguments: `{"a":` } }),
    chunk({ function_call: { arguments: "1}" } }),
    chunk({}, { finish_reason: "function_call" }),
  ]);
  expect(legacy.out).toBe(plain([chunk({ content: "so" })]));
  const heard = heardOf(legacy);
  expect(heard.reply.stop).toBe("calls");
  expect(heard.reply.parts[1]).toEqual({ type: "call", id: "run", name: "run", args: { a: 1 } });
  expect(format.again({ messages: [] }, heard.said, [{ id: "run", name: "run", text: "EPERM" }])).toEqual({
    messages: [
      { role: "assistant", content: "so", function_call: { name: "run", arguments: `{"a":1}` } },
      { role: "function", name: "run", content: "EPERM" },
    ],
  });
  const custom = heardOf(
    hear([chunk({ tool_calls: [{ index: 0, id: "t", type: "custom", custom: { name: "sh", input: "ls" } }] }), ended]),
  );
  expect(custom.reply.parts).toEqual([{ type: "call", id: "t", name: "sh", args: { input: "ls" } }]);
});

test("HRD-3.1 an empty list of calls is none, and the calls of a body in one piece are its own", () => {
  const passed = hear([chunk({ content: "hi", tool_calls: [] }), chunk({}, { finish_reason: "stop" }), "[DONE]"]);
  expect(heardOf(passed).held).toEqual([]);
  expect(heardOf(passed).reply.stop).toBe("end");
});

test("HRD-3.2 calls in another choice, in a place that is not theirs, or of a name in pieces are trouble", () => {
  const call = { index: 0, id: "t", function: { name: "Ba", arguments: "" } };
  const bad = [
    [chunk({ tool_calls: [call] }, { index: 1 })],
    [chunk({ function_call: { name: "x" } }, { index: 1 })],
    [chunk({ tool_calls: { 0: call } })],
    [chunk({}, { message: { tool_calls: [call] } })],
    [chunk({ tool_calls: [call] }), chunk({ tool_calls: [{ index: 0, function: { name: "sh" } }] })],
  ];
  for (const events of bad) expect(hear([...events, ended]).end).toMatchObject({ ok: false, error: { told: false } });
  const body = (message: Json, other: Json) => ({
    choices: [
      { index: 0, message, finish_reason: "stop" },
      { index: 1, message: other },
    ],
  });
  const whole = (value: Json) => pass(format.hear({ ...asked, stream: false }), [Buffer.from(JSON.stringify(value))]).end;
  expect(whole(body({ content: "a" }, { content: "b" })).ok).toBe(true);
  expect(whole(body({ content: "a" }, { tool_calls: [call] })).ok).toBe(false);
  expect(whole(body({ tool_calls: { call } }, { content: "b" })).ok).toBe(false);
});

test("HRD-3.2 the texts of other choices are not mixed into the reply", () => {
  const events = [chunk({ content: "one" }), chunk({ content: "two" }, { index: 1 }), chunk({}, { finish_reason: "stop" })];
  expect(heardOf(hear(events)).reply.parts).toEqual([{ type: "text", text: "one" }]);
});

test("WRT-3.1 what is written behind a heard text is the same completion, and its role is not said again", () => {
  const hearing = format.hear(asked);
  hearing.push(Buffer.from(samples.chat.before));
  const writer = hearing.writer("r1");
  const written = Buffer.concat([
    writer.part({ type: "text", text: "note" }),
    writer.part({ type: "text", text: "more" }),
    writer.end("end", usage),
  ]).toString();
  const chunks = eventsOf(written)
    .slice(0, -1)
    .map((event) => JSON.parse(event.slice(6)) as { choices: { delta: Json }[] });
  for (const one of chunks) expect(one).toMatchObject({ id: "chatcmpl-1", created: 1_694_268_190, model: "gpt-x" });
  expect(chunks.flatMap((one) => one.choices.map(({ delta }) => delta))).toEqual([
    { content: "\n\nnote" },
    { content: "\n\nmore" },
    {},
  ]);
});

test("WRT-3.2 texts are kept apart by an empty line, streamed and in one piece", () => {
  const parts = [
    { type: "text", text: "one" },
    { type: "text", text: "two" },
  ] as const;
  const writer = format.writer(asked, "r1");
  const stream = [...parts.map((part) => writer.part(part)), writer.end("end", usage)];
  expect(heardOf(pass(format.hear(asked), stream)).reply.parts).toEqual([{ type: "text", text: "one\n\ntwo" }]);
  const whole = format.whole(asked, parts, "end", usage, "r1");
  expect(heardOf(pass(format.hear({ ...asked, stream: false }), [whole])).reply.parts).toEqual([
    { type: "text", text: "one\n\ntwo" },
  ]);
});

test("MOD-8.5 a streamed reply is said as the message that it would have been in one piece", () => {
  const { said } = heardOf(pass(format.hear(asked), [Buffer.from(samples.chat.stream)]));
  expect({ role: "assistant", ...(said[0]?.value as object) }).toEqual(
    (samples.chat.whole as { choices: { message: Json }[] }).choices[0]?.message,
  );
});

test("WRT-3.3 the reply stands behind the messages with what the server added to it, and then the answers", () => {
  const { said } = heardOf(pass(format.hear(asked), [Buffer.from(samples.chat.stream)]));
  const again = format.again({ model: "m", messages: [{ role: "user", content: "go" }] }, said, [
    { id: "call_1", name: "get_weather", text: "EPERM" },
    { id: "call_2", name: "shell", text: "not run" },
  ]);
  expect(again).toEqual({
    model: "m",
    messages: [
      { role: "user", content: "go" },
      (samples.chat.whole as { choices: { message: Json }[] }).choices[0]?.message,
      { role: "tool", tool_call_id: "call_1", content: "EPERM" },
      { role: "tool", tool_call_id: "call_2", content: "not run" },
    ],
  });
});

test("WRT-3.4 a call of a tool that takes free text is written as one", () => {
  const echo = { tools: [{ type: "custom", custom: { name: "sh" } }] };
  const call = { type: "call", id: "t", name: "sh", args: { input: "ls" } } as const;
  const writer = format.writer({ ...asked, echo }, "r1");
  const heard = heardOf(pass(format.hear(asked), [writer.part(call), writer.end("calls", usage)]));
  expect(heard.reply.parts).toEqual([call]);
  expect(heard.said[0]?.value).toMatchObject({ tool_calls: [{ id: "t", type: "custom", custom: { name: "sh", input: "ls" } }] });
});

test("WRT-3.5 what a reply took stands in a chunk without choices, and only where it was asked for", () => {
  const written = (question: Question): readonly JsonObject[] =>
    eventsOf(Buffer.from(format.writer(question, "r1").end("end", usage)).toString())
      .filter((text) => text.startsWith("data: {"))
      .map((text) => JSON.parse(text.slice(6)) as JsonObject);
  expect(written(asked).at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 5 } });
  expect(written(asked).at(-2)).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  const without = written({ model: "m", stream: true, windowTokens: 100 });
  expect(without.at(-1)).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  for (const chunk of without) expect(chunk).not.toHaveProperty("usage");
});
