/**
 * Gateway: what a request through the model door costs, beside the provider asked directly and a minimal proxy of node:http and undici, in one run
 * and in turn. Policy, budget and journal are on. `--stream`: 32 deltas; `--body 2MB`: memory of large requests.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Agent, request } from "undici";
import { credential, type RoleRequest } from "./gateway-role.ts";
import { atMost, median, quantile, sideBySide, told, type BenchOptions, type Measure } from "./measure.ts";

export const seconds = 60;

interface Role {
  readonly port: number;
  ask(what: RoleRequest): Promise<number>;
  close(): Promise<void>;
}

export async function run({ args }: BenchOptions): Promise<readonly Measure[]> {
  const { values } = parseArgs({
    args: [...args],
    options: { stream: { type: "boolean", default: false }, body: { type: "string" } },
    strict: false,
  });
  const upstream = await role("upstream", 0);
  const roles = { minimal: await role("minimal", upstream.port), daimon: await role("daimon", upstream.port) };
  try {
    if (values.body !== undefined) return await large(roles, upstream);
    return await small(roles, upstream, values.stream === true);
  } finally {
    await Promise.all([roles.minimal.close(), roles.daimon.close(), upstream.close()]);
  }
}

async function role(name: string, upstreamPort: number): Promise<Role> {
  const child: ChildProcess = fork(join(import.meta.dirname, "gateway-role.ts"), [name, String(upstreamPort)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv: ["--expose-gc"],
  });
  const next = async (): Promise<number> => ((await once(child, "message")) as [number])[0];
  const port = await next();
  return {
    port,
    ask: (what) => {
      const answer = next();
      child.send(what);
      return answer;
    },
    close: async () => {
      const gone = once(child, "exit");
      child.disconnect();
      await gone;
    },
  };
}

const line = "a line of a document that is being copied from here to there ".repeat(4);

function bodyOf(stream: boolean, bytes: number): string {
  const content = bytes === 0 ? line : "x".repeat(bytes);
  return JSON.stringify({ model: "bench", stream, max_tokens: 1_000, messages: [{ role: "user", content }] });
}

interface Rivals {
  readonly minimal: Role;
  readonly daimon: Role;
}

async function small(roles: Rivals, upstream: Role, stream: boolean): Promise<readonly Measure[]> {
  const body = bodyOf(stream, 0);
  const agent = new Agent({ connections: 64, pipelining: 1 });
  const all = { direct: upstream, ...roles };
  const load = async (which: Role, requests: number, atOnce: number): Promise<number> => {
    const before = await which.ask("cpu");
    const lane = async (): Promise<void> => {
      for (let n = 0; n < requests / atOnce; n += 1) await one(agent, which.port, body);
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    return ((await which.ask("cpu")) - before) / requests;
  };
  const requests = stream ? 600 : 2_000;
  for (const which of Object.values(all)) await load(which, 2 * requests, 16);
  const cpu = await sideBySide(7, {
    minimal: () => load(roles.minimal, requests, 16),
    daimon: () => load(roles.daimon, requests, 16),
  });
  const times = { direct: [] as number[], minimal: [] as number[], daimon: [] as number[] };
  for (let n = 0; n < (stream ? 400 : 1_500); n += 1) {
    for (const name of ["direct", "minimal", "daimon"] as const) {
      const { firstMs, wholeMs } = await one(agent, all[name].port, body);
      times[name].push(stream ? firstMs : wholeMs);
    }
  }
  await agent.destroy();
  const p50 = { direct: median(times.direct), minimal: median(times.minimal), daimon: median(times.daimon) };
  const added = { minimal: p50.minimal - p50.direct, daimon: p50.daimon - p50.direct };
  const cost = { minimal: median(cpu.minimal), daimon: median(cpu.daimon) };
  const what = stream ? "first byte" : "p50";
  return [
    atMost("cpu over the minimal proxy", cost.daimon / cost.minimal, "×", stream ? 1.3 : 2, stream ? "1.1" : "1.3"),
    stream
      ? atMost("first byte over the minimal proxy", p50.daimon / p50.minimal, "×", 1.3, "1.1")
      : atMost("added p50 over the minimal proxy", added.daimon / added.minimal, "×", 1.3, "1.1"),
    told("cpu per request", cost.daimon, "µs"),
    told("cpu per request, minimal proxy", cost.minimal, "µs"),
    told(`${what}, directly`, p50.direct, "ms"),
    told(`${what} added`, added.daimon, "ms"),
    told(`${what} added, minimal proxy`, added.minimal, "ms"),
    told("p99", quantile(times.daimon, 0.99), "ms"),
  ];
}

async function one(agent: Agent, port: number, body: string): Promise<{ readonly firstMs: number; readonly wholeMs: number }> {
  const start = performance.now();
  const answer = await request(`http://127.0.0.1:${port}/v1/messages`, {
    dispatcher: agent,
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": credential, "anthropic-version": "2023-06-01" },
    body,
  });
  let firstMs = 0;
  for await (const chunk of answer.body) {
    if (firstMs === 0 && chunk !== null) firstMs = performance.now() - start;
  }
  if (answer.statusCode !== 200) throw new Error(`the gateway answered with ${answer.statusCode}`);
  return { firstMs, wholeMs: performance.now() - start };
}

/** Memory while many large requests are under way, and time by size. */
async function large(roles: Rivals, upstream: Role): Promise<readonly Measure[]> {
  const agent = new Agent({ connections: 64, pipelining: 1 });
  const atOnce = 32;
  const peak = async (which: Role, bytes: number, what: "live" | "resident"): Promise<number> => {
    const body = bodyOf(false, bytes);
    let highest = 0;
    let over = false;
    const watch = (async () => {
      while (!over) highest = Math.max(highest, await which.ask(what));
    })();
    const lane = async (): Promise<void> => {
      for (let n = 0; n < 6; n += 1) await one(agent, which.port, body);
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    over = true;
    await watch;
    return highest;
  };
  const added = async (which: Role, what: "live" | "resident"): Promise<number> => {
    await peak(which, 200, what);
    const before = await which.ask(what);
    return ((await peak(which, 2_000_000, what)) - before) / atOnce / 1_000;
  };
  const live = { minimal: await added(roles.minimal, "live"), daimon: await added(roles.daimon, "live") };
  const resident = { minimal: await added(roles.minimal, "resident"), daimon: await added(roles.daimon, "resident") };
  const times: Record<string, number[]> = {};
  const sizes = [1_000_000, 2_000_000, 4_000_000, 8_000_000];
  for (let round = 0; round < 9; round += 1) {
    for (const bytes of sizes) {
      const direct = (await one(agent, upstream.port, bodyOf(false, bytes))).wholeMs;
      (times[bytes] ??= []).push((await one(agent, roles.daimon.port, bodyOf(false, bytes))).wholeMs - direct);
    }
  }
  await agent.destroy();
  const perMb = sizes.map((bytes) => median(times[bytes] ?? []) / (bytes / 1e6));
  return [
    atMost("memory in use for each request of 2 MB under way", live.daimon, "kB", 256),
    told("the same, minimal proxy", live.minimal, "kB"),
    told("resident memory, garbage included, for each request of 2 MB under way", resident.daimon, "kB"),
    told("the same, minimal proxy", resident.minimal, "kB"),
    atMost("time per MB at 8 MB over that at 1 MB", (perMb[3] ?? Number.NaN) / (perMb[0] ?? Number.NaN), "×", 1.5),
    ...sizes.map((bytes, n) => told(`time added per MB at ${bytes / 1e6} MB`, perMb[n] ?? Number.NaN, "ms")),
  ];
}
