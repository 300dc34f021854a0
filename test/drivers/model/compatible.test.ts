import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { systemClock } from "../../../src/drivers/clock/system.ts";
import { compatibleDriver, detectLocal } from "../../../src/drivers/model/compatible.ts";
import { startUpstream, type Upstream } from "../../upstream/server.ts";
import { bench, must } from "./subjects.ts";

async function servers(count: number, body: (upstreams: readonly Upstream[]) => Promise<void>): Promise<void> {
  const upstreams = await Promise.all(Array.from({ length: count }, () => startUpstream()));
  try {
    await body(upstreams);
  } finally {
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  }
}

const pages: readonly Record<string, unknown>[] = [
  {
    "/api/tags": { models: [{ name: "qwen3:8b" }, { name: "llama3:latest" }, { size: 3 }] },
    "/api/ps": { models: [{ name: "qwen3:8b", context_length: 32_768 }] },
  },
  {
    "/props": { default_generation_settings: { n_ctx: 16_384 } },
    "/v1/models": { data: [{ id: "gemma.gguf", meta: { n_ctx_train: 131_072 } }] },
  },
  {
    "/api/v0/models": {
      data: [
        { id: "phi", type: "llm", loaded_context_length: 8_192, max_context_length: 65_536 },
        { id: "cold", type: "llm", max_context_length: 65_536 },
        { id: "embedder", type: "embeddings" },
      ],
    },
  },
  { "/v1/models": { data: [{ id: "big-model", owned_by: "vllm", max_model_len: 131_072 }] } },
];

const portsOf = (upstreams: readonly Upstream[]) => ({
  ollama: upstreams[0]?.port ?? 1,
  "llama.cpp": upstreams[1]?.port ?? 1,
  "lm-studio": upstreams[2]?.port ?? 1,
  vllm: upstreams[3]?.port ?? 1,
});

test("MOD-9.3 every known server is found, with the window it runs with where it says so", async () => {
  await servers(4, async (upstreams) => {
    upstreams.forEach((upstream, n) => Object.entries(pages[n] ?? {}).forEach(([path, page]) => upstream.pages.set(path, page)));
    const found = await detectLocal({ clock: systemClock(), ports: portsOf(upstreams), timeoutMs: 5_000 });
    expect(found.map(({ server, models }) => ({ server, models }))).toEqual([
      {
        server: "ollama",
        models: [
          { id: "qwen3:8b", contextTokens: 32_768 },
          { id: "llama3:latest", contextTokens: null },
        ],
      },
      { server: "llama.cpp", models: [{ id: "gemma.gguf", contextTokens: 16_384 }] },
      {
        server: "lm-studio",
        models: [
          { id: "phi", contextTokens: 8_192 },
          { id: "cold", contextTokens: null },
        ],
      },
      { server: "vllm", models: [{ id: "big-model", contextTokens: 131_072 }] },
    ]);
    const { deps, close } = await bench();
    const driver = must(
      compatibleDriver({ baseUrl: found[0]?.baseUrl ?? "", apiKey: null, windows: { "qwen3:8b": 32_768 } }, deps),
    );
    expect([driver.windowTokens("qwen3:8b"), driver.windowTokens("llama3:latest")]).toEqual([32_768, 8_192]);
    await close();
  });
});

test("MOD-9.2 another server at a known port is not reported", async () => {
  await servers(4, async (upstreams) => {
    for (const upstream of upstreams) {
      upstream.pages.set("/", { hello: "world" });
      upstream.pages.set("/v1/models", { data: [{ id: "something", owned_by: "someone" }] });
      upstream.pages.set("/api/tags", "not an object");
    }
    expect(await detectLocal({ clock: systemClock(), ports: portsOf(upstreams), timeoutMs: 5_000 })).toEqual([]);
  });
});

test("MOD-9.1 nothing there is nothing found", async () => {
  const ports = { ollama: 1, "llama.cpp": 1, "lm-studio": 1, vllm: 1 };
  expect(await detectLocal({ clock: systemClock(), ports, timeoutMs: 5_000 })).toEqual([]);
});

test("MOD-9.1 servers that accept and never answer end the search when its time is over, and not before", async () => {
  const silent = createServer((socket) => void socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const clock = new FakeClock(0);
  let over = false;
  const search = detectLocal({ clock, ports: { ollama: port, "llama.cpp": port, "lm-studio": port, vllm: port } }).then(
    (found) => {
      over = true;
      return found;
    },
  );
  await new Promise<void>((resolve) => silent.once("connection", () => resolve()));
  clock.advance(249);
  await new Promise((resolve) => setImmediate(resolve));
  expect(over).toBe(false);
  clock.advance(1);
  expect(await search).toEqual([]);
  await new Promise((resolve) => silent.close(resolve));
});
