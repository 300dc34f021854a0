/** What a program does with the `openai` library. */
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
const tool = { type: "function", function: { name: "get_weather", description: "Weather of a city.", parameters: weather } };
const flat = { type: "function", name: "get_weather", description: "Weather of a city.", parameters: weather, strict: true };
const exactly = { model, messages: says(`Reply with exactly: ${unicode}`) };

export async function openai() {
  const { default: OpenAI } = await load("openai");
  const api = new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey: key, maxRetries: 0 });
  const patient = new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey: key, maxRetries: 2 });
  const cases = {
    "models: list": async () => assert.ok((await collected(api.models.list())).length > 0),
    ...chatReplies(api, patient),
    ...chatTools(api),
    ...responsesReplies(api, patient),
    ...responsesTools(api),
  };
  const failing = [
    [400, OpenAI.BadRequestError],
    [401, OpenAI.AuthenticationError],
    [403, OpenAI.PermissionDeniedError],
    [404, OpenAI.NotFoundError],
    [429, OpenAI.RateLimitError],
    [500, OpenAI.InternalServerError],
  ];
  for (const [status, type] of failing) {
    const messages = says(`status-${status}`);
    cases[`chat: ${status}`] = () => throws(api.chat.completions.create({ model, messages }), "chat", OpenAI, type, status);
    cases[`chat: ${status} for a stream`] = () =>
      throws(api.chat.completions.create({ model, messages, stream: true }), "chat", OpenAI, type, status);
    cases[`responses: ${status}`] = () =>
      throws(api.responses.create({ model, input: messages }), "responses", OpenAI, type, status);
  }
  return cases;
}

function chatReplies(api, patient) {
  return {
    "chat: whole": async () => {
      const said = await api.chat.completions.create(exactly);
      assert.equal(said.choices[0].message.content, unicode);
      assert.equal(said.choices[0].finish_reason, "stop");
      assert.ok(said.usage.prompt_tokens > 0 && said.usage.completion_tokens > 0);
      assert.equal(said.object, "chat.completion");
    },
    "chat: stream": async () => {
      const chunks = await collected(
        await api.chat.completions.create({ ...exactly, stream: true, stream_options: { include_usage: true } }),
      );
      assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), unicode);
      assert.ok(chunks.at(-1).usage.total_tokens > 0);
      assert.ok(chunks.some((chunk) => chunk.choices[0]?.finish_reason === "stop"));
    },
    "chat: no usage in a stream that did not ask": async () => {
      const chunks = await collected(await api.chat.completions.create({ ...exactly, stream: true }));
      assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
    },
    "chat: stream helper": async () => {
      const final = await api.chat.completions.stream(exactly).finalChatCompletion();
      assert.equal(final.choices[0].message.content, unicode);
    },
    "chat: system": async () => {
      const messages = [{ role: "system", content: "Answer in upper case." }, ...says("Reply with exactly: loud")];
      assert.equal((await api.chat.completions.create({ model, messages })).choices[0].message.content, "LOUD");
    },
    "chat: bound of the output": async () => {
      const said = await api.chat.completions.create({
        model,
        messages: says(`Reply with exactly: ${long}`),
        max_completion_tokens: 3,
      });
      assert.equal(said.choices[0].finish_reason, "length");
    },
    "chat: stop": async () => {
      const said = await api.chat.completions.create({
        model,
        messages: says("Reply with exactly: one two three"),
        stop: ["two"],
      });
      assert.equal(said.choices[0].message.content, "one ");
      assert.equal(said.choices[0].finish_reason, "stop");
    },
    "chat: image": async () => {
      const content = [
        { type: "text", text: "What is it?" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
      ];
      const said = await api.chat.completions.create({ model, messages: [{ role: "user", content }] });
      assert.equal(said.choices[0].message.content, "I see 1 image(s).");
    },
    "chat: abort in mid-stream": async () => {
      const stream = await api.chat.completions.create({
        model: "endless",
        messages: says(`Reply with exactly: ${long}`),
        stream: true,
      });
      await leave(stream, (chunk) => chunk.choices[0]?.delta.content);
      await allClosed();
    },
    "chat: tries again": async () => {
      const said = await patient.chat.completions.create({ model, messages: says(`Reply with exactly: busy-chat-${run}`) });
      assert.equal(said.choices[0].message.content, `busy-chat-${run}`);
    },
    "chat: many at once": async () => {
      const texts = Array.from({ length: 16 }, (_, n) => `number ${n}`);
      const all = await Promise.all(
        texts.map((text) => api.chat.completions.create({ model, messages: says(`Reply with exactly: ${text}`) })),
      );
      assert.deepEqual(
        all.map((said) => said.choices[0].message.content),
        texts,
      );
    },
  };
}

function chatTools(api) {
  return {
    "chat: JSON schema": async () => {
      const response_format = { type: "json_schema", json_schema: { name: "person", schema: person, strict: true } };
      const said = await api.chat.completions.parse({ model, messages: says("Somebody of 42"), response_format });
      assert.deepEqual(JSON.parse(said.choices[0].message.content), { name: "Somebody of 42", age: 42 });
    },
    "chat: tool, its result, the end": async () => {
      const messages = says("What is the weather in Paris?");
      const first = await api.chat.completions.create({ model, messages, tools: [tool] });
      const [call] = first.choices[0].message.tool_calls;
      assert.equal(first.choices[0].finish_reason, "tool_calls");
      assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["get_weather", { city: "Paris" }]);
      const turns = [...messages, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" }];
      const second = await api.chat.completions.create({ model, messages: turns, tools: [tool] });
      assert.equal(second.choices[0].message.content, "The tool said: rain");
    },
    "chat: tools in a stream": async () => {
      const final = await api.chat.completions
        .stream({ model, messages: says("The weather in Paris and in Oslo?"), tools: [tool] })
        .finalChatCompletion();
      const calls = final.choices[0].message.tool_calls;
      assert.deepEqual(
        calls.map((call) => JSON.parse(call.function.arguments).city),
        ["Paris", "Oslo"],
      );
      assert.equal(new Set(calls.map(({ id }) => id)).size, 2);
    },
    "chat: one call at a time": async () => {
      const body = { model, messages: says("The weather in Paris and in Oslo?"), tools: [tool], parallel_tool_calls: false };
      assert.equal((await api.chat.completions.create(body)).choices[0].message.tool_calls.length, 1);
    },
    "chat: a tool that is demanded, and none": async () => {
      const named = { type: "function", function: { name: "get_weather" } };
      const body = { model, messages: says("Good day."), tools: [tool] };
      assert.equal((await api.chat.completions.create({ ...body, tool_choice: named })).choices[0].message.tool_calls.length, 1);
      const none = await api.chat.completions.create({ ...body, messages: says("The weather in Oslo?"), tool_choice: "none" });
      assert.equal(none.choices[0].message.tool_calls, undefined);
    },
    "chat: runTools": async () => {
      const said = await api.chat.completions
        .runTools({
          model,
          messages: says("What is the weather in Tokyo?"),
          tools: [
            { type: "function", function: { ...tool.function, parse: JSON.parse, function: ({ city }) => `${city} is dry` } },
          ],
        })
        .finalContent();
      assert.equal(said, "The tool said: Tokyo is dry");
    },
  };
}

function responsesReplies(api, patient) {
  return {
    "responses: whole": async () => {
      const said = await api.responses.create({ model, input: `Reply with exactly: ${unicode}` });
      assert.equal(said.output_text, unicode);
      assert.equal(said.status, "completed");
      assert.ok(said.usage.input_tokens > 0 && said.usage.output_tokens > 0);
    },
    "responses: stream": async () => {
      const events = await collected(
        await api.responses.create({ model, input: `Reply with exactly: ${unicode}`, stream: true }),
      );
      const deltas = events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta);
      assert.equal(deltas.join(""), unicode);
      assert.deepEqual(
        events.map((event) => event.sequence_number),
        events.map((_, n) => n),
      );
      assert.equal(events[0].type, "response.created");
      assert.equal(events.at(-1).type, "response.completed");
      assert.equal(events.at(-1).response.output[0].content[0].text, unicode);
    },
    "responses: stream helper": async () => {
      const final = await api.responses.stream({ model, input: "Reply with exactly: hello" }).finalResponse();
      assert.equal(final.output_text, "hello");
    },
    "responses: instructions and turns": async () => {
      const input = [
        { role: "user", content: "My name is Ada." },
        { role: "assistant", content: "Hello Ada." },
        { role: "user", content: "What is my name?" },
      ];
      const said = await api.responses.create({ model, input, instructions: "Answer in upper case." });
      assert.equal(said.output_text, "YOUR NAME IS ADA.");
    },
    "responses: bound of the output": async () => {
      const said = await api.responses.create({ model, input: `Reply with exactly: ${long}`, max_output_tokens: 3 });
      assert.equal(said.status, "incomplete");
      assert.equal(said.incomplete_details.reason, "max_output_tokens");
    },
    "responses: image": async () => {
      const content = [
        { type: "input_text", text: "What is it?" },
        { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${png}` },
      ];
      assert.equal((await api.responses.create({ model, input: [{ role: "user", content }] })).output_text, "I see 1 image(s).");
    },
    "responses: abort in mid-stream": async () => {
      const stream = await api.responses.create({ model, input: endless, stream: true });
      await leave(stream, (event) => event.type === "response.output_text.delta");
      await allClosed();
    },
    "responses: tries again": async () => {
      const said = await patient.responses.create({ model, input: `Reply with exactly: busy-responses-${run}` });
      assert.equal(said.output_text, `busy-responses-${run}`);
    },
  };
}

function responsesTools(api) {
  return {
    "responses: JSON schema": async () => {
      const text = { format: { type: "json_schema", name: "person", schema: person, strict: true } };
      const said = await api.responses.parse({ model, input: "Somebody of 42", text });
      assert.deepEqual(JSON.parse(said.output_text), { name: "Somebody of 42", age: 42 });
    },
    "responses: tool, its result, the end": async () => {
      const input = says("What is the weather in Paris?");
      const first = await api.responses.create({ model, input, tools: [flat] });
      const call = first.output.find(({ type }) => type === "function_call");
      assert.deepEqual([call.name, JSON.parse(call.arguments)], ["get_weather", { city: "Paris" }]);
      const result = { type: "function_call_output", call_id: call.call_id, output: "rain" };
      const second = await api.responses.create({ model, input: [...input, ...first.output, result], tools: [flat] });
      assert.equal(second.output_text, "The tool said: rain");
    },
    "responses: tools in a stream": async () => {
      const input = "The weather in Paris and in Oslo?";
      const events = await collected(await api.responses.create({ model, input, tools: [flat], stream: true }));
      const grown = {};
      for (const { type, item_id: id, delta } of events)
        if (type === "response.function_call_arguments.delta") grown[id] = (grown[id] ?? "") + delta;
      assert.deepEqual(
        Object.values(grown).map((text) => JSON.parse(text).city),
        ["Paris", "Oslo"],
      );
    },
    "responses: a tool that is demanded, and none": async () => {
      const demanded = await api.responses.create({ model, input: "Good day.", tools: [flat], tool_choice: "required" });
      assert.equal(demanded.output[0].type, "function_call");
      const none = await api.responses.create({ model, input: "The weather in Oslo?", tools: [flat], tool_choice: "none" });
      assert.equal(none.output[0].type, "message");
    },
    "responses: count": async () =>
      assert.ok((await api.responses.inputTokens.count({ model, input: "hello" })).input_tokens > 0),
    "responses: compact": async () => {
      const compacted = await api.responses.compact({ model, input: says("hello") });
      assert.equal(compacted.object, "response.compaction");
    },
  };
}
