/** How the trial's upstream speaks Chat Completions and Responses. Written apart from src/wire, which it tries. */
import type { Json, JsonObject } from "../src/lib/json.ts";
import { errorTypes, list, named, number, object, pieces, strings, talkOf, text, unnamed, writtenTokens } from "./door-shape.ts";
import type { Turn, UpstreamFormat } from "./door-shape.ts";
import { contentOf, tokensOf, type Said, type Talk, type Tool } from "./door-talk.ts";

const openaiError: UpstreamFormat["error"] = (status, message) => ({
  error: { message, type: errorTypes[status] ?? "server_error", param: null, code: null },
});

function openaiChoice(choice: Json | undefined): Talk["choice"] {
  if (choice === "none") return "none";
  if (choice === "required") return "any";
  const name = text(object(choice)["name"]) || text(object(object(choice)["function"])["name"]);
  return name === "" ? "auto" : { tool: name };
}

export const chat: UpstreamFormat = {
  wrong(body) {
    if (text(body["model"]) === "" || !Array.isArray(body["messages"])) return "model and messages are required";
    return (number(body["n"]) ?? 1) > 1 || body["logprobs"] === true ? "n and logprobs are not supported" : null;
  },
  talk(body) {
    const turns = list(body["messages"])
      .filter((turn) => turn["tool_calls"] === undefined)
      .map((turn): Turn => ({ role: text(turn["role"]), result: turn["role"] === "tool", ...contentOf(turn["content"]) }));
    const format = object(body["response_format"]);
    return talkOf(
      turns,
      {
        tools: list(body["tools"]).map((tool): Tool => {
          const { name, parameters } = object(tool["function"]);
          return { name: text(name), schema: parameters ?? null };
        }),
        choice: openaiChoice(body["tool_choice"]),
        several: body["parallel_tool_calls"] !== false,
        schema:
          format["type"] === "json_schema"
            ? (object(format["json_schema"])["schema"] ?? null)
            : format["type"] === "json_object"
              ? true
              : null,
        tokensMax: number(body["max_completion_tokens"]) ?? number(body["max_tokens"]),
        stops: strings(body["stop"]),
      },
      "",
    );
  },
  whole(body, said, id) {
    const message = { role: "assistant", content: chatText(said), refusal: null, ...chatCalls(said, id) };
    const choice = { index: 0, message, logprobs: null, finish_reason: chatStops[said.end] };
    return { ...chatHead(body, id, "chat.completion"), choices: [choice], usage: chatUsage(body, said) };
  },
  stream(body, said, id) {
    const head = chatHead(body, id, "chat.completion.chunk");
    const chunk = (delta: JsonObject, end: string | null = null): JsonObject => ({
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: end }],
    });
    const events = [chunk({ role: "assistant", content: said.calls.length > 0 ? null : "" })];
    for (const piece of pieces(said.text)) events.push(chunk({ content: piece }));
    said.calls.forEach(({ name, args }, index) => {
      const start = { index, id: `call_${id}_${index}`, type: "function", function: { name, arguments: "" } };
      events.push(chunk({ tool_calls: [start] }));
      for (const piece of pieces(JSON.stringify(args)))
        events.push(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }));
    });
    events.push(chunk({}, chatStops[said.end]));
    if (object(body["stream_options"])["include_usage"] === true)
      events.push({ ...head, choices: [], usage: chatUsage(body, said) });
    return events;
  },
  frame: unnamed,
  last: "data: [DONE]\n\n",
  error: openaiError,
};

function chatHead(body: JsonObject, id: string, kind: string): JsonObject {
  return { id: `chatcmpl_${id}`, object: kind, created: 1_790_000_000, model: body["model"] ?? "" };
}

function chatText({ calls, text: words }: Said): string | null {
  return calls.length > 0 ? null : words;
}

function chatCalls({ calls }: Said, id: string): JsonObject {
  if (calls.length === 0) return {};
  const wire = calls.map(({ name, args }, n) => ({
    id: `call_${id}_${n}`,
    type: "function",
    function: { name, arguments: JSON.stringify(args) },
  }));
  return { tool_calls: wire };
}

const chatStops = { end: "stop", calls: "tool_calls", length: "length", stop: "stop" } as const;

function chatUsage(body: JsonObject, said: Said): JsonObject {
  const input = tokensOf(JSON.stringify(body["messages"]));
  const output = writtenTokens(said);
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

export const responses: UpstreamFormat = {
  wrong(body) {
    if (text(body["model"]) === "") return "Missing required parameter: 'model'.";
    if (typeof body["input"] !== "string" && !Array.isArray(body["input"])) return "input is a text or a list of items";
    return body["background"] === true || body["previous_response_id"] != null ? "nothing is kept here" : null;
  },
  talk(body) {
    const input = typeof body["input"] === "string" ? [{ role: "user", content: body["input"] }] : list(body["input"]);
    const turns = input.flatMap((item): readonly Turn[] => {
      const type = text(item["type"]);
      if (type.endsWith("_output")) return [{ role: "tool", result: true, ...contentOf(item["output"]) }];
      return "role" in item ? [{ role: text(item["role"]), result: false, ...contentOf(item["content"]) }] : [];
    });
    const format = object(object(body["text"])["format"]);
    return talkOf(
      turns,
      {
        tools: list(body["tools"])
          .filter((tool) => tool["type"] === "function")
          .map((tool): Tool => ({ name: text(tool["name"]), schema: tool["parameters"] ?? null })),
        choice: openaiChoice(body["tool_choice"]),
        several: body["parallel_tool_calls"] !== false,
        schema: format["type"] === "json_schema" ? (format["schema"] ?? null) : format["type"] === "json_object" ? true : null,
        tokensMax: number(body["max_output_tokens"]),
        stops: [],
      },
      text(body["instructions"]),
    );
  },
  whole: (body, said, id) => finishedResponse(body, said, id),
  stream(body, said, id) {
    let sequence = 0;
    const events: JsonObject[] = [];
    const add = (type: string, rest: JsonObject): void => {
      events.push({ type, sequence_number: sequence, ...rest });
      sequence += 1;
    };
    const response = responseHead(body, id);
    add("response.created", { response });
    add("response.in_progress", { response });
    responseItems(said, id).forEach((item, index) => {
      const where = { item_id: text(item["id"]), output_index: index };
      if (item["type"] === "function_call") {
        add("response.output_item.added", { output_index: index, item: { ...item, arguments: "", status: "in_progress" } });
        for (const delta of pieces(text(item["arguments"]))) add("response.function_call_arguments.delta", { ...where, delta });
        add("response.function_call_arguments.done", { ...where, name: item["name"] ?? "", arguments: item["arguments"] ?? "" });
      } else {
        const part = list(item["content"])[0] ?? {};
        const inside = { ...where, content_index: 0 };
        add("response.output_item.added", { output_index: index, item: { ...item, content: [], status: "in_progress" } });
        add("response.content_part.added", { ...inside, part: { ...part, text: "" } });
        for (const delta of pieces(said.text)) add("response.output_text.delta", { ...inside, delta, logprobs: [] });
        add("response.output_text.done", { ...inside, text: said.text, logprobs: [] });
        add("response.content_part.done", { ...inside, part });
      }
      add("response.output_item.done", { output_index: index, item });
    });
    const last = finishedResponse(body, said, id);
    add(`response.${text(last["status"])}`, { response: last });
    return events;
  },
  frame: named,
  last: "data: [DONE]\n\n",
  error: openaiError,
};

function responseItems(said: Said, id: string): readonly JsonObject[] {
  if (said.calls.length > 0)
    return said.calls.map(({ name, args }, n) => ({
      type: "function_call",
      id: `fc_${id}_${n}`,
      call_id: `call_${id}_${n}`,
      name,
      arguments: JSON.stringify(args),
      status: "completed",
    }));
  const part = { type: "output_text", text: said.text, annotations: [], logprobs: [] };
  const status = said.end === "length" ? "incomplete" : "completed";
  return [{ type: "message", id: `msg_${id}`, role: "assistant", status, content: [part] }];
}

/** Open Responses wants every setting of the request said again. */
function responseHead(body: JsonObject, id: string): JsonObject {
  const settings = {
    instructions: null,
    previous_response_id: null,
    truncation: "disabled",
    parallel_tool_calls: true,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    top_p: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    top_logprobs: 0,
    temperature: 1,
    max_output_tokens: null,
    max_tool_calls: null,
    store: true,
    background: false,
    service_tier: "default",
    metadata: {},
    safety_identifier: null,
    prompt_cache_key: null,
    user: null,
  };
  const said = Object.entries(body).filter(([name]) => name in settings);
  const tools = list(body["tools"]).map((tool) => ({ description: null, strict: true, parameters: null, ...tool }));
  return {
    id: `resp_${id}`,
    object: "response",
    created_at: 1_790_000_000,
    completed_at: null,
    status: "in_progress",
    incomplete_details: null,
    error: null,
    model: body["model"] ?? "",
    output: [],
    usage: null,
    ...settings,
    ...Object.fromEntries(said),
    tools,
    reasoning: { effort: null, summary: null, ...object(body["reasoning"]) },
  };
}

function finishedResponse(body: JsonObject, said: Said, id: string): JsonObject {
  const input = tokensOf(JSON.stringify(body["input"] ?? ""));
  const output = writtenTokens(said);
  const cut = said.end === "length";
  return {
    ...responseHead(body, id),
    status: cut ? "incomplete" : "completed",
    incomplete_details: cut ? { reason: "max_output_tokens" } : null,
    completed_at: 1_790_000_001,
    output: responseItems(said, id),
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + output,
    },
  };
}
