/**
 * Roles of the gateway bench, each a process of its own, so that the CPU of each is its own: `upstream` answers as a provider does, `minimal` passes on
 * with node:http and undici and does nothing else, `daimon` is the model door over a whole kernel on disk. Prints its port, then its CPU when asked.
 */
import { createServer, type ServerResponse } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool, type Dispatcher } from "undici";
import type { Server } from "node:http";
import { modelGateway } from "../src/doors/model/gateway.ts";
import { systemClock } from "../src/drivers/clock/system.ts";
import { httpUpstream } from "../src/drivers/model/upstream.ts";
import { decoderFor } from "../src/drivers/net/decoder.ts";
import { ok } from "../src/lib/result.ts";
import { guestFormats } from "../src/wire/guest-formats.ts";
import { inProcess, manifest, openMachine, storeCall } from "./machine.ts";

export const credential = "dmn_bench";
const words = "the line before it and the line after it are unchanged ".repeat(6);

/** What is asked of a role: CPU in µs; bytes that are in use, behind a collection; bytes of the process, garbage included. */
export type RoleRequest = "cpu" | "live" | "resident";

if (import.meta.main) await main(process.argv[2] ?? "", Number(process.argv[3]));

async function main(role: string, upstreamPort: number): Promise<void> {
  const { server, close } = role === "upstream" ? upstream() : role === "minimal" ? minimal(upstreamPort) : daimon(upstreamPort);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.on("message", (asked: RoleRequest) => {
    process.send?.(measured[asked]());
  });
  process.on("disconnect", () => {
    close();
    process.exit(0);
  });
  process.send?.((server.address() as AddressInfo).port);
}

const measured: Readonly<Record<RoleRequest, () => number>> = {
  cpu: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  live: () => {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
  resident: () => process.memoryUsage().rss,
};

interface Role {
  readonly server: Server;
  close(): void;
}

/** Reads no more of a request than it must: its own cost is nobody's. */
function upstream(): Role {
  const usage = { input_tokens: 80, output_tokens: 70, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
  const message = { id: "msg_1", type: "message", role: "assistant", model: "bench", stop_sequence: null, usage };
  /** No two replies are the same: a guest that hears the same again and again would be asked about. */
  let replies = 0;
  const whole = (): string => {
    replies += 1;
    return JSON.stringify({ ...message, content: [{ type: "text", text: `${replies} ${words}` }], stop_reason: "end_turn" });
  };
  const pieces = [
    { type: "message_start", message: { ...message, content: [], stop_reason: null } },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    ...Array.from({ length: 32 }, (_, n) => ({
      type: "content_block_delta",
      index: 0,
      delta: { type: "text_delta", text: `some words of it, ${n} ` },
    })),
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 70 } },
    { type: "message_stop" },
  ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  const stream = (response: ServerResponse): void => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    let n = 0;
    const next = (): void => {
      response.write(n === 2 ? (pieces[n] ?? "").replace("some words", `${(replies += 1)} words`) : (pieces[n] ?? ""));
      n += 1;
      if (n < pieces.length) setImmediate(next);
      else response.end();
    };
    next();
  };
  const server = createServer((request, response) => {
    let streams = false;
    let first = true;
    request.on("data", (chunk: Buffer) => {
      if (first) streams = chunk.subarray(0, 256).includes('"stream":true');
      first = false;
    });
    request.on("end", () => {
      if (streams) return stream(response);
      const body = whole();
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
  return { server, close: () => undefined };
}

/** The yardstick: nothing but passing on, streamed both ways. */
function minimal(upstreamPort: number): Role {
  const origin = `http://127.0.0.1:${upstreamPort}`;
  const pool = new Pool(origin, { connections: 512, pipelining: 1 });
  const server = createServer((request, response) => {
    const { host: _host, connection: _connection, ...headers } = request.headers;
    const options: Dispatcher.DispatchOptions = {
      origin,
      path: request.url ?? "/",
      method: "POST",
      headers: headers as Record<string, string>,
      body: request,
    };
    pool.dispatch(options, {
      onRequestStart: () => undefined,
      onResponseStart: (_, status, answered) => {
        const { connection: _c, "keep-alive": _k, ...rest } = answered;
        response.writeHead(status, rest as Record<string, string>);
      },
      onResponseData: (controller, chunk) => {
        if (response.write(chunk)) return;
        controller.pause();
        response.once("drain", () => controller.resume());
      },
      onResponseEnd: () => response.end(),
      onResponseError: () => response.destroy(),
    });
  });
  return { server, close: () => void pool.destroy() };
}

/** Policy of a hundred rules, budget, a journal on disk: what a guest's requests go through. */
function daimon(upstreamPort: number): Role {
  const folder = mkdtempSync(join(tmpdir(), "daimon-bench-"));
  const machine = openMachine(folder, inProcess(1), [storeCall()]);
  const pid = machine.kernel.spawn({
    manifest: { ...manifest, kind: "guest", instructions: "{}" },
    goal: "",
    parent: 0,
    call: null,
  });
  const guest = pid.ok ? machine.kernel.guest(pid.value, () => []) : pid;
  if (!guest.ok) throw new Error(guest.error.message);
  const origin = `http://127.0.0.1:${upstreamPort}`;
  const pool = new Pool(origin, { connections: 512, pipelining: 1 });
  const upstreamDriver = httpUpstream({
    name: "bench",
    baseUrl: new URL(`${origin}/v1`),
    headers: ["x-api-key", "k"],
    pool,
  });
  const price = (usage: { readonly inputTokens: number; readonly outputTokens: number }): number =>
    (usage.inputTokens + 5 * usage.outputTokens) / 1e6;
  let names = 0;
  const gateway = modelGateway({
    clock: systemClock(),
    place: { folder, name: () => `b${(names += 1)}`, decoder: decoderFor },
    formats: guestFormats,
    destination: (_format, model) => Promise.resolve(ok({ model: { model, cost: price }, upstream: upstreamDriver })),
    upstream: () => Promise.resolve(upstreamDriver),
    broke: (error) => process.stderr.write(`${String(error)}\n`),
  });
  gateway.admit(credential, guest.value);
  return {
    server: gateway.server,
    close: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
