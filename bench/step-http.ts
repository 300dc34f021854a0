/** An HTTP model in a process of its own: Chat Completions without streaming, one call a reply, then task.done. */
import { fork } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import { Pool, type Dispatcher } from "undici";
import { cost } from "./measure.ts";
import { systemClock } from "../src/drivers/clock/system.ts";
import { compatibleDriver } from "../src/drivers/model/compatible.ts";
import { httpClient } from "../src/drivers/model/http.ts";
import type { ModelDriver } from "../src/abi/model.ts";

export interface HttpModel {
  readonly driver: ModelDriver;
  /** CPU of one request of this shape by nothing but undici, as many at once. */
  bareCpuUs(requests: number, atOnce: number): Promise<number>;
  close(): Promise<void>;
}

export async function httpModel(steps: number): Promise<HttpModel> {
  const child = fork(import.meta.filename, [String(steps)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const [port] = (await once(child, "message")) as [number];
  const clock = systemClock();
  const deps = { http: httpClient(clock), clock, random: () => 0.5, instance: "bench" };
  const windows = { bench: 10_000_000 };
  const driver = compatibleDriver({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: null, windows }, deps);
  if (!driver.ok) throw new Error(driver.error.message);
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 100 });
  return {
    driver: driver.value,
    bareCpuUs: (requests, atOnce) => bare(pool, requests, atOnce),
    close: async () => {
      await driver.value.close();
      await pool.close();
      const gone = once(child, "exit");
      child.kill();
      await gone;
    },
  };
}

async function bare(pool: Pool, requests: number, atOnce: number): Promise<number> {
  const body = JSON.stringify({ model: "bench", messages: [{ role: "user", content: text.repeat(20) }], tools: [] });
  const options: Dispatcher.DispatchOptions = {
    method: "POST",
    path: "/v1/chat/completions",
    headers: ["content-type", "application/json"],
    body,
  };
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const pieces: Buffer[] = [];
      pool.dispatch(options, {
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: (_, piece) => void pieces.push(piece),
        onResponseEnd: () => {
          JSON.parse(Buffer.concat(pieces).toString());
          resolve();
        },
        onResponseError: (_, error) => reject(error),
      });
    });
  const lane = async (): Promise<void> => {
    for (let n = 0; n < requests / atOnce; n += 1) await one();
  };
  const spent = await cost(() => Promise.all(Array.from({ length: atOnce }, lane)));
  return (spent.cpuMs * 1_000) / requests;
}

const text = "a line of a document that is being copied from here to there ".repeat(2);

/** Counts the replies in the request by their marker instead of parsing: the server's cost is not what is measured. */
function serve(steps: number): void {
  const server = createServer((request, response) => {
    let replies = 0;
    request.setEncoding("latin1");
    request.on("data", (piece: string) => {
      for (let at = piece.indexOf('"role":"assistant"'); at !== -1; at = piece.indexOf('"role":"assistant"', at + 1))
        replies += 1;
    });
    request.on("end", () => {
      const last = replies >= steps - 1;
      const args = last ? { value: "copied" } : { path: `out/${replies}.txt`, text };
      const call = { name: last ? "task__done" : "store__put", arguments: JSON.stringify(args) };
      const message = { role: "assistant", content: null, tool_calls: [{ id: `c${replies}`, type: "function", function: call }] };
      const usage = { prompt_tokens: 500, completion_tokens: 60, total_tokens: 560 };
      const choices = [{ index: 0, message, finish_reason: "tool_calls" }];
      const body = JSON.stringify({ id: "x", object: "chat.completion", created: 1, model: "bench", choices, usage });
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (address !== null && typeof address === "object") process.send?.(address.port);
  });
}

if (import.meta.main) serve(Number(process.argv[2]));
