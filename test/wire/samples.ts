/** Replies as the providers' documentation shows them: a stream, the event in it that begins the first call, and the same reply in one piece. */
import type { Format } from "../../src/abi/upstream.ts";

export interface Sample {
  readonly stream: string;
  /** The stream up to the first event that begins a call. */
  readonly before: string;
  readonly whole: unknown;
}

export function eventsOf(stream: string): string[] {
  return stream.split(/(?<=\n\n)/);
}

/** The events that a reply is not whole without end here; the ending one is left out. */
export function unended(stream: string): string[] {
  const events = eventsOf(stream);
  return events.slice(
    0,
    events.findIndex((event) => /message_stop|"finish_reason":"|response\.completed|"finishReason"/.test(event)),
  );
}

function named(events: readonly { readonly type: string; readonly [field: string]: unknown }[]): string {
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}

function plain(events: readonly unknown[]): string {
  return events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`).join("");
}

const messagesUsage = { input_tokens: 472, cache_creation_input_tokens: 10, cache_read_input_tokens: 100, output_tokens: 89 };
const messagesHead = { id: "msg_1", type: "message", role: "assistant", model: "claude-x", stop_sequence: null };

const messagesBefore = named([
  {
    type: "message_start",
    message: { ...messagesHead, content: [], stop_reason: null, usage: { ...messagesUsage, output_tokens: 2 } },
  },
  { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
  { type: "ping" },
  { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "I need the " } },
  { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "weather." } },
  { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "EqQBCg" } },
  { type: "content_block_stop", index: 0 },
  { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Okay, let's" } },
  { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: " check 🎈:" } },
  { type: "content_block_stop", index: 1 },
  {
    type: "content_block_start",
    index: 2,
    content_block: { type: "server_tool_use", id: "srv_1", name: "web_search", input: {} },
  },
  { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: `{"query":"weather"}` } },
  { type: "content_block_stop", index: 2 },
  {
    type: "content_block_start",
    index: 3,
    content_block: { type: "web_search_tool_result", tool_use_id: "srv_1", content: [] },
  },
  { type: "content_block_stop", index: 3 },
]);

const messages: Sample = {
  before: messagesBefore,
  stream:
    messagesBefore +
    named([
      {
        type: "content_block_start",
        index: 4,
        content_block: { type: "tool_use", id: "toolu_1", name: "get_weather", input: {} },
      },
      { type: "content_block_delta", index: 4, delta: { type: "input_json_delta", partial_json: "" } },
      { type: "content_block_delta", index: 4, delta: { type: "input_json_delta", partial_json: `{"location":` } },
      { type: "content_block_delta", index: 4, delta: { type: "input_json_delta", partial_json: ` "San Francisco"}` } },
      { type: "content_block_stop", index: 4 },
      { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage: { output_tokens: 89 } },
      { type: "message_stop" },
    ]),
  whole: {
    ...messagesHead,
    content: [
      { type: "thinking", thinking: "I need the weather.", signature: "EqQBCg" },
      { type: "text", text: "Okay, let's check 🎈:" },
      { type: "server_tool_use", id: "srv_1", name: "web_search", input: { query: "weather" } },
      { type: "web_search_tool_result", tool_use_id: "srv_1", content: [] },
      { type: "tool_use", id: "toolu_1", name: "get_weather", input: { location: "San Francisco" } },
    ],
    stop_reason: "tool_use",
    usage: messagesUsage,
  },
};

const chatHead = { id: "chatcmpl-1", created: 1_694_268_190, model: "gpt-x", system_fingerprint: "fp_1" };
const chatUsage = {
  prompt_tokens: 82,
  completion_tokens: 17,
  total_tokens: 99,
  prompt_tokens_details: { cached_tokens: 64 },
};

function chatChunk(delta: unknown, finish: string | null = null): unknown {
  return {
    ...chatHead,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    usage: null,
  };
}

const chatBefore = plain([
  chatChunk({ role: "assistant", content: "", refusal: null }),
  chatChunk({ reasoning_content: "Weather " }),
  chatChunk({ reasoning_content: "first." }),
  chatChunk({ content: "Let me" }),
  chatChunk({ content: " look 🎈." }),
]);

const chat: Sample = {
  before: chatBefore,
  stream:
    chatBefore +
    plain([
      chatChunk({
        tool_calls: [
          {
            index: 0,
            id: "call_1",
            type: "function",
            function: { name: "get_weather", arguments: "" },
          },
        ],
      }),
      chatChunk({ tool_calls: [{ index: 0, function: { arguments: `{"location":` } }] }),
      chatChunk({ tool_calls: [{ index: 0, function: { arguments: ` "Paris"}` }, extra_content: { s: "sig" } }] }),
      chatChunk({ tool_calls: [{ index: 1, id: "call_2", type: "custom", custom: { name: "shell", input: "ls" } }] }),
      chatChunk({ tool_calls: [{ index: 1, custom: { input: " -l" } }] }),
      chatChunk({}, "tool_calls"),
      { ...chatHead, object: "chat.completion.chunk", choices: [], usage: chatUsage },
      "[DONE]",
    ]),
  whole: {
    ...chatHead,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: "Let me look 🎈.",
          reasoning_content: "Weather first.",
          tool_calls: [
            {
              extra_content: { s: "sig" },
              id: "call_1",
              type: "function",
              function: { name: "get_weather", arguments: `{"location": "Paris"}` },
            },
            { id: "call_2", type: "custom", custom: { name: "shell", input: "ls -l" } },
          ],
        },
        finish_reason: "tool_calls",
      },
    ],
    usage: chatUsage,
  },
};

const reasoning = { id: "rs_1", type: "reasoning", summary: [], encrypted_content: "gAAA" };
const search = { id: "ws_1", type: "web_search_call", status: "completed", action: { type: "search", query: "weather" } };
const message = {
  id: "msg_1",
  type: "message",
  status: "completed",
  role: "assistant",
  content: [{ type: "output_text", text: "Let me look 🎈.", annotations: [], logprobs: [] }],
};
const fn = {
  id: "fc_1",
  type: "function_call",
  status: "completed",
  call_id: "call_1",
  name: "get_weather",
  arguments: `{"location":"Paris"}`,
};
const patch = {
  id: "ctc_1",
  type: "custom_tool_call",
  status: "completed",
  call_id: "call_2",
  name: "apply_patch",
  input: "*** Begin",
};
const output = [reasoning, search, message, fn, patch];
const response = {
  id: "resp_1",
  object: "response",
  created_at: 1_741_476_542,
  model: "gpt-x",
  tools: [],
  store: false,
  error: null,
  incomplete_details: null,
};
const responsesUsage = { input_tokens: 36, input_tokens_details: { cached_tokens: 6 }, output_tokens: 87, total_tokens: 123 };

const at = { item_id: "msg_1", output_index: 2, content_index: 0 };
const beginning = [
  { type: "response.created", response: { ...response, status: "in_progress", output: [], usage: null } },
  { type: "response.in_progress", response: { ...response, status: "in_progress", output: [], usage: null } },
  { type: "response.output_item.added", output_index: 0, item: { ...reasoning, encrypted_content: "" } },
  { type: "response.output_item.done", output_index: 0, item: reasoning },
  { type: "response.output_item.added", output_index: 1, item: { ...search, status: "in_progress" } },
  { type: "response.web_search_call.completed", output_index: 1, item_id: "ws_1" },
  { type: "response.output_item.done", output_index: 1, item: search },
  { type: "response.output_item.added", output_index: 2, item: { ...message, status: "in_progress", content: [] } },
  { type: "response.content_part.added", ...at, part: { ...message.content[0], text: "" } },
  { type: "response.output_text.delta", ...at, delta: "Let me", logprobs: [] },
  { type: "response.output_text.delta", ...at, delta: " look 🎈.", logprobs: [] },
  { type: "response.output_text.done", ...at, text: "Let me look 🎈.", logprobs: [] },
  { type: "response.content_part.done", ...at, part: message.content[0] },
  { type: "response.output_item.done", output_index: 2, item: message },
];
const calling = [
  { type: "response.output_item.added", output_index: 3, item: { ...fn, status: "in_progress", arguments: "" } },
  { type: "response.function_call_arguments.delta", output_index: 3, item_id: "fc_1", delta: `{"location":` },
  { type: "response.function_call_arguments.delta", output_index: 3, item_id: "fc_1", delta: `"Paris"}` },
  { type: "response.function_call_arguments.done", output_index: 3, item_id: "fc_1", arguments: fn.arguments },
  { type: "response.output_item.done", output_index: 3, item: fn },
  { type: "response.output_item.added", output_index: 4, item: { ...patch, status: "in_progress", input: "" } },
  { type: "response.custom_tool_call_input.delta", output_index: 4, item_id: "ctc_1", delta: "*** Begin" },
  { type: "response.custom_tool_call_input.done", output_index: 4, item_id: "ctc_1", input: "*** Begin" },
  { type: "response.output_item.done", output_index: 4, item: patch },
  { type: "response.completed", response: { ...response, status: "completed", output, usage: responsesUsage } },
];

function numbered(events: readonly { readonly type: string }[]): { readonly type: string }[] {
  return events.map(({ type, ...event }, n) => ({ type, sequence_number: n, ...event }));
}

const responses: Sample = {
  before: named(numbered(beginning)),
  stream: named(numbered([...beginning, ...calling])),
  whole: { ...response, status: "completed", output, usage: responsesUsage },
};

const geminiHead = { modelVersion: "gemini-x", responseId: "rsp_1" };
const geminiUsage = {
  promptTokenCount: 20,
  cachedContentTokenCount: 8,
  candidatesTokenCount: 15,
  thoughtsTokenCount: 30,
  totalTokenCount: 65,
};

function geminiChunk(parts: readonly unknown[], more: object = {}): unknown {
  return {
    candidates: [{ content: { parts, role: "model" }, index: 0, ...more }],
    usageMetadata: { promptTokenCount: 20 },
    ...geminiHead,
  };
}

const code = { executableCode: { language: "PYTHON", code: "print(1)" } };
const weather = { functionCall: { name: "get_weather", args: { location: "Paris" } }, thoughtSignature: "CsQB" };
const light = { functionCall: { id: "f2", name: "set_light", args: { on: true } } };

const geminiBefore = plain([
  geminiChunk([{ text: "The user ", thought: true }]),
  geminiChunk([{ text: "wants weather.", thought: true }]),
  geminiChunk([{ text: "Let me" }]),
  geminiChunk([{ text: " look 🎈." }]),
  geminiChunk([code]),
]);

const gemini: Sample = {
  before: geminiBefore,
  stream:
    geminiBefore +
    plain([
      geminiChunk([weather]),
      { ...(geminiChunk([light], { finishReason: "STOP" }) as object), usageMetadata: geminiUsage },
    ]),
  whole: {
    ...geminiHead,
    candidates: [
      {
        content: {
          role: "model",
          parts: [{ text: "The user wants weather.", thought: true }, { text: "Let me look 🎈." }, code, weather, light],
        },
        finishReason: "STOP",
        index: 0,
      },
    ],
    usageMetadata: geminiUsage,
  },
};

export const samples = { messages, chat, responses, gemini } as const satisfies Partial<Record<Format, Sample>>;
export const sampleStreams = { named, plain };
