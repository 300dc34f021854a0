import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { Format } from "../../src/abi/upstream.ts";
import { loadConfig } from "../../src/boot/config.ts";
import { openUpstreams, type Upstreams } from "../../src/boot/upstreams.ts";
import { must } from "./machine.ts";

async function upstreams(yaml: string, env: Readonly<Record<string, string>>, cpu = "reflex"): Promise<Upstreams> {
  const source = {
    scope: "user",
    format: "yaml",
    name: "config.yaml",
    folder: "/nowhere",
    text: yaml,
    trusted: true,
    accepted: null,
    widened: [],
  } as const;
  const config = must(await loadConfig(yaml === "" ? [] : [source]));
  return must(openUpstreams({ config, env, cpu }));
}

async function named(opened: Upstreams, format: Format): Promise<string | null> {
  const upstream = await opened.of(format);
  return upstream?.name ?? null;
}

test("BOO-30.1 a provider is there when its key is set or its address is given, and the CPU's comes first", async () => {
  const none = await upstreams("", {});
  for (const format of ["messages", "responses", "chat", "gemini"] as const) expect(await named(none, format)).toBe(null);
  const keys = await upstreams("", { ANTHROPIC_API_KEY: "a", OPENAI_API_KEY: "b", GEMINI_API_KEY: "c" });
  expect(await Promise.all((["messages", "responses", "chat", "gemini"] as const).map((format) => named(keys, format)))).toEqual([
    "anthropic",
    "openai",
    "openai",
    "gemini",
  ]);
  const local = "models:\n  ollama:\n    baseUrl: http://127.0.0.1:11434/v1\n";
  expect(await named(await upstreams(local, { OPENAI_API_KEY: "b" }), "chat")).toBe("ollama");
  expect(await named(await upstreams(local, { OPENAI_API_KEY: "b" }, "openai/gpt-5"), "chat")).toBe("openai");
  await Promise.all([none.close(), keys.close()]);
});

test("BOO-30.1 a request goes to the configured address, below its version, with the key of its variable", async () => {
  const seen: (readonly [string | undefined, unknown, unknown])[] = [];
  const server = createServer((request, response) => {
    seen.push([request.url, request.headers["x-api-key"], request.headers.authorization]);
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const yaml = `models:
  anthropic:
    baseUrl: http://127.0.0.1:${port}/gate/v1
    keyEnv: GATE_KEY
  vllm:
    baseUrl: http://127.0.0.1:${port}/v1
`;
  const opened = await upstreams(yaml, { GATE_KEY: "k1" });
  for (const [format, path] of [
    ["messages", "/messages?beta=true"],
    ["chat", "/chat/completions"],
  ] as const) {
    const { upstream } = must(await opened.destination(format, "m"));
    const sink = { head: () => undefined, data: () => true };
    await upstream.send({ method: "POST", path, headers: [], body: Buffer.from("{}"), bytes: 2 }, sink).ended;
  }
  await opened.close();
  await new Promise((resolve) => server.close(resolve));
  expect(seen).toEqual([
    ["/gate/v1/messages?beta=true", "k1", undefined],
    ["/v1/chat/completions", undefined, undefined],
  ]);
});

test("BOO-30.2 without a provider of the format the error says what would make one", async () => {
  const opened = await upstreams("", {});
  expect(await opened.destination("messages", "m")).toMatchObject({
    ok: false,
    error: { errno: "ENOENT", message: expect.stringMatching(/ANTHROPIC_API_KEY.*models\.anthropic\.baseUrl/) as string },
  });
  expect(await opened.destination("gemini", "m")).toMatchObject({ error: { message: expect.stringContaining("GEMINI_API_KEY") as string } });
});
