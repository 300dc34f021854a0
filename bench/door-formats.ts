/** How the trial's upstream speaks Messages and Gemini's format, and all four formats by name. Written apart from src/wire, which it tries. */
import type { JsonObject } from "../src/lib/json.ts";
import { chat, responses } from "./door-openai.ts";
import { errorTypes, list, named, number, object, pieces, strings, talkOf, text, unnamed, writtenTokens } from "./door-shape.ts";
import type { FormatName, Turn, UpstreamFormat } from "./door-shape.ts";
import { contentOf, tokensOf, type Said, type Tool } from "./door-talk.ts";

const messages: UpstreamFormat = {
  wrong: (body) =>
    text(body["model"]) === "" || !Array.isArray(body["messages"])
      ? "model and messages: Field required"
      : body["max_tokens"] === undefined
        ? "max_tokens: Field required"
        : null,
  talk(body) {
    const turns = list(body["messages"]).flatMap((turn): readonly Turn[] => {
      const results = list(turn["content"]).filter((block) => block["type"] === "tool_result");
      const role = text(turn["role"]);
      if (results.length === 0) return [{ role, result: false, ...contentOf(turn["content"]) }];
      return results.map((block) => ({ role, result: true, ...contentOf(block["content"]) }));
    });
    const choice = object(body["tool_choice"]);
    const config = object(object(body["output_config"])["format"]);
    return talkOf(
      turns,
      {
        tools: list(body["tools"]).map((tool): Tool => ({ name: text(tool["name"]), schema: tool["input_schema"] ?? null })),
        choice:
          choice["type"] === "tool"
            ? { tool: text(choice["name"]) }
            : choice["type"] === "any" || choice["type"] === "none"
              ? choice["type"]
              : "auto",
        several: choice["disable_parallel_tool_use"] !== true,
        schema: config["schema"] ?? null,
        tokensMax: number(body["max_tokens"]),
        stops: strings(body["stop_sequences"]),
      },
      contentOf(body["system"]).text,
    );
  },
  whole: (body, said, id) => ({
    ...messageHead(body, id),
    content: messageBlocks(said, id),
    stop_reason: messageStops[said.end],
    stop_sequence: said.stop,
    usage: messageUsage(body, said),
  }),
  stream(body, said, id) {
    const usage = messageUsage(body, said);
    const events: JsonObject[] = [
      {
        type: "message_start",
        message: {
          ...messageHead(body, id),
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { ...usage, output_tokens: 1 },
        },
      },
      { type: "ping" },
    ];
    messageBlocks(said, id).forEach((block, index) => {
      const calls = block["type"] === "tool_use";
      const whole = calls ? JSON.stringify(block["input"]) : text(block["text"]);
      const delta = (piece: string): JsonObject =>
        calls ? { type: "input_json_delta", partial_json: piece } : { type: "text_delta", text: piece };
      events.push({
        type: "content_block_start",
        index,
        content_block: calls ? { ...block, input: {} } : { ...block, text: "" },
      });
      for (const piece of pieces(whole)) events.push({ type: "content_block_delta", index, delta: delta(piece) });
      events.push({ type: "content_block_stop", index });
    });
    const stopped = { stop_reason: messageStops[said.end], stop_sequence: said.stop };
    return [...events, { type: "message_delta", delta: stopped, usage }, { type: "message_stop" }];
  },
  frame: named,
  last: "",
  error: (status, message) => ({
    type: "error",
    error: { type: errorTypes[status] ?? "api_error", message },
    request_id: "req_trial",
  }),
};

function messageHead(body: JsonObject, id: string): JsonObject {
  return { id: `msg_${id}`, type: "message", role: "assistant", model: body["model"] ?? "" };
}

function messageBlocks({ calls, text: words }: Said, id: string): readonly JsonObject[] {
  if (calls.length === 0) return [{ type: "text", text: words }];
  return calls.map(({ name, args }, n) => ({ type: "tool_use", id: `toolu_${id}_${n}`, name, input: args }));
}

const messageStops = { end: "end_turn", calls: "tool_use", length: "max_tokens", stop: "stop_sequence" } as const;

function messageUsage(body: JsonObject, said: Said): JsonObject {
  return {
    input_tokens: tokensOf(JSON.stringify(body["messages"])),
    output_tokens: writtenTokens(said),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
}

const gemini: UpstreamFormat = {
  wrong: (body) => (Array.isArray(body["contents"]) ? null : "contents is not specified"),
  talk(body) {
    const turns = list(body["contents"]).flatMap((content): readonly Turn[] => {
      const results = list(content["parts"]).filter((part) => "functionResponse" in part);
      const role = text(content["role"]);
      if (results.length === 0)
        return [{ role: role === "model" ? "assistant" : "user", result: false, ...contentOf(content["parts"]) }];
      return results.map((part) => {
        const { response } = object(part["functionResponse"]);
        return { role: "tool", result: true, images: 0, text: text(object(response)["output"]) || JSON.stringify(response) };
      });
    });
    const config = object(body["generationConfig"]);
    const calling = object(object(body["toolConfig"])["functionCallingConfig"]);
    const declared = list(body["tools"]).flatMap((tool) => list(tool["functionDeclarations"]));
    const [only] = strings(calling["allowedFunctionNames"]);
    const schema = config["responseJsonSchema"] ?? config["responseSchema"] ?? null;
    return talkOf(
      turns,
      {
        tools: declared.map((tool) => ({
          name: text(tool["name"]),
          schema: tool["parametersJsonSchema"] ?? tool["parameters"] ?? null,
        })),
        choice:
          calling["mode"] === "NONE"
            ? "none"
            : calling["mode"] === "ANY"
              ? only === undefined
                ? "any"
                : { tool: only }
              : "auto",
        several: true,
        schema: schema ?? (config["responseMimeType"] === "application/json" ? true : null),
        tokensMax: number(config["maxOutputTokens"]),
        stops: strings(config["stopSequences"]),
      },
      contentOf(object(body["systemInstruction"])["parts"]).text,
    );
  },
  whole: (body, said, id) => geminiChunk(body, said, id, geminiParts(said, id), true),
  stream(body, said, id) {
    const parts =
      said.calls.length > 0 ? geminiParts(said, id).map((part) => [part]) : pieces(said.text).map((piece) => [{ text: piece }]);
    const all = parts.length === 0 ? [[{ text: "" }]] : parts;
    return all.map((some, n) => geminiChunk(body, said, id, some, n === all.length - 1));
  },
  frame: unnamed,
  last: "",
  error: (status, message) => ({ error: { code: status, message, status: googleStatuses[status] ?? "INTERNAL" } }),
};

function geminiParts({ text: words, calls }: Said, id: string): readonly JsonObject[] {
  if (calls.length === 0) return [{ text: words }];
  return calls.map(({ name, args }, n) => ({ functionCall: { id: `call_${id}_${n}`, name, args } }));
}

function geminiChunk(body: JsonObject, said: Said, id: string, parts: readonly JsonObject[], last: boolean): JsonObject {
  const input = tokensOf(JSON.stringify(body["contents"]));
  const output = writtenTokens(said);
  const finish = last ? { finishReason: said.end === "length" ? "MAX_TOKENS" : "STOP" } : {};
  return {
    candidates: [{ content: { role: "model", parts }, index: 0, ...finish }],
    usageMetadata: { promptTokenCount: input, candidatesTokenCount: output, totalTokenCount: input + output },
    modelVersion: "oracle-1",
    responseId: id,
  };
}

const googleStatuses: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
};

export const upstreamFormats: Readonly<Record<FormatName, UpstreamFormat>> = { messages, responses, chat, gemini };
