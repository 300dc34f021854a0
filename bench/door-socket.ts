/** The trial's upstream over a WebSocket: the Responses API, with the newest response of a connection kept for its continuation. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { acceptOf, closeFrame, frameOf, frameParser } from "../src/doors/model/websocket.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../src/lib/json.ts";
import { responses } from "./door-openai.ts";
import { list, text } from "./door-shape.ts";
import { replyTo } from "./door-talk.ts";

interface Kept {
  readonly id: string;
  readonly items: readonly Json[];
}

/** `name`: for each response its own. */
export function serveSockets(server: Server, name: () => string): void {
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, first: Buffer) => {
    const accept = acceptOf(request.headers);
    socket.on("error", () => socket.destroy());
    if (accept === null || !(request.url ?? "").startsWith("/v1/responses")) return socket.destroy();
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    let kept: Kept | null = null;
    const say = (event: JsonObject): void => void socket.write(frameOf("text", Buffer.from(JSON.stringify(event))));
    const parse = frameParser(16 * 1024 * 1024, {
      message: (message) => (kept = answer(parseJson(message), kept, name, say)),
      ping: (payload) => void socket.write(frameOf("pong", payload)),
      close: (code) => void socket.end(closeFrame(code)),
    });
    socket.on("data", parse);
    if (first.length > 0) parse(first);
  });
}

function answer(event: Json | undefined, kept: Kept | null, name: () => string, say: (event: JsonObject) => void): Kept | null {
  const { type: _type, previous_response_id: previous, ...body } = isObject(event) ? event : {};
  const wrong = (code: string, message: string): null => {
    say({ type: "error", status: 400, error: { type: "invalid_request_error", code, message, param: null } });
    return null;
  };
  if (previous != null && kept?.id !== previous) return wrong("previous_response_not_found", "Previous response not found.");
  const own = typeof body["input"] === "string" ? [{ role: "user", content: body["input"] }] : list(body["input"]);
  const items = [...(previous == null ? [] : (kept?.items ?? [])), ...own];
  const calls = new Set(list(items).map((item) => (item["type"] === "function_call" ? item["call_id"] : null)));
  if (own.some((item) => "type" in item && item["type"] === "function_call_output" && !calls.has(item["call_id"])))
    return wrong("invalid_request_error", "No tool call found for function call output.");
  const request = { ...body, input: items };
  const id = name();
  const events = responses.stream(request, replyTo(responses.talk(request)), id);
  for (const one of events) say(one);
  const last = events.at(-1)?.["response"];
  return isObject(last) ? { id: text(last["id"]), items: [...items, ...list(last["output"])] } : null;
}
