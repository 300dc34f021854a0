/** A stateless client of a stateless server: what a server needs comes in a result, and goes back with the same call. */
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { acceptedContent, createMcpHandler, inputRequired, Server } from "@modelcontextprotocol/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { toolDoor } from "../../../src/doors/tool/door.ts";
import { serveHttp, type HttpDoor } from "../../../src/doors/tool/http.ts";
import { connectMcp, type McpServer } from "../../../src/drivers/tool/mcp.ts";
import { guestGate } from "./guest-gate.ts";
import { clientOf, credential } from "./opened.ts";

const calls: string[] = [];

function asking(): Server {
  const server = new Server({ name: "asking", version: "1" }, { capabilities: { tools: { listChanged: true } } });
  server.setRequestHandler("tools/list", () => ({ tools: [{ name: "greet", inputSchema: { type: "object" } }] }));
  server.setRequestHandler("tools/call", (_request, { mcpReq }) => {
    const name = acceptedContent<{ name: string }>(mcpReq.inputResponses, "who")?.name;
    calls.push(`${name ?? "?"} ${mcpReq.requestState<string>() ?? "no state"}`);
    if (name !== undefined) return { content: [{ type: "text", text: `Hello, ${name}!` }] };
    const requestedSchema = { type: "object" as const, properties: { name: { type: "string" as const } } };
    const who = inputRequired.elicit({ message: "Who?", requestedSchema });
    return inputRequired({ inputRequests: { who }, requestState: "state-1" });
  });
  return server;
}

let http: HttpServer;
let server: McpServer;
let door: HttpDoor;

beforeAll(async () => {
  const handler = createMcpHandler(asking, { legacy: "reject" });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const { "content-length": _length, ...headers } = request.headers as Record<string, string>;
    const body = Buffer.concat(pieces).toString();
    const init = { method: request.method ?? "", headers, ...(body !== "" && { body }) };
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const answer = await handler.fetch(new Request("http://127.0.0.1/mcp", { ...init, signal: gone.signal }));
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    for await (const piece of (answer.body ?? []) as AsyncIterable<Uint8Array>) response.write(piece);
    response.end();
  };
  http = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`;
  const connected = await connectMcp({ name: "asking", transport: { type: "http", url, headers: {} } });
  if (!connected.ok) throw new Error(connected.error.message);
  server = connected.value;
  const made = toolDoor({ gate: guestGate([server]).gate, mode: { type: "namespaced" }, version: "1" });
  const served = await serveHttp(made, { listen: { port: 0 }, credential });
  if (!served.ok) throw new Error(served.error.message);
  door = served.value;
});

afterAll(async () => {
  await door.close();
  await server.close();
  http.closeAllConnections();
  http.close();
});

test.each(["auto", "legacy"] as const)("DRT-1.3 what a stateless server needs reaches a client that is %s", async (mode) => {
  calls.length = 0;
  const client = await clientOf(door.url ?? "", mode, { elicitation: {} }, (each) => {
    each.setRequestHandler("elicitation/create", ({ params }) => {
      expect(params.message).toBe("Who?");
      return { action: "accept", content: { name: "Ada" } };
    });
  });
  const { content } = await client.callTool({ name: "asking__greet" });
  expect(content).toEqual([{ type: "text", text: "Hello, Ada!" }]);
  expect(calls).toEqual(["? no state", "Ada state-1"]);
  await client.close();
});

test("DRT-1.3 a client that cannot be asked is told so, and the server hears it too", async () => {
  const client = await clientOf(door.url ?? "", "auto");
  await expect(client.callTool({ name: "asking__greet" })).rejects.toMatchObject({ code: -32021 });
  await client.close();
});
