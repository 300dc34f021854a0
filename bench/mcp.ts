/**
 * MCP bench: a tool call through the tool door, decided and journaled, beside the same call of the SDK's server alone, on stdio and on HTTP, side by side.
 */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { Pool } from "undici";
import { serveHttp } from "../src/doors/tool/http.ts";
import { atMost, median, quantile, sideBySide, told, type Measure } from "./measure.ts";
import { doorOf, sdkServer } from "./mcp-sides.ts";

export const seconds = 20;

const rounds = 1_000;
const warm = 200;
const credential = "bench";
const meta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1" },
};
const call = (id: number): string =>
  JSON.stringify({
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: { name: "say__again", arguments: { text: "hello" }, _meta: meta },
  });

export async function run(): Promise<Measure[]> {
  const stdio = await overStdio();
  const http = await overHttp();
  return [...figures("stdio", stdio, 0.25), ...figures("HTTP", http, 0.8)];
}

type Samples = Readonly<Record<"door" | "sdk", readonly number[]>>;

function figures(name: string, { door, sdk }: Samples, bound: number): Measure[] {
  return [
    told(`${name}, SDK server alone, p50`, median(sdk), "ms"),
    told(`${name}, through the door, p50`, median(door), "ms"),
    told(`${name}, through the door, p99`, quantile(door, 0.99), "ms"),
    atMost(`${name}, added p50`, median(door) - median(sdk), "ms", bound),
  ];
}

async function overStdio(): Promise<Samples> {
  const [door, sdk] = [speaker("door"), speaker("sdk")];
  try {
    for (let n = 0; n < warm; n += 1) for (const side of [door, sdk]) await side.ask();
    return await sideBySide(rounds, { door: door.ask, sdk: sdk.ask });
  } finally {
    door.child.kill();
    sdk.child.kill();
  }
}

interface Speaker {
  readonly child: ChildProcessWithoutNullStreams;
  /** Milliseconds until the answer is there. */
  ask(): Promise<number>;
}

function speaker(side: "door" | "sdk"): Speaker {
  const child = spawn(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "mcp-server.ts"),
    side,
  ]);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let id = 0;
  const ask = async (): Promise<number> => {
    id += 1;
    const start = performance.now();
    child.stdin.write(`${call(id)}\n`);
    const { value } = await lines.next();
    if (!String(value).includes('"text":"hello"')) throw new Error(`${side} said ${String(value).slice(0, 200)}`);
    return performance.now() - start;
  };
  return { child, ask };
}

async function overHttp(): Promise<Samples> {
  const door = await serveHttp(doorOf(), { listen: { port: 0 }, credential });
  if (!door.ok) throw new Error(door.error.message);
  const plain = await plainHttp();
  const [ours, theirs] = [
    new URL(door.value.url ?? ""),
    new URL(`http://127.0.0.1:${(plain.address() as AddressInfo).port}/mcp`),
  ];
  const pools = { door: new Pool(ours.origin, { connections: 1 }), sdk: new Pool(theirs.origin, { connections: 1 }) };
  const asker = (pool: Pool) => async (): Promise<number> => {
    const start = performance.now();
    const { statusCode, body } = await pool.request({ path: "/mcp", method: "POST", headers, body: call(1) });
    const text = await body.text();
    if (statusCode !== 200 || !text.includes('"text":"hello"')) throw new Error(`HTTP ${statusCode}: ${text.slice(0, 200)}`);
    return performance.now() - start;
  };
  try {
    for (let n = 0; n < warm; n += 1) for (const pool of Object.values(pools)) await asker(pool)();
    return await sideBySide(rounds, { door: asker(pools.door), sdk: asker(pools.sdk) });
  } finally {
    await Promise.all(Object.values(pools).map((pool) => pool.close()));
    await door.value.close();
    plain.close();
  }
}

const headers = {
  authorization: `Bearer ${credential}`,
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": "tools/call",
  "mcp-name": "say__again",
};

/** The SDK's handler on Node's server, with no guard before it. */
function plainHttp(): Promise<Server> {
  const handler = createMcpHandler(sdkServer);
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const given = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    given.delete("content-length");
    const parsedBody: unknown = JSON.parse(Buffer.concat(pieces).toString());
    const asked = new Request("http://127.0.0.1/mcp", { method: "POST", headers: given });
    const answer = await handler.fetch(asked, { parsedBody });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(await answer.text());
  };
  const http = createServer((request, response) => void serve(request, response));
  return new Promise((resolve) => http.listen(0, "127.0.0.1", () => resolve(http)));
}
