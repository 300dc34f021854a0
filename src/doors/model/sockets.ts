/**
 * Sockets: the Responses API over a WebSocket. Each message that asks for a response goes through the door as the streamed request of HTTP that it stands for,
 * over a connection within this process; its events come back as messages.
 *   DOR-10.1  One is opened at the address of the format alone, for whom guard and credential would let in, and only so many for one guest.
 *   DOR-10.2  Responses are asked for one after the other; what would be an error of HTTP is an error event with its status.
 *   DOR-10.3  The newest response of a connection can be gone on with by its id, whether its provider keeps it or not. One whose continuation fails is forgotten.
 *   DOR-10.4  What a client sends beside the protocol ends its connection; when a client goes, so does what it asked for.
 */
import { request as httpRequest, type ClientRequest, type IncomingMessage, type Server } from "node:http";
import { duplexPair, type Duplex } from "node:stream";
import { limits } from "../../abi/limits.ts";
import { isObject, parseJson, type Json, type JsonObject } from "../../lib/json.ts";
import { frameReader } from "../../wire/frames.ts";
import { responsesGuest } from "../../wire/responses-guest.ts";
import { goOn, grown, type Chain } from "./chain.ts";
import { credentialOf, refusedByGuard } from "./guard.ts";
import { targetOf } from "./routes.ts";
import { acceptOf, closeFrame, frameOf, frameParser } from "./websocket.ts";

export interface Sockets {
  close(): void;
}

/** `known`: whether a living guest has this credential. */
export function openSockets(server: Server, known: (credential: string) => boolean): Sockets {
  const open = new Map<Duplex, string>();
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, first: Buffer) => {
    socket.on("error", () => socket.destroy());
    const target = targetOf(request.url ?? "");
    if (refusedByGuard(request.headers, request.rawHeaders) !== null) return refuse(socket, "403 Forbidden");
    const accept = acceptOf(request.headers);
    if (target?.pathname !== "/v1/responses" || request.method !== "GET" || accept === null)
      return refuse(socket, "426 Upgrade Required");
    const credential = credentialOf(request.headers, target.key);
    if (credential === null || !known(credential)) return refuse(socket, "403 Forbidden");
    if ([...open.values()].filter((other) => other === credential).length >= limits.guestSocketsMax)
      return refuse(socket, "429 Too Many Requests");
    open.set(socket, credential);
    socket.once("close", () => open.delete(socket));
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "upgrade: websocket",
      "connection: Upgrade",
      `sec-websocket-accept: ${accept}`,
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    serve(server, socket, headersOf(request, credential), first);
  });
  return {
    close: () => {
      for (const socket of open.keys()) socket.destroy();
    },
  };
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

/** The client's own, but for what belongs to its connection. */
function headersOf({ rawHeaders }: IncomingMessage, credential: string): readonly string[] {
  const headers: string[] = [];
  for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
    const [name = "", value = ""] = [rawHeaders[n], rawHeaders[n + 1]];
    if (!/^(?:connection|upgrade|authorization|x-api-key|api-key|content-.*|transfer-encoding|sec-websocket-.*)$/i.test(name))
      headers.push(name, value);
  }
  return [...headers, "authorization", `Bearer ${credential}`, "content-type", "application/json"];
}

/** One connection, for as long as it lasts. */
function serve(server: Server, socket: Duplex, headers: readonly string[], first: Buffer): void {
  const waiting: string[] = [];
  let busy = false;
  let asked: ClientRequest | null = null;
  let chain: Chain | null = null;
  let warmed = 0;

  const send = (json: Json | string): boolean =>
    socket.write(frameOf("text", Buffer.from(typeof json === "string" ? json : JSON.stringify(json))));
  const leave = (code: number): void => {
    if (socket.writable) socket.end(closeFrame(code));
    asked?.destroy();
  };
  const parse = frameParser(limits.guestSocketBytesMax, {
    message(text) {
      if (waiting.length >= limits.guestSocketWaitingMax) return leave(1008);
      waiting.push(text);
      void work();
    },
    ping: (payload) => void socket.write(frameOf("pong", payload)),
    close: (code) => leave(code),
  });
  const hear = (chunk: Buffer): void => {
    // A client that asks and does not read would fill the memory with answers.
    if (socket.writableLength > limits.guestSocketBytesMax) socket.destroy();
    else parse(chunk);
  };
  socket.on("data", hear);
  socket.once("close", () => asked?.destroy());
  socket.once("end", () => socket.end());

  if (first.length > 0) hear(first);

  async function work(): Promise<void> {
    if (busy) return;
    busy = true;
    for (let text = waiting.shift(); text !== undefined; text = waiting.shift()) await answer(text);
    busy = false;
  }

  async function answer(text: string): Promise<void> {
    const event = parseJson(text);
    if (!isObject(event) || event.type !== "response.create")
      return void send(wrong("a message is a JSON object of type response.create"));
    const { type: _type, background: _background, generate, ...body } = event;
    const went = goOn(chain, body);
    if (!went.ok) {
      chain = null;
      return void send(wrong(went.error));
    }
    const { request, known } = went.value;
    if (generate === false) return warm(request);
    const done = await exchange({ ...request, stream: true });
    if (done.response !== null) chain = grown(request, done.response);
    else if (known || chain?.id === body.previous_response_id) chain = null;
    if (done.error !== null) send(known ? done.error : notFound(done.error, body));
  }

  /** Prepares a conversation and generates nothing: its id stands for what was sent. */
  function warm(request: JsonObject): void {
    warmed += 1;
    const id = `resp_warm_${warmed}`;
    const question = {
      model: typeof request.model === "string" ? request.model : "",
      stream: true,
      windowTokens: 0,
      echo: request,
    };
    const none = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
    frames((data) => void send(data))(responsesGuest.writer(question, id).end("end", none));
    chain = grown(request, { id, output: [] });
  }

  /** Asks the door itself, as if the client had asked by HTTP. */
  function exchange(body: JsonObject): Promise<Exchanged> {
    const [near, far] = duplexPair();
    // Either end of the pair may go without the other's knowing.
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
    server.emit("connection", far);
    return new Promise((resolve) => {
      const bytes = Buffer.from(JSON.stringify(body));
      const lost: Exchanged = { response: null, error: wrong("the response broke off; try again", 502) };
      const request = httpRequest({ method: "POST", path: "/v1/responses", createConnection: () => near, setHost: false });
      for (let n = 0; n + 1 < headers.length; n += 2) request.appendHeader(headers[n] ?? "", headers[n + 1] ?? "");
      request.setHeader("content-length", bytes.length);
      asked = request;
      request.once("error", () => resolve(lost));
      request.once("response", (response) => {
        response.once("error", () => resolve(lost));
        if (response.statusCode === 200 && /event-stream/.test(response.headers["content-type"] ?? ""))
          events(response, resolve, lost);
        else failure(response, resolve);
      });
      request.end(bytes);
    });
  }

  function events(response: IncomingMessage, resolve: (done: Exchanged) => void, lost: Exchanged): void {
    let last: Exchanged = lost;
    let keepsUp = true;
    let heard = false;
    const push = frames((data, event) => {
      heard = true;
      if (!/^(?:response\.(?:completed|incomplete|failed)|error)$/.test(event)) return void (keepsUp = send(data));
      if (last !== lost) return;
      const end = parseJson(data);
      send(data);
      const whole = isObject(end) && isObject(end.response) && event !== "response.failed" ? end.response : null;
      last = { response: whole, error: null };
    });
    response.on("data", (chunk: Buffer) => {
      heard = false;
      push(chunk);
      // A comment that says the answer is held.
      if (!heard && chunk[0] === colon) socket.write(frameOf("ping", Buffer.alloc(0)));
      if (keepsUp) return;
      response.pause();
      socket.once("drain", () => response.resume());
      keepsUp = true;
    });
    response.once("end", () => resolve(last));
  }
}

const colon = 0x3a;

interface Exchanged {
  /** How it ended, where it ended as it should. */
  readonly response: JsonObject | null;
  /** What the client has not heard yet. */
  readonly error: JsonObject | null;
}

/** Gives out the events of a stream, but for the word that ends it. */
function frames(onEvent: (data: string, event: string) => void): (chunk: Uint8Array) => void {
  const reader = frameReader(limits.sseBytesMax, ({ event, data }) => {
    if (data !== null && data !== "[DONE]") onEvent(data, event);
  });
  return (chunk) => void reader.push(chunk);
}

function failure(response: IncomingMessage, resolve: (done: Exchanged) => void): void {
  const chunks: Buffer[] = [];
  response.on("data", (chunk: Buffer) => chunks.push(chunk));
  response.once("end", () => {
    const body = parseJson(Buffer.concat(chunks).toString());
    const error = isObject(body) && isObject(body.error) ? body.error : { message: "the request failed", type: "server_error" };
    resolve({ response: null, error: { type: "error", status: response.statusCode ?? 500, error } });
  });
}

function wrong(message: string, status = 400): JsonObject {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return { type: "error", status, error: { type, code: type, message, param: null } };
}

/** Whoever answers that it does not have it says so in words of its own; clients look for this one. */
function notFound(failed: JsonObject, { previous_response_id: id }: JsonObject): JsonObject {
  const { error, status } = failed;
  if (typeof id !== "string" || !isObject(error) || (status !== 400 && status !== 404)) return failed;
  return { ...failed, error: { ...error, code: "previous_response_not_found", param: "previous_response_id" } };
}
