import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { Format } from "../../src/abi/upstream.ts";
import { openCpus } from "../../src/boot/cpus.ts";
import { openUpstreams, type Upstreams } from "../../src/boot/upstreams.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { configOf, must } from "./machine.ts";

async function upstreams(yaml: string, env: Readonly<Record<string, string>>, chosen: string | null = null): Promise<Upstreams> {
  const config = await configOf(yaml);
  const cpus = await openCpus({ config, env, clock: systemClock(), random: () => 0.5, instance: "test", chosen });
  return must(openUpstreams({ config, env, chosen, cpus }));
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
    const destination = must(await opened.destination(format, "m"));
    if (!("upstream" in destination)) throw new Error("it is translated");
    const { upstream } = destination;
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
  expect(await opened.destination("gemini", "m")).toMatchObject({
    error: { message: expect.stringContaining("GEMINI_API_KEY") as string },
  });
});

test("BOO-30.3 a chosen CPU answers every format, one that is merely there its own before all others", async () => {
  const where = async (opened: Upstreams, format: Format): Promise<string> => {
    const destination = await opened.destination(format, "m");
    if (!destination.ok) return destination.error.errno;
    return "upstream" in destination.value
      ? `as it is: ${destination.value.upstream.name}`
      : `translated: ${destination.value.driver.name}`;
  };
  const openai = await upstreams("", { OPENAI_API_KEY: "b" });
  expect(await where(openai, "chat")).toBe("as it is: openai");
  expect(await where(openai, "messages")).toBe("translated: openai");
  const both = { OPENAI_API_KEY: "b", ANTHROPIC_API_KEY: "a" };
  expect(await where(await upstreams("", both), "messages")).toBe("as it is: anthropic");
  expect(await where(await upstreams("", both, "openai/gpt-5.1"), "messages")).toBe("translated: openai");
  expect(await where(await upstreams("", both, "openai/gpt-5.1"), "responses")).toBe("as it is: openai");
  expect(await where(await upstreams("", both, "reflex"), "chat")).toBe("translated: reflex");
  expect(await where(await upstreams("", {}), "messages")).toBe("ENOENT");
});
