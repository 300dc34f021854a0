/**
 * Upstream: a real HTTP server that speaks the model providers' wire formats, for tests on the loopback interface.
 * It answers request after request with the turns it was given, and refuses what the provider it stands for would refuse.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { anthropicWire } from "./anthropic.ts";
import { geminiPath, geminiWire } from "./gemini.ts";
import { chatWire, responsesWire } from "./openai.ts";
import type { Seen, Turn, WireFormat } from "./turns.ts";

export interface Upstream {
  readonly origin: string;
  readonly port: number;
  readonly seen: Seen[];
  /** Queue turns; without one left, the server answers 500. */
  push(...turns: readonly Turn[]): void;
  /** Answer plain GETs, for detection: path to JSON. */
  readonly pages: Map<string, unknown>;
  readonly connections: () => number;
  close(): Promise<void>;
}

const wires: Readonly<Record<string, WireFormat>> = {
  "/v1/messages": anthropicWire,
  "/v1/responses": responsesWire,
  "/v1/chat/completions": chatWire,
};

/**
 * `otherwise` answers what no queued turn answers: other people's clients ask then, which write what our own drivers never would, force their own
 * tools, and do not all pass over an event that they do not know.
 */
export async function startUpstream(otherwise: ((seen: Seen) => Turn) | null = null): Promise<Upstream> {
  const turns: Turn[] = [];
  const seen: Seen[] = [];
  const pages = new Map<string, unknown>();
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answer(request, response, Buffer.concat(chunks).toString("utf8")));
  });
  server.on("connection", (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });

  function answer(request: IncomingMessage, response: ServerResponse, text: string): void {
    const path = (request.url ?? "").split("?")[0] ?? "";
    if (request.method === "GET") {
      const page = pages.get(path);
      return void response
        .writeHead(page === undefined ? 404 : 200, { "content-type": "application/json" })
        .end(JSON.stringify(page ?? {}));
    }
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    const body = JSON.parse(text) as Record<string, unknown>;
    const one = { path, headers, text, body };
    seen.push(one);
    const wire = wires[path] ?? (geminiPath.test(path) ? geminiWire : undefined);
    if (wire === undefined) return void response.writeHead(404).end("{}");
    const refused = otherwise === null ? wire.refuse(body, headers) : null;
    if (refused !== null)
      return void response.writeHead(refused.status, { "content-type": "application/json" }).end(JSON.stringify(refused.body));
    perform(
      turns.shift() ?? otherwise?.(one) ?? { kind: "status", status: 500, body: `{"error":{"message":"no turn left"}}` },
      otherwise === null ? wire : { ...wire, events: (turn, asked, n) => wire.events(turn, asked, n).filter(isKnown) },
      otherwise === null ? body : { ...body, tool_choice: undefined },
      response,
      seen.length,
      path,
    );
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    seen,
    pages,
    push: (...more) => void turns.push(...more),
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function isKnown({ event }: { readonly event: string | null }): boolean {
  return event !== "an_event_of_the_future";
}

function perform(
  turn: Turn,
  wire: WireFormat,
  body: Record<string, unknown>,
  response: ServerResponse,
  n: number,
  path: string,
): void {
  switch (turn.kind) {
    case "hang":
      return;
    case "reset":
      return void response.socket?.destroy();
    case "status":
      return void response.writeHead(turn.status, { "content-type": "application/json", ...turn.headers }).end(turn.body);
    case "garbage":
      return void response.writeHead(200, { "content-type": turn.type }).end(turn.body);
    case "stream-error": {
      const events = turn.text === undefined ? [] : wire.events({ kind: "reply", text: turn.text, unfinished: true }, body, n);
      return void response
        .writeHead(200, { "content-type": "text/event-stream" })
        .end([...events, wire.errorEvent(turn.type, turn.message)].map(frame).join(""));
    }
    case "reply": {
      const stream = body.stream === true || path.includes(":streamGenerateContent");
      const text = stream ? wire.events(turn, body, n).map(frame).join("") : JSON.stringify(wire.whole(turn, body, n));
      const bytes = encode(Buffer.from(text), turn.encoding);
      const headers: Record<string, string> = {
        "content-type": stream ? "text/event-stream; charset=utf-8" : "application/json",
      };
      if (turn.encoding !== undefined) headers["content-encoding"] = turn.encoding;
      response.writeHead(200, headers);
      const end = turn.cutAfterBytes ?? turn.stallAfterBytes ?? bytes.length;
      const size = turn.pieceBytes ?? bytes.length;
      for (let from = 0; from < end; from += size) response.write(bytes.subarray(from, Math.min(end, from + size)));
      if (turn.stallAfterBytes !== undefined) return;
      if (turn.cutAfterBytes !== undefined) setImmediate(() => response.socket?.destroy());
      else response.end();
    }
  }
}

function frame({ event, data }: { event: string | null; data: unknown }): string {
  const text = data === "[DONE]" ? data : JSON.stringify(data);
  return `${event === null ? "" : `event: ${event}\n`}data: ${text}\n\n`;
}

function encode(bytes: Buffer, encoding: "gzip" | "br" | "zstd" | undefined): Buffer {
  switch (encoding) {
    case "gzip":
      return gzipSync(bytes);
    case "br":
      return brotliCompressSync(bytes);
    case "zstd":
      return zstdCompressSync(bytes);
    case undefined:
      return bytes;
  }
}
