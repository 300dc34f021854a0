/** Asking: a request, a server to send it to, and helpers to read what comes back. */
import type { Message } from "../../../src/abi/message.ts";
import type { ModelDriver, ModelReply, ModelRequest, ThinkIo } from "../../../src/abi/model.ts";
import { bench, must, type Bench } from "./subjects.ts";

export const user = (text: string): Message => ({ role: "user", parts: [{ type: "text", text }], tokens: 3 });
export const base: ModelRequest = {
  model: "claude-sonnet-5-5",
  system: "Be brief.",
  messages: [user("Hello")],
  tools: [],
  outputTokensMax: 1_000,
  output: null,
  idempotencyKey: "7.3",
};
export const readTool = {
  name: "fs.read",
  description: "Read.",
  input: { type: "object", properties: { path: { type: "string" } } },
};

export async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  const opened = await bench();
  try {
    await body(opened);
  } finally {
    await opened.close();
  }
}

export const ask = (driver: ModelDriver, request: ModelRequest, io: Partial<ThinkIo> = {}) =>
  Promise.resolve(driver.think(request, { signal: null, onDelta: null, ...io }));

export async function reply(driver: ModelDriver, request: ModelRequest, io: Partial<ThinkIo> = {}): Promise<ModelReply> {
  return must(await ask(driver, request, io));
}

export const watched = { onDelta: () => undefined };
export const textOf = (value: ModelReply): string => value.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
