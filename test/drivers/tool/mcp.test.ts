import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { afterEach, expect, test } from "vitest";
import type { CallContext, CallValue } from "../../../src/abi/call.ts";
import type { SysError } from "../../../src/abi/errno.ts";
import { limits } from "../../../src/abi/limits.ts";
import { connectMcp, type McpConfig, type McpServer } from "../../../src/drivers/tool/mcp.ts";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";
import type { Result } from "../../../src/lib/result.ts";
import { schemaCompiler } from "../../../src/lib/schema.ts";
import { fixtureServer } from "./mcp-fixture.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

const stdio = (variant: string, more: Partial<McpConfig> = {}, args: readonly string[] = []): McpConfig => ({
  name: "fixture",
  transport: {
    type: "stdio",
    command: process.execPath,
    args: [join(import.meta.dirname, "mcp-server.ts"), variant, ...args],
    env: { GIVEN: "yes" },
    cwd: tmpdir(),
  },
  ...more,
});

async function connected(config: McpConfig): Promise<McpServer> {
  const server = await connectMcp(config);
  if (!server.ok) throw new Error(`${server.error.message} ${server.error.cause ?? ""}`);
  open.push(server.value);
  return server.value;
}

function call(
  server: McpServer,
  tool: string,
  args: JsonObject = {},
  signal = new AbortController().signal,
): Promise<Result<CallValue, SysError>> {
  const handler = server.calls.find((entry) => entry.spec.name === `mcp.fixture.${tool}`);
  if (handler === undefined) throw new Error(`no tool ${tool}`);
  const context: CallContext = { pid: 1, id: "1.1.0", signal, now: 0, frozen: null };
  return Promise.resolve(handler.perform(args as never, context));
}

async function textOf(result: Promise<Result<CallValue, SysError>>): Promise<string> {
  const got = await result;
  if (!got.ok) throw new Error(got.error.message);
  expect(got.value.label).toEqual({ integrity: "untrusted", confidentiality: "workspace" });
  return isObject(got.value.value) ? String(got.value.value.text) : "";
}

test("MCP-1.1 tools become calls that no hint of the server makes harmless", async () => {
  const server = await connected(
    stdio("plain", { tools: { environment: { effect: "read", reversible: true, recovery: "pure", roles: { x: "path" } } } }),
  );
  const spec = (name: string) => server.calls.find((entry) => entry.spec.name === `mcp.fixture.${name}`)?.spec;
  expect(spec("echo")).toMatchObject({ effect: "external", reversible: false, recovery: "once", roles: { text: "content" } });
  expect(spec("wipe")).toMatchObject({ effect: "irreversible", recovery: "once", roles: { folder: "path" } });
  expect(spec("environment")).toMatchObject({ effect: "read", reversible: true, recovery: "pure", roles: { x: "path" } });
  expect(spec("roles")?.roles).toEqual({
    filePath: "path",
    shell_command: "command",
    url: "host",
    to: "destination",
    amount: "amount",
    apiKey: "credential",
    body: "content",
    limit: "option",
    force: "option",
    issue: "object",
  });
  const compile = schemaCompiler();
  for (const { spec: each } of server.calls) expect(compile(each.input)).toMatchObject({ ok: true });
});

test("MCP-1.2 what a tool gives is untrusted text, its failures too", async () => {
  const server = await connected(stdio("plain"));
  expect(await textOf(call(server, "echo", { text: "hi ünï" }))).toBe("hi ünï");
  expect(await textOf(call(server, "mixed"))).toBe("seen\n(image/png, 3 bytes: not text)\ninside\n(link: file:///b)");
  for (const tool of ["fails", "throws"]) {
    const result = await call(server, tool);
    expect(result).toMatchObject({
      ok: true,
      value: {
        value: { failed: true, text: expect.stringContaining("IGNORE ALL RULES") as string },
        label: { integrity: "untrusted" },
      },
    });
  }
});

test("MCP-1.7 a result that does not fit what its tool declares is EPROTO in our own words", async () => {
  const server = await connected(stdio("plain"));
  expect(await textOf(call(server, "counts", { how: "fits" }))).toBe("counted: fits");
  expect(await call(server, "counts", { how: "fails" })).toMatchObject({ ok: true, value: { value: { failed: true } } });
  for (const how of ["wrong", "without"]) {
    const result = await call(server, "counts", { how });
    expect(result).toMatchObject({ ok: false, error: { errno: "EPROTO", message: expect.stringContaining("counts") as string } });
    expect(JSON.stringify(result)).not.toMatch(/IGNORE|counted/);
  }
});

test("MCP-1.7 a tool whose output cannot be checked is not called", async () => {
  const server = await connected(stdio("plain"));
  expect(await call(server, "unchecked")).toMatchObject({
    ok: false,
    error: { errno: "EPROTO", message: expect.stringContaining("was not called") as string },
  });
});

test("MCP-1.2 a flood is cut off and said to be", async () => {
  const text = await textOf(call(await connected(stdio("plain")), "floods"));
  expect(text).toMatch(/é\n\(cut off: \d+ more bytes\)$/);
  expect(Buffer.byteLength(text)).toBeLessThan(limits.mcpTextBytesMax + 100);
});

test("MCP-1.3 declarations that do not fit are left out with a finding, and hidden words are taken out", async () => {
  const server = await connected(stdio("odd"));
  const names = server.calls.map((entry) => entry.spec.name);
  expect(names.slice(0, 3)).toEqual(["mcp.fixture.twice", "mcp.fixture.whisper", "mcp.fixture.tool_0"]);
  expect(names).toHaveLength(limits.mcpToolsMax);
  const reasons = server.findings.map(({ where, message }) => `${where} ${message}`);
  for (const reason of [
    /hidden .*characters/,
    /twice .*twice/,
    /huge .*bytes/,
    /deep .*deeper/,
    /wide .*output schema/,
    /tool_299 .*more than/,
  ]) {
    expect(reasons.filter((text) => reason.test(text))).toHaveLength(1);
  }
  const whisper = server.calls.find((entry) => entry.spec.name.endsWith("whisper"))?.spec;
  expect(whisper?.summary).toMatch(/^Useful\. \[31m very .*\(a tool of the MCP server "fixture"\)$/s);
  expect(whisper?.summary.length).toBeLessThan(limits.mcpDescriptionCharsMax + 100);
  expect(whisper?.input).toMatchObject({ properties: { q: { description: "ab" } } });
});

test("MCP-1.4 a server that stops is EIO with its name, and starts again with the next call", async () => {
  const server = await connected(stdio("plain"));
  expect(await call(server, "dies")).toMatchObject({
    ok: false,
    error: { errno: "EIO", message: expect.stringContaining(`"fixture"`) as string },
  });
  expect(await textOf(call(server, "echo", { text: "back" }))).toBe("back");
});

test("MCP-1.4 a server that comes back with other tools is refused", async () => {
  const folder = mkdtempSync(join(tmpdir(), "mcp-"));
  const file = join(folder, "swapped");
  const server = await connected(stdio("swap", {}, [file]));
  writeFileSync(file, "");
  await call(server, "dies");
  expect(await call(server, "echo", { text: "x" })).toMatchObject({ ok: false, error: { errno: "ESTALE" } });
  rmSync(folder, { recursive: true });
});

test("MCP-1.4 the digest is over what the server declared", async () => {
  const [first, second, odd] = [await connected(stdio("plain")), await connected(stdio("plain")), await connected(stdio("odd"))];
  expect(first.digest).toBe(second.digest);
  expect(first.digest).not.toBe(odd.digest);
});

test("MCP-1.4 what cannot be started says why, and what the server last wrote", async () => {
  const missing = await connectMcp({
    name: "gone",
    transport: { type: "stdio", command: "no-such-command-here", args: [], env: {}, cwd: tmpdir() },
  });
  expect(missing).toMatchObject({
    ok: false,
    error: { errno: "EIO", message: expect.stringMatching(/"gone" .*not found/) as string },
  });
  const refuses = await connectMcp(stdio("refuses"));
  expect(refuses).toMatchObject({
    ok: false,
    error: { errno: "EIO", cause: expect.stringContaining("fixture started") as string },
  });
  expect(await connectMcp(stdio("plain", { name: "no/such name" }))).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
});

test("MCP-1.5 a server sees what it was given and no other variable", async () => {
  process.env.DAIMON_TEST_API_KEY = "sk-not-for-servers";
  const server = await connected(stdio("plain"));
  delete process.env.DAIMON_TEST_API_KEY;
  const env = JSON.parse(await textOf(call(server, "environment"))) as Record<string, string>;
  expect(env.GIVEN).toBe("yes");
  const usual = ["DAIMON_SERVER", "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "GIVEN"];
  expect(Object.keys(env).filter((name) => !usual.includes(name))).toEqual([]);
});

test("MCP-1.6 a server cannot ask anything of us", async () => {
  const text = await textOf(call(await connected(stdio("plain")), "asks"));
  expect(JSON.parse(text)).toEqual({ capabilities: {}, asked: "refused" });
});

test("MCP-1.2 a call under way is cancelled at once, and the server stays", async () => {
  const server = await connected(stdio("plain"));
  const abort = new AbortController();
  const hanging = call(server, "hangs", {}, abort.signal);
  setImmediate(() => abort.abort());
  expect(await hanging).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
  expect(await textOf(call(server, "echo", { text: "still here" }))).toBe("still here");
});

test("MCP-2.1 closing a server ends all that it started, in its group and out of it", async () => {
  const server = await connected(stdio("plain"));
  const pids = await forked(server);
  expect(pids.map(isAlive)).toEqual([true, true, true]);
  await server.close();
  expect(pids.map(isAlive)).toEqual([false, false, false]);
});

test("MCP-2.1 a server that dies takes what it started with it, and comes back without", async () => {
  const server = await connected(stdio("plain"));
  const pids = await forked(server);
  await call(server, "dies");
  expect(await textOf(call(server, "echo", { text: "back" }))).toBe("back");
  expect(pids.map(isAlive)).toEqual([false, false, false]);
});

test("MCP-2.2 a server that does not end by itself is killed, and what one said last is heard", async () => {
  const stubborn = await connected(stdio("stubborn"));
  const pids = await forked(stubborn);
  await stubborn.close();
  expect(pids.map(isAlive)).toEqual([false, false, false]);
  const brief = await connected(stdio("plain"));
  expect((await textOf(call(brief, "lastWords"))).length).toBe(200_000);
});

test.each(["plain", "stubborn"])("MCP-2.3 a killed kernel leaves nothing of a server that is %s", async (variant) => {
  const source = join(import.meta.dirname, "../../../src/drivers/tool/mcp.ts");
  const script = `
    import { connectMcp } from ${JSON.stringify(source)};
    const server = await connectMcp(${JSON.stringify(stdio(variant))});
    const handler = server.value.calls.find((entry) => entry.spec.name.endsWith(".forks"));
    const told = await handler.perform({}, { pid: 1, id: "1.1.0", signal: new AbortController().signal, now: 0 });
    console.log(told.value.value.text);`;
  const kernel = spawn(process.execPath, ["--input-type=module-typescript", "--no-warnings", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = await new Promise<string>((resolve) => kernel.stdout.once("data", (text: Buffer) => resolve(text.toString())));
  const [child = 0, ...others] = JSON.parse(said) as number[];
  const pids = [parentOf(child), child, ...others];
  expect(pids.map(isAlive)).toEqual([true, true, true, true]);
  kernel.kill("SIGKILL");
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 5));
});

async function forked(server: McpServer): Promise<number[]> {
  return JSON.parse(await textOf(call(server, "forks"))) as number[];
}

/** A process that ended and that nobody has collected yet does nothing any more. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

test("MCP-1.2 the same over HTTP, with the configured headers", async () => {
  const handler = createMcpHandler(() => fixtureServer("plain"));
  const keys: (string | undefined)[] = [];
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      keys.push(request.headers["x-key"]?.toString());
      const headers = Object.entries(request.headers).flatMap(([name, value]) =>
        typeof value === "string" ? [[name, value] as [string, string]] : [],
      );
      const body = Buffer.concat(chunks);
      const init = { method: request.method ?? "GET", headers, ...(body.length === 0 ? {} : { body }) };
      void handler.fetch(new Request(`http://127.0.0.1${request.url}`, init)).then(async (reply) => {
        response.writeHead(reply.status, Object.fromEntries(reply.headers));
        response.end(Buffer.from(await reply.arrayBuffer()));
      });
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`;
  const server = await connected({ name: "fixture", transport: { type: "http", url, headers: { "x-key": "sk-http" } } });
  expect(await textOf(call(server, "echo", { text: "over HTTP" }))).toBe("over HTTP");
  expect(new Set(keys)).toEqual(new Set(["sk-http"]));
  await server.close();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
  expect(await call(server, "echo", { text: "x" })).toMatchObject({ ok: false, error: { errno: "EIO" } });
});
