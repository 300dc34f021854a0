/** Gemini's wire format, as far as its agents read it. */
import type { Json, JsonObject } from "../../src/lib/json.ts";
import type { ReplyTurn, WireFormat } from "./turns.ts";

export const geminiPath = /^\/v1(?:beta|alpha)?\/models\/[^/:]+:(?:stream)?[gG]enerateContent$/;

export const geminiWire: WireFormat = {
  refuse: (body) =>
    Array.isArray(body["contents"])
      ? null
      : { status: 400, body: { error: { code: 400, message: "contents is required", status: "INVALID_ARGUMENT" } } },
  whole: (turn, _body, n) => responseOf(turn, n),
  events: (turn, _body, n) => [{ event: null, data: responseOf(turn, n) }],
  errorEvent: (type, message) => ({ event: null, data: { error: { code: 500, message, status: type } } }),
};

function responseOf(turn: ReplyTurn, n: number): Json {
  const parts: JsonObject[] = turn.text === undefined ? [] : [{ text: turn.text }];
  for (const { name, args } of turn.calls ?? []) parts.push({ functionCall: { name, args } });
  const usage = turn.usage ?? { input: 50, output: 10 };
  return {
    candidates: [{ content: { role: "model", parts }, finishReason: "STOP", index: 0 }],
    usageMetadata: {
      promptTokenCount: usage.input,
      candidatesTokenCount: usage.output,
      totalTokenCount: usage.input + usage.output,
    },
    modelVersion: turn.model ?? "gemini",
    responseId: `r${n}`,
  };
}
