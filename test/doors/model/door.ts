/** A whole model door: a kernel with a guest, the gateway on a real socket, and a provider on another that says what a test tells it to. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool, request } from "undici";
import { noLimits, type Limits } from "../../../src/abi/budget.ts";
import type { ModelDriver, Usage } from "../../../src/abi/model.ts";
import { modelGateway, type ModelGateway } from "../../../src/doors/model/gateway.ts";
import { httpUpstream } from "../../../src/drivers/model/upstream.ts";
import { decoderFor } from "../../../src/drivers/net/decoder.ts";
import type { GuestProcess } from "../../../src/kernel/guest.ts";
import type { Proc } from "../../../src/kernel/table.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { ok } from "../../../src/lib/result.ts";
import { guestFormats } from "../../../src/wire/guest-formats.ts";
import { handler, rig, type Rig, type RigOptions } from "../../kernel/rig.ts";

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers the nth request of a test, counted from 0. */
export type Provider = (asked: Asked, response: ServerResponse, n: number) => void;

export interface Door {
  readonly machine: Rig;
  readonly guest: GuestProcess;
  readonly proc: Proc;
  readonly gateway: ModelGateway;
  readonly url: string;
  readonly asked: readonly Asked[];
  readonly faults: readonly unknown[];
  post(path: string, body: JsonObject | string, headers?: Record<string, string>): Promise<Told>;
}

export interface Told {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

export const credential = "dmn_test";

export interface DoorOptions extends RigOptions {
  readonly limits?: Limits;
  /** A model of another format answers, by translation. */
  readonly driver?: ModelDriver;
  /** False: there is nobody to ask. */
  readonly providers?: boolean;
}

export async function door(provider: Provider, options: DoorOptions, work: (door: Door) => Promise<void>): Promise<void> {
  const shell = handler({ name: "shell.run", effect: "write", recovery: "once", roles: { command: "command" } }, () =>
    ok({ value: "" }),
  );
  const machine = rig({ handlers: [shell], ...options });
  const pid = machine.spawn({
    kind: "guest",
    name: "claude",
    instructions: "{}",
    calls: ["*"],
    limits: options.limits ?? noLimits,
  });
  const opened = machine.kernel.guest(pid, (name, args) =>
    /bash/i.test(name) ? [{ name: "shell.run", args: args as JsonObject }] : [],
  );
  const proc = machine.kernel.recorder.table.procs.get(pid);
  if (!opened.ok || proc === undefined) throw new Error("no guest");
  const asked: Asked[] = [];
  const upstreamServer = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    response.on("error", () => undefined);
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const { method = "", url = "", headers } = incoming;
      const one = { method, url, headers, body: Buffer.concat(chunks).toString() };
      asked.push(one);
      provider(one, response, asked.length - 1);
    });
  });
  await new Promise<void>((resolve) => upstreamServer.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(upstreamServer.address() as AddressInfo).port}`;
  const pool = new Pool(origin);
  const upstream = httpUpstream({
    name: "provider",
    baseUrl: new URL(`${origin}/v1`),
    headers: ["x-api-key", "sk-real"],
    pool,
  });
  const folder = mkdtempSync(join(tmpdir(), "daimon-door-"));
  const faults: unknown[] = [];
  let names = 0;
  const gateway = modelGateway({
    clock: machine.clock,
    place: { folder, name: () => `b${(names += 1)}`, decoder: decoderFor },
    formats: guestFormats,
    destination: (_format, model) => {
      const priced = { model, cost: (usage: Usage) => usage.outputTokens / 1_000 };
      return Promise.resolve(
        ok(options.driver === undefined ? { model: priced, upstream } : { model: priced, driver: options.driver }),
      );
    },
    upstream: () => Promise.resolve(options.providers === false ? null : upstream),
    broke: (error) => void faults.push(error),
  });
  const leave = gateway.admit(credential, opened.value);
  await new Promise<void>((resolve) => gateway.server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(gateway.server.address() as AddressInfo).port}`;
  const post: Door["post"] = async (path, body, headers = {}) => {
    const answer = await request(url + path, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": "application/json", "x-api-key": credential, ...headers },
    });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };
  try {
    await work({ machine, guest: opened.value, proc, gateway, url, asked, faults, post });
  } finally {
    leave();
    await gateway.close();
    await pool.destroy();
    upstreamServer.closeAllConnections();
    await new Promise((resolve) => upstreamServer.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  }
  if (faults.length > 0) throw new Error(`the gateway broke: ${String(faults[0])}`);
}

/** A stream of named events, as Anthropic writes it. */
export function events(list: readonly JsonObject[]): string {
  return list.map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`).join("");
}

export function message(content: readonly JsonObject[], stop: string, id = "msg_1"): JsonObject {
  const usage = { input_tokens: 20, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
  return { id, type: "message", role: "assistant", model: "claude-x", content, stop_reason: stop, stop_sequence: null, usage };
}

export const toolUse = (id: string, command: string): JsonObject => ({ type: "tool_use", id, name: "Bash", input: { command } });
export const text = (words: string): JsonObject => ({ type: "text", text: words });

/** The stream of a message. */
export function streamOf(content: readonly JsonObject[], stop: string, id = "msg_1"): string {
  const blocks = content.flatMap((block, index): JsonObject[] => {
    const isText = block["type"] === "text";
    const start = isText ? { type: "text", text: "" } : { ...block, input: {} };
    const delta = isText
      ? { type: "text_delta", text: block["text"] ?? "" }
      : { type: "input_json_delta", partial_json: JSON.stringify(block["input"]) };
    return [
      { type: "content_block_start", index, content_block: start },
      { type: "content_block_delta", index, delta },
      { type: "content_block_stop", index },
    ];
  });
  const { usage } = message([], stop);
  return events([
    { type: "message_start", message: { ...message([], stop, id), stop_reason: null } },
    ...blocks,
    { type: "message_delta", delta: { stop_reason: stop, stop_sequence: null }, usage: usage ?? null },
    { type: "message_stop" },
  ]);
}
