import { expect, test } from "vitest";
import type { Json } from "../../src/lib/json.ts";
import { responsesGuest as format } from "../../src/wire/responses-guest.ts";
import { asked, heardOf, pass } from "./guests.ts";
import { eventsOf, samples, sampleStreams } from "./samples.ts";

const { named } = sampleStreams;
type Events = Parameters<typeof named>[0];
type Event = { readonly type: string; readonly sequence_number: number; readonly [field: string]: Json };

const usage = { inputTokens: 9, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
const created = { type: "response.created", response: { id: "r", model: "m", output: [] } };
const added = (index: number, item: Json) => ({ type: "response.output_item.added", output_index: index, item });
const done = (index: number, item: Json) => ({ type: "response.output_item.done", output_index: index, item });
const completed = (output: Json) => ({
  type: "response.completed",
  response: { id: "r", model: "m", status: "completed", output, usage: { input_tokens: 5, output_tokens: 9 } },
});
const fn = (args: string, id = "c1") => ({ type: "function_call", id: "f", call_id: id, name: "run", arguments: args });

function hear(events: Events) {
  return pass(format.hear(asked), [Buffer.from(named(events))]);
}

function eventsIn(bytes: Uint8Array): Event[] {
  return eventsOf(Buffer.from(bytes).toString())
    .filter((text) => text !== "" && text !== "data: [DONE]\n\n")
    .map((text) => JSON.parse(text.slice(text.indexOf("data: ") + 6)) as Event);
}

test("MOD-7.4 every item that asks the client to act is a call under its own name", () => {
  const items: readonly (readonly [Json, Json])[] = [
    [fn(`{"a":1}`), { id: "c1", name: "run", args: { a: 1 } }],
    [
      { ...fn("{}"), namespace: "git" },
      { id: "c1", name: "git.run", args: {} },
    ],
    [
      { type: "custom_tool_call", call_id: "c2", name: "patch", input: "***" },
      { id: "c2", name: "patch", args: { input: "***" } },
    ],
    [
      { type: "local_shell_call", id: "l", call_id: "c3", status: "completed", action: { command: ["rm"] } },
      { id: "c3", name: "local_shell", args: { action: { command: ["rm"] } } },
    ],
    [
      { type: "shell_call", call_id: "c4", action: { commands: ["ls"] } },
      { id: "c4", name: "shell", args: { action: { commands: ["ls"] } } },
    ],
    [
      { type: "computer_call", call_id: "c5", actions: [] },
      { id: "c5", name: "computer", args: { actions: [] } },
    ],
    [
      { type: "apply_patch_call", call_id: "c6", operation: {} },
      { id: "c6", name: "apply_patch", args: { operation: {} } },
    ],
    [
      { type: "tool_search_call", call_id: "c7", execution: "client" },
      { id: "c7", name: "tool_search", args: { execution: "client" } },
    ],
    [
      { type: "unheard_of_call", id: "c8" },
      { id: "c8", name: "unheard_of", args: {} },
    ],
  ];
  for (const [item, call] of items) {
    const passed = hear([created, added(0, item), done(0, item), completed([item])]);
    expect(passed.out).toBe(named([created]));
    expect(heardOf(passed).reply).toMatchObject({ stop: "calls", parts: [{ type: "call", ...(call as object) }] });
  }
});

test("HRD-4.1 what the provider executes is no call, and a call is one in whatever event it stands", () => {
  const own = [
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_call",
    "mcp_approval_request",
  ];
  for (const type of [...own, "tool_search_call"]) {
    const item = { type, id: "x", execution: "server" };
    const more = { type: `response.${type}.completed`, output_index: 0 };
    expect(heardOf(hear([created, added(0, item), more, done(0, item), completed([item])])).held).toEqual([]);
  }
  for (const event of [
    { type: "response.function_call_arguments.delta", output_index: 0, delta: "{}" },
    { type: "response.custom_tool_call_input.done", output_index: 0, input: "" },
    { type: "response.shell_call_command.delta", output_index: 0, delta: "ls" },
    { type: "response.in_progress", response: { output: [fn("{}")] } },
    done(0, fn("{}")),
  ])
    expect(hear([created, event]).out).toBe(named([created]));
});

test("HRD-4.1 a call that only the closing event holds is one, and one that it leaves out is one too", () => {
  const late = hear([created, completed([fn("{}")])]);
  expect(late.out).toBe(named([created]));
  expect(heardOf(late).reply.parts).toHaveLength(1);
  expect(heardOf(hear([created, added(0, fn("")), done(0, fn("{}")), completed([])])).reply.parts).toHaveLength(1);
});

test("HRD-4.2 a stream whose ways of telling a call differ is trouble", () => {
  const delta = (text: string) => ({ type: "response.function_call_arguments.delta", output_index: 0, delta: text });
  const fine = [created, added(0, fn("")), delta(`{"a":`), delta("1}"), done(0, fn(`{"a": 1}`)), completed([fn(`{"a":1}`)])];
  expect(hear(fine).end.ok).toBe(true);
  const bad = [
    [created, added(0, fn("")), delta(`{"a":2}`), done(0, fn(`{"a":1}`)), completed([fn(`{"a":1}`)])],
    [created, added(0, fn("")), done(0, fn(`{"a":1}`)), completed([fn(`{"a":2}`)])],
    [created, added(0, fn("")), done(0, fn("{}")), completed([{ type: "message", content: [] }])],
    [created, done(0, fn("{}", "c1")), done(0, fn("{}", "c2")), completed([fn("{}", "c2")])],
    [created, added(0, fn("")), completed([])],
  ];
  const other = named([created]).replace("event: response.created", "event: response.output_item.added");
  expect(pass(format.hear(asked), [Buffer.from(other)])).toMatchObject({ out: "", end: { ok: false } });
  for (const events of bad) expect(hear(events).end).toMatchObject({ ok: false, error: { told: false } });
});

test("HRD-4.2 what broke off counts with what its open items had grown to", () => {
  const delta = { type: "response.output_text.delta", output_index: 0, delta: "one two three four five six seven" };
  const { end } = hear([created, added(0, { type: "message", content: [] }), delta]);
  expect(end.ok ? 0 : end.error.outputTokens).toBeGreaterThan(6);
});

test("HRD-4.3 a response in one piece that is not finished is trouble", () => {
  const end = (status: string) => {
    const body = JSON.stringify({ id: "r", model: "m", status, output: [], error: null });
    return pass(format.hear({ ...asked, stream: false }), [Buffer.from(body)]).end;
  };
  expect(["completed", "incomplete", "queued", "in_progress"].map((status) => end(status).ok)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("WRT-5.1 a note goes on with the heard response, its next index and its next number", () => {
  const hearing = format.hear(asked);
  const before = eventsIn(Buffer.from(samples.responses.before));
  hearing.push(Buffer.from(samples.responses.before));
  const writer = hearing.writer("r1");
  const events = eventsIn(Buffer.concat([writer.part({ type: "text", text: "note" }), writer.end("end", usage)]));
  expect(events.map(({ sequence_number: n }) => n)).toEqual(events.map((_event, n) => before.length + n));
  expect(events[0]).toMatchObject({ type: "response.output_item.added", output_index: 3 });
  expect(events.at(-1)).toMatchObject({ type: "response.completed", response: { id: "resp_1", model: "gpt-x", store: false } });
});

test("WRT-5.1 a message that broke off is closed with the text that was heard", () => {
  const hearing = format.hear(asked);
  hearing.push(Buffer.from(eventsOf(samples.responses.before).slice(0, 10).join("")));
  const events = eventsIn(hearing.writer("r1").part({ type: "text", text: "note" }));
  expect(events.slice(0, 4).map(({ type }) => type)).toEqual([
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.output_item.added",
  ]);
  expect(events[2]).toMatchObject({ output_index: 2, item: { id: "msg_1", status: "completed", content: [{ text: "Let me" }] } });
});

test("WRT-5.2 the closing event holds all that was heard and written, and a response names the settings of its request", () => {
  const hearing = format.hear(asked);
  hearing.push(Buffer.from(samples.responses.before));
  const writer = hearing.writer("r1");
  writer.part({ type: "text", text: "note" });
  const [last] = eventsIn(writer.end("length", usage));
  const { output, status, incomplete_details: details } = (last?.response ?? {}) as Record<string, Json>;
  expect((output as { type: string }[]).map(({ type }) => type)).toEqual(["reasoning", "web_search_call", "message", "message"]);
  expect([status, details]).toEqual(["incomplete", { reason: "max_output_tokens" }]);
  const echo = { model: "m", store: false, tools: [{ type: "web_search" }], input: "not repeated", instructions: "Be good." };
  const whole = JSON.parse(Buffer.from(format.whole({ ...asked, echo }, [], "end", usage, "r1")).toString()) as object;
  expect(whole).toMatchObject({
    store: false,
    tools: [{ type: "web_search" }],
    instructions: "Be good.",
    truncation: "disabled",
  });
  expect(whole).not.toHaveProperty("input");
});

test("WRT-5.5 a call of a tool that takes free text, or of a namespace, is written as one", () => {
  const space = { type: "namespace", name: "git", tools: [{ type: "function", name: "log" }] };
  const echo = { tools: [{ type: "custom", name: "apply_patch" }, space] };
  const calls = [
    { type: "call", id: "a", name: "apply_patch", args: { input: "***" } },
    { type: "call", id: "b", name: "git.log", args: {} },
  ] as const;
  const writer = format.writer({ ...asked, echo }, "r1");
  const heard = heardOf(pass(format.hear(asked), [...calls.map((call) => writer.part(call)), writer.end("calls", usage)]));
  expect(heard.reply.parts).toEqual(calls);
  expect(heard.said.map(({ value }) => value)).toMatchObject([
    { type: "custom_tool_call", name: "apply_patch", input: "***" },
    { type: "function_call", namespace: "git", name: "log" },
  ]);
});

test("MOD-7.5 the reply stands behind the input as it was said, and outputs of each kind behind it", () => {
  const { said } = heardOf(pass(format.hear(asked), [Buffer.from(samples.responses.stream)]));
  const { output } = samples.responses.whole as { output: Json[] };
  expect(said.map(({ value }) => value)).toEqual(output);
  const answers = [
    { id: "call_1", name: "get_weather", text: "EPERM" },
    { id: "call_2", name: "apply_patch", text: "not run" },
  ];
  expect(format.again({ model: "m", store: false, input: "go" }, said, answers)).toEqual({
    model: "m",
    store: false,
    input: [
      { role: "user", content: "go" },
      ...output,
      { type: "function_call_output", call_id: "call_1", output: "EPERM" },
      { type: "custom_tool_call_output", call_id: "call_2", output: "not run" },
    ],
  });
});

test("WRT-5.3 without a store, reasoning that did not come encrypted stays out", () => {
  const value = { type: "reasoning", id: "rs", summary: [] };
  const said = [{ type: "opaque", dialect: "openai-responses", value }] as const;
  expect(format.again({ input: [], store: false }, said, [])).toEqual({ input: [], store: false });
  expect(format.again({ input: [] }, said, [])).toEqual({ input: [value] });
});

test("WRT-5.4 a call that takes no text as its output is told of instead", () => {
  const item = { type: "computer_call", id: "x", call_id: "c5", actions: [] };
  const said = [{ type: "opaque", dialect: "openai-responses", value: item }] as const;
  expect(format.again({ input: [] }, said, [{ id: "c5", name: "computer", text: "EPERM: no screens" }])).toEqual({
    input: [{ role: "developer", content: "Your call of computer was not carried out. EPERM: no screens" }],
  });
});

test("WRT-5.6 a stream ends with the word that Open Responses ends it with, after its closing event", () => {
  const writer = format.writer({ model: "m", stream: true, windowTokens: 1 }, "r1");
  expect(Buffer.from(writer.end("end", usage)).toString()).toMatch(
    /event: response\.completed\ndata: [^\n]+\n\ndata: \[DONE\]\n\n$/,
  );
});

test("WRT-5.2 functions and reasoning are named whole, whatever of them the request said", () => {
  const echo = { reasoning: { effort: "low" }, tools: [{ type: "function", name: "run" }, { type: "web_search" }] };
  const whole = format.whole({ model: "m", stream: false, windowTokens: 1, echo }, [], "end", usage, "r1");
  expect(JSON.parse(Buffer.from(whole).toString())).toMatchObject({
    reasoning: { effort: "low", summary: null },
    tools: [{ type: "function", name: "run", description: null, parameters: null, strict: true }, { type: "web_search" }],
  });
});
