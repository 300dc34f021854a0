import { expect, test } from "vitest";
import type { Json } from "../../src/lib/json.ts";
import { messagesGuest as format } from "../../src/wire/messages-guest.ts";
import { asked, heardOf, pass } from "./guests.ts";
import { samples, sampleStreams } from "./samples.ts";

const { named } = sampleStreams;
const start = {
  type: "message_start",
  message: { id: "msg_1", model: "m", content: [], usage: { input_tokens: 5, output_tokens: 1 } },
};
const stop = (reason: string) => [
  { type: "message_delta", delta: { stop_reason: reason }, usage: { output_tokens: 9 } },
  { type: "message_stop" },
];
const block = (index: number, content_block: Json) => [
  { type: "content_block_start", index, content_block },
  { type: "content_block_stop", index },
];

function hear(events: Parameters<typeof named>[0]) {
  return pass(format.hear(asked), [Buffer.from(named(events))]);
}

test("HRD-2.1 what the client is to act on is a call, and what the provider runs itself is none", () => {
  const own = [
    "server_tool_use",
    "mcp_tool_use",
    "web_search_tool_result",
    "mcp_tool_result",
    "redacted_thinking",
    "some_new_block",
  ];
  for (const type of own) {
    const passed = hear([start, ...block(0, { type, id: "t1", name: "x", input: {} }), ...stop("end_turn")]);
    expect(heardOf(passed).held).toEqual([]);
    expect(heardOf(passed).reply).toMatchObject({ stop: "end", parts: [{ type: "opaque" }] });
  }
  for (const type of ["tool_use", "custom_tool_use"]) {
    const passed = hear([start, ...block(0, { type, id: "t1", name: "Bash", input: { command: "ls" } }), ...stop("tool_use")]);
    expect(passed.out).toBe(named([start]));
    expect(heardOf(passed).reply.parts).toEqual([{ type: "call", id: "t1", name: "Bash", args: { command: "ls" } }]);
  }
});

test("MOD-6.6 names and ids stay as they are, that of a tool which is named like the contract's own included", () => {
  const uses = [
    ...block(0, { type: "tool_use", id: "a", name: "mcp__x__y", input: {} }),
    ...block(1, { type: "tool_use", id: "b", name: "final_answer", input: {} }),
  ];
  expect(heardOf(hear([start, ...uses, ...stop("tool_use")])).reply.parts).toEqual([
    { type: "call", id: "a", name: "mcp__x__y", args: {} },
    { type: "call", id: "b", name: "final_answer", args: {} },
  ]);
});

test("HRD-2.2 blocks that come twice or out of order, and a stream that begins twice or with blocks, are trouble", () => {
  const text = block(0, { type: "text", text: "hi" });
  const use = { type: "tool_use", id: "a", name: "Bash", input: {} };
  const bad = [
    [start, ...block(1, { type: "text", text: "hi" })],
    [start, ...text, ...block(0, use)],
    [start, ...text, ...block(2, use)],
    [start, ...text, { type: "content_block_start", content_block: use }],
    [start, ...text, { type: "content_block_start", index: 1 }],
    [start, start],
    [{ ...start, message: { ...start.message, content: [use] } }],
    [{ type: "message_start" }],
  ];
  const other = named([start]).replace("event: message_start", "event: content_block_start");
  expect(pass(format.hear(asked), [Buffer.from(other)])).toMatchObject({ out: "", end: { ok: false } });
  for (const events of bad)
    expect(hear([...events, ...stop("end_turn")]).end).toMatchObject({ ok: false, error: { told: false } });
});

test("HRD-2.1 arguments that were cut off or are no JSON stay text", () => {
  const use = { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "a", name: "Bash", input: {} } };
  const piece = (partial_json: string) => ({
    type: "content_block_delta",
    index: 0,
    delta: { type: "input_json_delta", partial_json },
  });
  const args = (events: Parameters<typeof named>[0], reason: string) =>
    heardOf(hear([start, ...events, ...stop(reason)])).reply.parts[0];
  expect(args([use, piece(`{"command":"rm`)], "max_tokens")).toMatchObject({ args: `{"command":"rm` });
  expect(args([use], "max_tokens")).toMatchObject({ args: "" });
  expect(args([use], "tool_use")).toMatchObject({ args: {} });
});

test("WRT-2.1 a note behind a text that broke off closes it, and stands at the next index", () => {
  const hearing = format.hear(asked);
  hearing.push(Buffer.from(named([start, { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }])));
  const lines = Buffer.from(hearing.writer("r1").part({ type: "text", text: "note" })).toString();
  expect(lines).toBe(
    named([
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "note" } },
      { type: "content_block_stop", index: 1 },
    ]),
  );
});

test("WRT-2.1 blocks that were held do not count as heard", () => {
  const hearing = format.hear(asked);
  const use = block(1, { type: "tool_use", id: "a", name: "Bash", input: {} });
  hearing.push(
    Buffer.from(named([start, ...block(0, { type: "text", text: "hi" }), ...use, ...block(2, { type: "text", text: "more" })])),
  );
  const lines = Buffer.from(hearing.writer("r1").part({ type: "text", text: "note" })).toString();
  expect(lines).toMatch(/^event: content_block_start\ndata: \{"type":"content_block_start","index":1,/);
});

test("WRT-2.2 Anthropic's own blocks stream as they would, and read the same", () => {
  const blocks: Json[] = [
    { type: "thinking", thinking: "hm", signature: "sig" },
    { type: "redacted_thinking", data: "xyz" },
    { type: "server_tool_use", id: "s", name: "web_search", input: { query: "q" } },
    { type: "web_search_tool_result", tool_use_id: "s", content: [] },
  ];
  const parts = blocks.map((value) => ({ type: "opaque", dialect: "anthropic", value }) as const);
  const writer = format.writer(asked, "r1");
  const usage = { inputTokens: 9, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
  const heard = heardOf(pass(format.hear(asked), [...parts.map((part) => writer.part(part)), writer.end("end", usage)]));
  expect(heard.said).toEqual(parts);
  expect(heard.reply.parts).toEqual(parts);
});

test("WRT-2.2 citations of a text go on with it", () => {
  const text = { type: "text", text: "as said", citations: [{ type: "char_location", cited_text: "said" }] };
  const usage = { inputTokens: 9, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
  const writer = format.writer(asked, "r1");
  const part = { type: "opaque", dialect: "anthropic", value: text } as const;
  expect(heardOf(pass(format.hear(asked), [writer.part(part), writer.end("end", usage)])).said).toEqual([part]);
});

test("MOD-6.7 a streamed reply is said as the blocks that it would have been in one piece", () => {
  const { said } = heardOf(pass(format.hear(asked), [Buffer.from(samples.messages.stream)]));
  expect(said.map(({ value }) => value)).toEqual((samples.messages.whole as { content: Json }).content);
});

test("WRT-2.3 the reply stands behind the messages verbatim, without texts that the provider would refuse, and then the answers", () => {
  const { said } = heardOf(pass(format.hear(asked), [Buffer.from(samples.messages.stream)]));
  const blank = { type: "opaque", dialect: "anthropic", value: { type: "text", text: "\n" } } as const;
  const body = { model: "m", system: "s", messages: [{ role: "user", content: "go" }] };
  expect(format.again(body, [blank, ...said], [{ id: "toolu_1", name: "get_weather", text: "EPERM" }])).toEqual({
    model: "m",
    system: "s",
    messages: [
      { role: "user", content: "go" },
      { role: "assistant", content: (samples.messages.whole as { content: Json }).content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "EPERM" }] },
    ],
  });
});
