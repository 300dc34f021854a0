/**
 * Scripted: a model that does what a function says, in this process and without waiting: for tests, benches and simulation.
 *   MOD-12.1  The same script gives the same replies, whatever the timing; a reply without delay is given at once, not as a promise.
 *   MOD-12.2  A script can delay, fail, hang and lie in every way a real model does; a cancelled request ends at once.
 */
import type { Clock } from "../../abi/clock.ts";
import { fail, type Errno, type SysError } from "../../abi/errno.ts";
import type { Part } from "../../abi/message.ts";
import type { ModelDriver, ModelReply, ModelRequest, StopReason, ThinkIo, Usage } from "../../abi/model.ts";
import { unreachable } from "../../lib/assert.ts";
import type { Awaitable, Result } from "../../lib/result.ts";
import { ok } from "../../lib/result.ts";
import { callPart, mapStop, usageOf } from "../../wire/parts.ts";
import type { Json } from "../../lib/json.ts";

export type Lie =
  /** Reports no tokens. */
  | "zero-usage"
  /** Stops with `end` although it calls, or with `calls` although it does not. */
  | "wrong-stop"
  /** Arguments that are not JSON. */
  | "broken-args"
  /** Calls something nobody offered. */
  | "unknown-call"
  /** Gives every call the same id. */
  | "same-ids"
  /** Says nothing. */
  | "empty";

export type Act =
  | {
      readonly act: "reply";
      readonly parts: readonly Part[];
      readonly stop?: StopReason;
      readonly usage?: Usage;
      readonly model?: string;
    }
  | { readonly act: "fail"; readonly errno: Errno; readonly message: string }
  | { readonly act: "delay"; readonly ms: number; readonly next: Act }
  | { readonly act: "hang" }
  | { readonly act: "lie"; readonly lie: Lie; readonly next: Act };

/** `n` counts the requests of this driver from 0. */
export type Script = (request: ModelRequest, n: number) => Act;

export interface ScriptedOptions {
  readonly clock: Clock;
  readonly name?: string;
  readonly windowTokens?: number;
  /** Act as a remote driver, whose requests are journaled before they leave. */
  readonly remote?: boolean;
}

export function scriptedDriver(script: Script, options: ScriptedOptions): ModelDriver {
  const windowTokens = options.windowTokens ?? 200_000;
  let n = 0;
  return {
    name: options.name ?? "scripted",
    remote: options.remote ?? false,
    windowTokens: () => windowTokens,
    think(request, io) {
      if (io.signal?.aborted === true) return cancelled();
      return perform(script(request, n++), request, io, options.clock);
    },
    close: () => undefined,
  };
}

/** A reply that says something. */
export function say(text: string): Act {
  return { act: "reply", parts: [{ type: "text", text }] };
}

/** A reply that calls; ids are `c0`, `c1`, … */
export function call(...calls: readonly { readonly name: string; readonly args: Json }[]): Act {
  return { act: "reply", parts: calls.map(({ name, args }, n) => callPart(`c${n}`, name, args)) };
}

/** Shows a reply that came at once as if it streamed. */
export function showReply(reply: Pick<ModelReply, "parts">, onDelta: ThinkIo["onDelta"]): void {
  if (onDelta === null) return;
  for (const part of reply.parts) {
    if (part.type === "text") onDelta({ type: "text", text: part.text });
    else if (part.type === "call") onDelta({ type: "call", name: part.name });
  }
}

function perform(act: Act, request: ModelRequest, io: ThinkIo, clock: Clock): Awaitable<Result<ModelReply, SysError>> {
  switch (act.act) {
    case "reply": {
      const usage = act.usage ?? {
        ...usageOf({ input: null, output: null, cacheRead: 0, cacheWrite: 0 }, request, act.parts),
        reported: true,
      };
      const reply = { parts: act.parts, stop: mapStop(act.stop ?? "end", act.parts), usage, model: act.model ?? request.model };
      showReply(reply, io.onDelta);
      return ok(reply);
    }
    case "fail":
      return fail(act.errno, act.message);
    case "delay":
      return wait(act.ms, io, clock, () => perform(act.next, request, io, clock));
    case "hang":
      return wait(null, io, clock, cancelled);
    case "lie": {
      const told = perform(act.next, request, { ...io, onDelta: null }, clock);
      const lied = (result: Result<ModelReply, SysError>): Result<ModelReply, SysError> => {
        if (!result.ok) return result;
        const reply = distort(act.lie, result.value);
        showReply(reply, io.onDelta);
        return ok(reply);
      };
      return told instanceof Promise ? told.then(lied) : lied(told);
    }
    default:
      return unreachable(act);
  }
}

function distort(lie: Lie, reply: ModelReply): ModelReply {
  const parts = reply.parts;
  switch (lie) {
    case "zero-usage":
      return { ...reply, usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true } };
    case "wrong-stop":
      return { ...reply, stop: reply.stop === "calls" ? "end" : "calls" };
    case "broken-args":
      return { ...reply, parts: parts.map((part) => (part.type === "call" ? { ...part, args: `{"path": "unfinish` } : part)) };
    case "unknown-call":
      return { ...reply, stop: "calls", parts: [...parts, callPart("c-unknown", "no.such_call", {})] };
    case "same-ids":
      return { ...reply, parts: parts.map((part) => (part.type === "call" ? { ...part, id: "c0" } : part)) };
    case "empty":
      return { ...reply, parts: [], stop: "end" };
    default:
      return unreachable(lie);
  }
}

function wait(
  ms: number | null,
  io: ThinkIo,
  clock: Clock,
  then: () => Awaitable<Result<ModelReply, SysError>>,
): Promise<Result<ModelReply, SysError>> {
  return new Promise((resolve) => {
    const onAbort = (): void => {
      cancel();
      resolve(cancelled());
    };
    const cancel =
      ms === null
        ? () => undefined
        : clock.after(ms, () => {
            io.signal?.removeEventListener("abort", onAbort);
            resolve(then());
          });
    io.signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function cancelled(): Result<ModelReply, SysError> {
  return fail("ECANCELED", "the request was cancelled");
}
