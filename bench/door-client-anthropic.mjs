/** What a program does with the `@anthropic-ai/sdk` library. */
// @ts-nocheck: the libraries are installed for the trial alone, and so their types are not here.
import assert from "node:assert/strict";
import {
  allClosed,
  baseUrl,
  collected,
  endless,
  key,
  leave,
  load,
  long,
  model,
  person,
  png,
  run,
  throws,
  unicode,
  weather,
} from "./door-client.mjs";

const says = (text) => [{ role: "user", content: text }];
const tool = { name: "get_weather", description: "Weather of a city.", input_schema: weather };
const asking = { model, max_tokens: 200 };
const exactly = { ...asking, messages: says(`Reply with exactly: ${unicode}`) };

/** `name`: of the package, since there are two versions of it. */
export async function anthropic(name) {
  const { default: Anthropic } = await load(name);
  const api = new Anthropic({ baseURL: baseUrl, apiKey: key, maxRetries: 0 });
  const cases = { ...replies(api, Anthropic), ...tools(api) };
  const failing = [
    [400, Anthropic.BadRequestError],
    [401, Anthropic.AuthenticationError],
    [403, Anthropic.PermissionDeniedError],
    [404, Anthropic.NotFoundError],
    [429, Anthropic.RateLimitError],
    [500, Anthropic.InternalServerError],
    [529, Anthropic.InternalServerError],
  ];
  for (const [status, type] of failing) {
    const body = { ...asking, messages: says(`status-${status}`) };
    cases[`messages: ${status}`] = () => throws(api.messages.create(body), "messages", Anthropic, type, status);
    cases[`messages: ${status} for a stream`] = () =>
      throws(api.messages.stream(body).finalMessage(), "messages", Anthropic, type, status);
  }
  return cases;
}

function replies(api, Anthropic) {
  return {
    "messages: whole": async () => {
      const said = await api.messages.create(exactly);
      assert.equal(said.content[0].text, unicode);
      assert.equal(said.stop_reason, "end_turn");
      assert.ok(said.usage.input_tokens > 0 && said.usage.output_tokens > 0);
    },
    "messages: events of a stream": async () => {
      const events = await collected(await api.messages.create({ ...exactly, stream: true }));
      const types = events.map(({ type }) => type).filter((type) => type !== "ping");
      assert.equal(types[0], "message_start");
      assert.deepEqual(types.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
      const deltas = events.filter(({ type }) => type === "content_block_delta").map(({ delta }) => delta.text);
      assert.equal(deltas.join(""), unicode);
    },
    "messages: stream helper": async () => {
      const stream = api.messages.stream(exactly);
      let text = "";
      stream.on("text", (piece) => (text += piece));
      const final = await stream.finalMessage();
      assert.equal(text, unicode);
      assert.equal(final.content[0].text, unicode);
      assert.ok(final.usage.output_tokens > 1);
    },
    "messages: system": async () => {
      const system = [{ type: "text", text: "Answer in upper case.", cache_control: { type: "ephemeral" } }];
      const said = await api.messages.create({ ...asking, system, messages: says("Reply with exactly: loud") });
      assert.equal(said.content[0].text, "LOUD");
    },
    "messages: bound of the output": async () => {
      const said = await api.messages.create({ model, max_tokens: 3, messages: says(`Reply with exactly: ${long}`) });
      assert.equal(said.stop_reason, "max_tokens");
    },
    "messages: stop sequence": async () => {
      const body = { ...asking, messages: says("Reply with exactly: one two three"), stop_sequences: ["two"] };
      const said = await api.messages.create(body);
      assert.deepEqual([said.content[0].text, said.stop_reason, said.stop_sequence], ["one ", "stop_sequence", "two"]);
      const streamed = await api.messages.stream(body).finalMessage();
      assert.deepEqual([streamed.stop_reason, streamed.stop_sequence], ["stop_sequence", "two"]);
    },
    "messages: image": async () => {
      const content = [
        { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
        { type: "text", text: "What is it?" },
      ];
      const said = await api.messages.create({ ...asking, messages: [{ role: "user", content }] });
      assert.equal(said.content[0].text, "I see 1 image(s).");
    },
    "messages: betas": async () => {
      const said = await api.beta.messages.create({ ...exactly, betas: ["context-management-2025-06-27"] });
      assert.equal(said.content[0].text, unicode);
    },
    "messages: a token instead of a key": async () => {
      const other = new Anthropic({ baseURL: baseUrl, authToken: key, apiKey: null, maxRetries: 0 });
      assert.equal((await other.messages.create(exactly)).content[0].text, unicode);
    },
    "models: list": async () => assert.ok((await collected(api.models.list())).length > 0),
    "messages: abort in mid-stream": async () => {
      const stream = await api.messages.create({ ...asking, messages: says(endless), stream: true });
      await leave(stream, ({ type }) => type === "content_block_delta");
      await allClosed();
    },
    "messages: tries again": async () => {
      const patient = api.withOptions({ maxRetries: 2 });
      const said = await patient.messages.create({ ...asking, messages: says(`Reply with exactly: busy-messages-${run}`) });
      assert.equal(said.content[0].text, `busy-messages-${run}`);
    },
  };
}

function tools(api) {
  return {
    "messages: JSON schema": async () => {
      const output_config = { format: { type: "json_schema", schema: person } };
      const said = await api.messages.create({ ...asking, messages: says("Somebody of 42"), output_config });
      assert.deepEqual(JSON.parse(said.content[0].text), { name: "Somebody of 42", age: 42 });
    },
    "messages: tool, its result, the end": async () => {
      const messages = says("What is the weather in Paris?");
      const first = await api.messages.create({ ...asking, messages, tools: [tool] });
      const call = first.content.find(({ type }) => type === "tool_use");
      assert.equal(first.stop_reason, "tool_use");
      assert.deepEqual([call.name, call.input], ["get_weather", { city: "Paris" }]);
      const result = { type: "tool_result", tool_use_id: call.id, content: "rain" };
      const turns = [...messages, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
      const second = await api.messages.create({ ...asking, messages: turns, tools: [tool] });
      assert.equal(second.content[0].text, "The tool said: rain");
    },
    "messages: tools in a stream": async () => {
      const final = await api.messages
        .stream({ ...asking, messages: says("The weather in Paris and in Oslo?"), tools: [tool] })
        .finalMessage();
      assert.deepEqual(
        final.content.map((block) => block.input.city),
        ["Paris", "Oslo"],
      );
    },
    "messages: a tool that is demanded, and none": async () => {
      const body = { ...asking, tools: [tool] };
      const demanded = await api.messages.create({ ...body, messages: says("Good day."), tool_choice: { type: "any" } });
      assert.equal(demanded.content[0].type, "tool_use");
      const none = await api.messages.create({ ...body, messages: says("The weather in Oslo?"), tool_choice: { type: "none" } });
      assert.equal(none.content[0].type, "text");
    },
    "messages: count": async () =>
      assert.ok((await api.messages.countTokens({ model, messages: says("hello") })).input_tokens > 0),
  };
}
