/** Subjects: the remote drivers and the in-process ones, opened for the contract suite. */
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { systemClock } from "../../../src/drivers/clock/system.ts";
import { anthropicDriver } from "../../../src/drivers/model/anthropic.ts";
import { compatibleDriver } from "../../../src/drivers/model/compatible.ts";
import { httpClient } from "../../../src/drivers/model/http.ts";
import { openAiDriver } from "../../../src/drivers/model/openai.ts";
import type { RemoteDeps } from "../../../src/drivers/model/remote.ts";
import { replayDriver } from "../../../src/drivers/model/replay.ts";
import { scriptedDriver, type Act } from "../../../src/drivers/model/scripted.ts";
import type { Errno, SysError } from "../../../src/abi/errno.ts";
import type { ModelDriver, ModelReply } from "../../../src/abi/model.ts";
import type { Result } from "../../../src/lib/result.ts";
import { startUpstream, type Upstream } from "../../upstream/server.ts";
import type { Turn } from "../../upstream/turns.ts";
import { wireName } from "../../../src/wire/parts.ts";
import type { ContractReply, ContractTurn, ModelSubject } from "../../contract/model.ts";

export const secret = "sk-test-0123456789abcdef";

export interface Bench {
  readonly upstream: Upstream;
  readonly deps: RemoteDeps;
  close(): Promise<void>;
}

/** A server, and what a driver needs to reach it. Retries do not wait. */
export async function bench(): Promise<Bench> {
  const upstream = await startUpstream();
  const clock = systemClock();
  const http = httpClient(clock);
  return {
    upstream,
    deps: { http, clock, random: () => 0, instance: "test" },
    close: async () => {
      await http.close();
      await upstream.close();
    },
  };
}

export function must<T>(result: Result<T, SysError>): T {
  if (!result.ok) throw new Error(`${result.error.errno}: ${result.error.message}`);
  return result.value;
}

type Make = (origin: string, deps: RemoteDeps) => Result<ModelDriver, SysError>;

const remote = (name: string, model: string, make: Make): ModelSubject => ({
  name,
  model,
  can: ["script", "fail", "hang", "opaque"],
  secret,
  async open(turns) {
    const { upstream, deps, close } = await bench();
    upstream.push(...turns.map(upstreamTurn));
    return { driver: must(make(upstream.origin, deps)), sent: () => upstream.seen.map((seen) => seen.text), close };
  },
});

export const remoteSubjects: readonly ModelSubject[] = [
  remote("anthropic, current", "claude-sonnet-5-5", (baseUrl, deps) => anthropicDriver({ apiKey: secret, baseUrl }, deps)),
  remote("anthropic, classic", "claude-haiku-4-5", (baseUrl, deps) =>
    anthropicDriver({ apiKey: secret, baseUrl, version: "2023-06-01" }, deps),
  ),
  remote("openai, responses", "gpt-6-sol", (origin, deps) => openAiDriver({ apiKey: secret, baseUrl: `${origin}/v1` }, deps)),
  {
    ...remote("openai, chat", "gpt-6-sol", (origin, deps) =>
      openAiDriver({ apiKey: secret, baseUrl: `${origin}/v1`, dialect: "chat" }, deps),
    ),
    can: ["script", "fail", "hang"],
  },
  remote("openai-compatible", "qwen3:8b", (origin, deps) => compatibleDriver({ apiKey: secret, baseUrl: `${origin}/v1/` }, deps)),
];

export const localSubjects: readonly ModelSubject[] = [
  {
    name: "scripted",
    model: "script",
    can: ["script", "fail", "hang"],
    open: (turns) => ({
      driver: scriptedDriver((_request, n) => scriptedAct(turns[n]), { clock: new FakeClock(0) }),
      close: () => undefined,
    }),
  },
  {
    name: "replay",
    model: "recorded",
    can: ["script"],
    open: (turns) => {
      const recording = turns.map((turn, n) => ({ step: `1.${n + 1}`, request: null, reply: recordedReply(turn) }));
      return { driver: replayDriver(recording), close: () => undefined };
    },
  },
];

function upstreamTurn(turn: ContractTurn): Turn {
  if ("hang" in turn) return { kind: "hang" };
  if ("fail" in turn) return failingTurn(turn.fail);
  const { text, calls, opaque, usage } = turn;
  return {
    kind: "reply",
    ...(text === undefined ? {} : { text }),
    ...(calls === undefined ? {} : { calls: calls.map(({ name, args }) => ({ name: wireName(name), args })) }),
    ...(opaque === undefined ? {} : { thinking: opaque }),
    ...(usage === undefined
      ? {}
      : {
          usage: {
            input: usage.inputTokens,
            output: usage.outputTokens,
            cacheRead: usage.cacheReadTokens,
            cacheWrite: usage.cacheWriteTokens,
          },
        }),
  };
}

/** Each failure echoes the key, as careless servers do. */
function failingTurn(errno: Errno): Turn {
  const status = (code: number, type: string, message: string): Turn => ({
    kind: "status",
    status: code,
    body: JSON.stringify({
      type: "error",
      error: { type, code: type, message: `${message} (key ${secret}, Authorization: Bearer ${secret})` },
    }),
  });
  switch (errno) {
    case "EACCES":
      return status(401, "authentication_error", "invalid key");
    case "EDQUOT":
      return status(429, "insufficient_quota", "You exceeded your current quota");
    case "EAGAIN":
      return status(429, "rate_limit_error", "slow down");
    case "EINVAL":
      return status(400, "invalid_request_error", "no such field");
    case "E2BIG":
      return status(400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum");
    case "ENOENT":
      return status(404, "not_found_error", "model: nope");
    case "ETIMEDOUT":
      return status(408, "timeout_error", "took too long");
    case "EIO":
      return status(529, "overloaded_error", "Overloaded");
    default:
      return { kind: "garbage", type: "text/html", body: `<html>${secret}</html>` };
  }
}

function scriptedAct(turn: ContractTurn | undefined): Act {
  if (turn === undefined) return { act: "fail", errno: "EIO", message: "the script has no turn left for this request" };
  if ("hang" in turn) return { act: "hang" };
  if ("fail" in turn) return { act: "fail", errno: turn.fail, message: "the script says that this request fails" };
  const { parts, usage } = recordedReply(turn);
  return { act: "reply", parts, ...(turn.usage === undefined ? {} : { usage }) };
}

function recordedReply(turn: ContractTurn): ModelReply {
  const { text, calls, usage } = turn as ContractReply;
  const parts: ModelReply["parts"] = [
    ...(text === undefined ? [] : [{ type: "text", text } as const]),
    ...(calls ?? []).map(({ name, args }, n) => ({ type: "call", id: `c${n}`, name, args }) as const),
  ];
  const figures = usage ?? { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, cacheWriteTokens: 0 };
  return { parts, stop: calls === undefined ? "end" : "calls", usage: { ...figures, reported: true }, model: "recorded" };
}
