/** A kernel on real stores in a folder, with one call and an in-process model, for the benches that measure the kernel itself. */
import { join } from "node:path";
import { noLimits } from "../src/abi/budget.ts";
import type { CallHandler } from "../src/abi/call.ts";
import type { ModelDriver, ModelReply, ModelRequest } from "../src/abi/model.ts";
import type { Manifest } from "../src/abi/process.ts";
import { systemClock } from "../src/drivers/clock/system.ts";
import { openFileBlobs } from "../src/drivers/store/file-blobs.ts";
import { openSegmentLog, type SegmentLog } from "../src/drivers/store/segment-log.ts";
import type { BlobDriver } from "../src/abi/store.ts";
import { cost } from "../src/drivers/model/prices.ts";
import { fileSwap } from "../src/drivers/store/swap.ts";
import { Kernel } from "../src/kernel/kernel.ts";
import { recoverTable } from "../src/kernel/recover.ts";
import { ok } from "../src/lib/result.ts";
import { hundredRules } from "./step-policy.ts";

export interface BenchMachine {
  readonly kernel: Kernel;
  readonly log: SegmentLog;
  readonly blobs: BlobDriver;
  close(): Promise<void>;
}

export function openMachine(folder: string, driver: ModelDriver, handlers: readonly CallHandler[]): BenchMachine {
  const log = openSegmentLog({ dir: join(folder, "journal"), now: () => Date.now() });
  const blobs = openFileBlobs({ dir: join(folder, "blobs") });
  if (!log.ok || !blobs.ok) throw new Error("the stores cannot be opened");
  const recovered = recoverTable(log.value, blobs.value);
  if (!recovered.ok) throw new Error(recovered.error.message);
  const swap = fileSwap(join(folder, "run"), "bench");
  const price = { inputUsd: 1, outputUsd: 5, cacheReadUsd: 0.1, cacheWriteUsd: 1.25 };
  const opened = Kernel.open(
    {
      log: log.value,
      blobs: blobs.value,
      swap,
      clock: systemClock(),
      policy: hundredRules(handlers.map((handler) => handler.spec)),
      handlers,
      slots: 1_000,
      cpu: () => ({ driver, model: "bench", cost: (usage) => cost(usage, price) }),
      body: () => null,
      defaultCpu: "bench",
      preamble: { workspace: "", own: "" },
    },
    recovered.value.table,
  );
  if (!opened.ok) throw new Error(opened.error.message);
  const kernel = opened.value;
  // Nothing starts before: what an earlier kernel left would have to go first.
  kernel.resume();
  return {
    kernel,
    log: log.value,
    blobs: blobs.value,
    close: async () => {
      await kernel.close();
      await log.value.close();
      swap.close();
    },
  };
}

export const manifest: Manifest = {
  name: "bench",
  version: "1",
  kind: "agent",
  instructions: "Copy the lines.",
  cpu: null,
  calls: ["store.put", "task.done", "ask"],
  output: null,
  limits: { ...noLimits, tokens: 1e12, calls: 1e9, costUsd: 1e9 },
  windowTokens: null,
  stepsMax: 10_000,
  outputs: [],
};

export const argument = "a line of a document that is being copied from here to there ".repeat(2);
export const answer = "stored under its digest; the line before it and the line after it are unchanged ".repeat(2);

/** What a step is about: the call's argument and its result, as JSON. */
export const payloadBytes =
  JSON.stringify({ path: "out/12.txt", text: argument }).length + JSON.stringify({ text: answer }).length;

/** Takes a path and a text: the shape of a real effect, so that schemas, path policy and barrier are all paid. */
export function storeCall(perform: CallHandler["perform"] = () => ok({ value: { text: answer } })): CallHandler {
  return {
    spec: {
      name: "store.put",
      summary: "Store a line.",
      input: {
        type: "object",
        properties: { path: { type: "string", maxLength: 200 }, text: { type: "string", maxLength: 10_000 } },
        required: ["path", "text"],
        additionalProperties: false,
      },
      output: { type: "object", properties: { text: { type: "string" } }, required: ["text"], additionalProperties: false },
      effect: "write",
      reversible: true,
      recovery: "idempotent",
      roles: { path: "path", text: "content" },
    },
    perform,
  };
}

/** Replies by step: one call a step, task.done at the last. */
export function inProcess(steps: number): ModelDriver {
  return {
    name: "bench",
    remote: false,
    windowTokens: () => 10_000_000,
    think: (request) => ok(replyAt(stepOf(request), steps)),
    close: () => {},
  };
}

/** A goal, then a reply and its results for each step. */
export function stepOf(request: ModelRequest): number {
  return (request.messages.length - 1) / 2;
}

export function replyAt(step: number, steps: number): ModelReply {
  const call =
    step < steps - 1
      ? ({ type: "call", id: `c${step}`, name: "store.put", args: { path: `out/${step}.txt`, text: argument } } as const)
      : ({ type: "call", id: `c${step}`, name: "task.done", args: { value: "copied" } } as const);
  const usage = { inputTokens: 500, outputTokens: 60, cacheReadTokens: 400, cacheWriteTokens: 0, reported: true };
  return { parts: [call], stop: "calls", usage, model: "bench" };
}
