import { execFileSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openCpus, type Cpus } from "../../src/boot/cpus.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { configOf, must, refusedBoot, workspace } from "./machine.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function listen(answer: (path: string) => unknown, port = 0): Promise<number | null> {
  const server = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer(request.url ?? "")));
  });
  servers.push(server);
  return new Promise((resolve) => {
    server.once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

async function cpus(yaml: string, env: Readonly<Record<string, string>>, chosen: string | null = null): Promise<Cpus> {
  const config = await configOf(yaml);
  return await openCpus({ config, env, clock: systemClock(), random: () => 0.5, instance: "test", chosen });
}

describe("cpus", () => {
  it("BOO-9.1  a provider whose key is set comes first, Anthropic before OpenAI; an empty key is none", async () => {
    expect((await cpus("", { ANTHROPIC_API_KEY: "k", OPENAI_API_KEY: "k" })).default).toBe("anthropic");
    expect((await cpus("", { ANTHROPIC_API_KEY: "", OPENAI_API_KEY: "k" })).default).toBe("openai");
    const named = await cpus("cpu: gullible\n", { ANTHROPIC_API_KEY: "k" });
    expect(named.default).toBe("gullible");
    expect((await cpus("cpu: gullible\n", {}, "reflex")).default).toBe("reflex");
    expect(named.sources.map((source) => source.name)).toEqual(["anthropic", "reflex"]);
  });

  it("BOO-9.1  without a key a local server that answers, and its first model; without one, reflex", async ({ skip }) => {
    const before = await cpus("", {});
    if (before.default !== "reflex") skip("a model server of this machine answers");
    const ollama = (url: string): unknown =>
      url.includes("version")
        ? { version: "0.9.0" }
        : { models: [{ name: "tiny:1b", model: "tiny:1b" }], data: [{ id: "tiny:1b" }] };
    const port = await listen(ollama, 11_434);
    if (port === null) skip("something listens at the port of Ollama");
    const after = await cpus("", {});
    expect(after.sources[0]).toMatchObject({ name: "ollama", model: "tiny:1b", why: expect.stringContaining("11434") });
    expect(after.default).toBe("ollama");
    expect(must(await after.load("ollama")).model).toBe("tiny:1b");
  });

  it("BOO-9.2  a machine on the embedded CPU loads no remote driver, no MCP client, no YAML reader and, with a warm cache, no Cedar", () => {
    const where = workspace();
    const urls = (): string =>
      execFileSync(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", path.join(import.meta.dirname, "loaded.ts"), where.folder, "reflex"],
        {
          encoding: "utf8",
        },
      );
    urls();
    const warm = urls();
    expect(warm).toContain("drivers/model/reflex");
    for (const absent of [
      "model/anthropic",
      "model/openai",
      "model/compatible",
      "model/http.ts",
      "undici",
      "modelcontextprotocol",
      "node_modules/yaml",
      "cedar-wasm",
    ]) {
      expect(warm, absent).not.toContain(absent);
    }
  });

  it("BOO-9.2  a driver is made once, when a process needs it", async () => {
    const all = await cpus("models:\n  mine:\n    baseUrl: http://127.0.0.1:9/v1\n", {});
    expect(all.get("mine/a")).toBeNull();
    const [first, second] = [must(await all.load("mine/a")), must(await all.load("mine/b"))];
    expect(all.get("mine/a")).toBe(first);
    expect(first.driver).toBe(second.driver);
    expect([first.model, second.model]).toEqual(["a", "b"]);
    await all.close();
  });

  it("BOO-9.1  a configured provider without a model is no default, and its key shows nowhere", async () => {
    const port = await listen(() => ({ choices: [] }));
    const yaml = `models:\n  mine:\n    baseUrl: http://127.0.0.1:${port}/v1\n    keyEnv: MINE_KEY\n`;
    const all = await cpus(yaml, { MINE_KEY: "mine-secret", OPENAI_API_KEY: "" });
    expect(all.default).not.toBe("mine");
    expect(all.sources).toContainEqual({ name: "mine", model: "", why: `configured, at http://127.0.0.1:${port}/v1` });
    expect(JSON.stringify(all.sources)).not.toContain("mine-secret");
  });

  it("BOO-9.3  an unknown name is refused with the known ones, and a provider without a model asks for one", async () => {
    const all = await cpus("models:\n  mine:\n    baseUrl: http://127.0.0.1:9/v1\n", {});
    const unknown = await all.load("clude/opus");
    expect(unknown).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    for (const name of ['"clude"', "reflex", "anthropic", "openai", "mine", "daimon.yaml"]) {
      expect(unknown.ok ? "" : unknown.error.message).toContain(name);
    }
    expect(await all.load("mine")).toMatchObject({
      ok: false,
      error: { errno: "EINVAL", message: expect.stringContaining("mine/MODEL") },
    });
    expect(await refusedBoot(workspace(), { cpu: "clude" })).toMatchObject({ errno: "ENOENT" });
  });
});
