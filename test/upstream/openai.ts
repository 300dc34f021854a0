/** Upstream, OpenAI Responses and Chat Completions: replies, events and refusals in the form of the API reference. */
import type { Json } from "../../src/lib/json.ts";
import { pieces, rawArgs, type ReplyTurn, type WireFormat } from "./turns.ts";

type Body = Record<string, unknown>;

function refuse(problem: string | null, headers: Readonly<Record<string, string>>): { status: number; body: Json } | null {
  const key = headers.authorization;
  if (key?.includes("wrong") === true) {
    return {
      status: 401,
      body: {
        error: {
          message: `Incorrect API key provided: ${key}`,
          type: "invalid_request_error",
          code: "invalid_api_key",
          param: null,
        },
      },
    };
  }
  return problem === null
    ? null
    : { status: 400, body: { error: { message: problem, type: "invalid_request_error", code: null, param: null } } };
}

const namePattern = /^[a-zA-Z0-9_-]{1,64}$/;

export const responsesWire: WireFormat = {
  refuse(body, headers) {
    return refuse(responsesProblem(body), headers);
  },
  whole(turn, body, n) {
    return { ...response(turn, body, n), output: output(turn) };
  },
  events(turn, body, n) {
    const events: { event: string; data: Json }[] = [];
    const emit = (data: { type: string; [key: string]: Json }): void =>
      void events.push({ event: data.type, data: { ...data, sequence_number: events.length } });
    emit({ type: "response.created", response: { ...response(turn, body, n), status: "in_progress", output: [], usage: null } });
    (output(turn) as readonly Record<string, Json>[]).forEach((item, output_index) => {
      emit({
        type: "response.output_item.added",
        output_index,
        item: { ...item, status: "in_progress", content: [], arguments: "" },
      });
      for (const event of itemDeltas(item)) emit({ ...event, output_index });
      emit({ type: "response.output_item.done", output_index, item });
    });
    emit({ type: "response.an_event_of_the_future", anything: true });
    if (turn.unfinished === true) return events;
    const last = response(turn, body, n);
    emit({
      type: last.status === "incomplete" ? "response.incomplete" : "response.completed",
      response: { ...last, output: output(turn) },
    });
    return events;
  },
  errorEvent: (type, message) => ({
    event: "error",
    data: { type: "error", code: type, message, param: null, sequence_number: 9 },
  }),
};

function responsesProblem(body: Body): string | null {
  if (typeof body.model !== "string") return "Missing required parameter: 'model'.";
  if (body.store !== false) return "this organisation keeps nothing: store must be false";
  for (const tool of (body.tools ?? []) as { name: string }[])
    if (!namePattern.test(tool.name)) return `Invalid 'tools[0].name': ${tool.name}`;
  const format = (body.text as { format?: { schema?: { type?: string } } } | undefined)?.format;
  if (format !== undefined && format.schema?.type !== "object")
    return "Invalid schema for response_format: schema must be type object";
  const called = new Set<unknown>();
  for (const item of body.input as {
    type?: string;
    role?: string;
    call_id?: string;
    arguments?: string;
    encrypted_content?: string;
  }[]) {
    if (item.type === "function_call") {
      called.add(item.call_id);
      JSON.parse(item.arguments ?? "");
    }
    if (item.type === "function_call_output" && !called.has(item.call_id))
      return `No tool call found for function call output with call_id ${item.call_id}.`;
    if (item.type === "reasoning" && item.encrypted_content !== "sealed") return "The encrypted content could not be verified.";
  }
  return null;
}

function response(turn: ReplyTurn, body: Body, n: number): Record<string, Json> {
  const { input = 100, output = 20, cacheRead = 0, cacheWrite = 0 } = turn.usage ?? {};
  const usage =
    turn.usage === null
      ? { input_tokens: 0, output_tokens: 0, total_tokens: 0 }
      : {
          input_tokens: input,
          input_tokens_details: { cached_tokens: cacheRead, cache_write_tokens: cacheWrite },
          output_tokens: output,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: input + output,
        };
  const reason = turn.stop === "length" ? "max_output_tokens" : turn.stop === "refusal" ? "content_filter" : null;
  return {
    id: `resp_${n}`,
    object: "response",
    status: reason === null ? "completed" : "incomplete",
    incomplete_details: reason === null ? null : { reason },
    error: null,
    model: turn.model ?? String(body.model),
    usage,
  };
}

function output(turn: ReplyTurn): Json {
  const items: Json[] = [];
  if (turn.thinking !== undefined) items.push({ type: "reasoning", id: "rs_1", summary: [], encrypted_content: "sealed" });
  const content: Json[] = [];
  if (turn.text !== undefined) content.push({ type: "output_text", text: turn.text, annotations: [] });
  if (turn.refusal !== undefined) content.push({ type: "refusal", refusal: turn.refusal });
  if (content.length > 0) items.push({ type: "message", id: "msg_1", role: "assistant", status: "completed", content });
  turn.calls?.forEach(({ name, args, id }, n) =>
    items.push({
      type: "function_call",
      id: `fc_${n}`,
      call_id: id ?? `call_${n}`,
      ...inNamespace(name),
      arguments: rawArgs(args),
      status: "completed",
    }),
  );
  return items;
}

/** `mcp__docs.echo` is a tool in a namespace. */
function inNamespace(name: string): Record<string, Json> {
  const dot = name.indexOf(".");
  return dot === -1 ? { name } : { name: name.slice(dot + 1), namespace: name.slice(0, dot) };
}

function itemDeltas(item: Record<string, Json>): { type: string; [key: string]: Json }[] {
  if (item.type === "function_call")
    return pieces(String(item.arguments), 5).map((delta) => ({ type: "response.function_call_arguments.delta", delta }));
  if (item.type !== "message") return [];
  return (item.content as readonly Record<string, string>[]).flatMap((content) => {
    const kind = content.type === "refusal" ? "response.refusal.delta" : "response.output_text.delta";
    return pieces(content.text ?? content.refusal ?? "", 3).map((delta) => ({ type: kind, delta }));
  });
}

export const chatWire: WireFormat = {
  refuse(body, headers) {
    return refuse(chatProblem(body), headers);
  },
  whole(turn, body, n) {
    const message: Record<string, Json> = { role: "assistant", content: turn.text ?? null, refusal: turn.refusal ?? null };
    if (turn.thinking !== undefined) message.reasoning_content = turn.thinking;
    if (turn.calls !== undefined) message.tool_calls = chatCalls(turn);
    return {
      id: `chatcmpl-${n}`,
      object: "chat.completion",
      model: turn.model ?? String(body.model),
      choices: [{ index: 0, message, finish_reason: finishReason(turn) }],
      usage: chatUsage(turn),
    };
  },
  events(turn, body, n) {
    const events: { event: null; data: Json | "[DONE]" }[] = [];
    const head = { id: `chatcmpl-${n}`, object: "chat.completion.chunk", model: turn.model ?? String(body.model) };
    const emit = (delta: Json, finish: string | null = null): void =>
      void events.push({ event: null, data: { ...head, choices: [{ index: 0, delta, finish_reason: finish }] } });
    emit({ role: "assistant", content: "" });
    for (const reasoning_content of pieces(turn.thinking ?? "", 4)) emit({ reasoning_content });
    for (const content of pieces(turn.text ?? "", 3)) emit({ content });
    for (const refusal of pieces(turn.refusal ?? "", 3)) emit({ refusal });
    (chatCalls(turn) as readonly { id: string; function: { name: string; arguments: string } }[]).forEach((call, index) => {
      emit({ tool_calls: [{ index, id: call.id, type: "function", function: { name: call.function.name, arguments: "" } }] });
      for (const text of pieces(call.function.arguments, 4)) emit({ tool_calls: [{ index, function: { arguments: text } }] });
    });
    if (turn.unfinished === true) return events;
    emit({}, finishReason(turn));
    const options = body.stream_options as { include_usage?: boolean } | undefined;
    if (options?.include_usage === true) events.push({ event: null, data: { ...head, choices: [], usage: chatUsage(turn) } });
    events.push({ event: null, data: "[DONE]" });
    return events;
  },
  errorEvent: (type, message) => ({ event: null, data: { error: { message, type, code: null } } }),
};

function chatProblem(body: Body): string | null {
  for (const tool of (body.tools ?? []) as { function: { name: string } }[])
    if (!namePattern.test(tool.function.name)) return `Invalid function name ${tool.function.name}`;
  const schema = (body.response_format as { json_schema?: { schema?: { type?: string } } } | undefined)?.json_schema?.schema;
  if (schema !== undefined && schema.type !== "object") return "Invalid schema for response_format: schema must be type object";
  let open: string[] = [];
  for (const message of body.messages as {
    role: string;
    tool_call_id?: string;
    tool_calls?: { id: string; function: { arguments: string } }[];
  }[]) {
    if (message.role === "tool") {
      if (!open.includes(message.tool_call_id ?? ""))
        return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
      open = open.filter((id) => id !== message.tool_call_id);
      continue;
    }
    if (open.length > 0) return `An assistant message with 'tool_calls' must be followed by tool messages: ${open.join(", ")}`;
    open = message.tool_calls?.map((call) => call.id) ?? [];
    for (const call of message.tool_calls ?? []) JSON.parse(call.function.arguments);
  }
  return null;
}

function chatCalls(turn: ReplyTurn): Json {
  return (turn.calls ?? []).map(({ name, args }, n) => ({
    id: `call_${n}`,
    type: "function",
    function: { name, arguments: rawArgs(args) },
  }));
}

function finishReason(turn: ReplyTurn): string {
  if (turn.stop === "length") return "length";
  if (turn.stop === "refusal") return "content_filter";
  return (turn.calls?.length ?? 0) > 0 ? "tool_calls" : "stop";
}

function chatUsage(turn: ReplyTurn): Json {
  if (turn.usage === null) return { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  const { input = 100, output = 20, cacheRead = 0, cacheWrite = 0 } = turn.usage ?? {};
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cacheRead, cache_write_tokens: cacheWrite },
  };
}
