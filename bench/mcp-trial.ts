/**
 * The conformance trial: `npm run trial:mcp [-- --fixture FILE]`. The protocol's own suite, its server mode through the tool door with the SDK's fixture server
 * behind it, and its client mode against our client. What it needs is installed into `.cache/mcp`; without a network it says so and ends well.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSocketServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { toolDoor } from "../src/doors/tool/door.ts";
import { serveHttp } from "../src/doors/tool/http.ts";
import { connectMcp } from "../src/drivers/tool/mcp.ts";
import { sha256 } from "../src/lib/hash.ts";
import { guestGate } from "../test/doors/tool/guest-gate.ts";

const cache = join(import.meta.dirname, "../.cache/mcp");
const packages = [
  "@modelcontextprotocol/conformance@0.2.0-alpha.12",
  "@modelcontextprotocol/server@2.4.0",
  "@modelcontextprotocol/node@2.1.2",
  "@modelcontextprotocol/express@2.0.2",
  "express@5",
  "cors@2",
  "zod@4",
];
/** The SDK's own fixture, which is in no package. */
const fixture = {
  url: "https://raw.githubusercontent.com/modelcontextprotocol/typescript-sdk/3924de99df834302d89f5997a1b64ca268282284/test/conformance/src/everythingServer.ts",
  digest: "3a94417774fa20b17971e8162f9865b1cefd2650c7d88fdcd17f971d91213852",
};
const sets = ["2025-11-25", "2026-07-28"] as const;
const credential = "conformance";

const { values } = parseArgs({ options: { fixture: { type: "string" } } });
const missing = await prepare(values.fixture ?? null);
if (missing !== null) process.stdout.write(`trial:mcp skipped: ${missing}\n`);
else process.exitCode = await trial();

/** null when everything is there; otherwise what is not. */
async function prepare(given: string | null): Promise<string | null> {
  mkdirSync(cache, { recursive: true });
  const file = join(cache, "everythingServer.ts");
  if (given !== null) copyFileSync(given, file);
  if (!existsSync(file)) {
    const text = await fetch(fixture.url).then(
      (reply) => (reply.ok ? reply.text() : null),
      () => null,
    );
    if (text === null) return "the fixture server cannot be fetched; give its file with --fixture";
    writeFileSync(file, text);
  }
  if (sha256(readFileSync(file)) !== fixture.digest) return "the fixture server is not the one that is meant; remove .cache/mcp";
  if (!existsSync(join(cache, "package.json"))) writeFileSync(join(cache, "package.json"), '{"private":true,"type":"module"}\n');
  if (existsSync(suite())) return null;
  const installed = spawnSync("npm", ["install", "--ignore-scripts", ...packages], { cwd: cache, encoding: "utf8" });
  return installed.status === 0 ? null : "the conformance suite cannot be installed";
}

function suite(): string {
  return join(cache, "node_modules/@modelcontextprotocol/conformance/dist/index.js");
}

async function trial(): Promise<number> {
  const port = await freePort();
  const server = spawn(process.execPath, ["--no-warnings", "everythingServer.ts"], {
    cwd: cache,
    env: { ...process.env, PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stops: (() => unknown)[] = [() => void server.kill()];
  try {
    await said(server, "running");
    const behind = await connectMcp({
      name: "fixture",
      transport: { type: "http", url: `http://localhost:${port}/mcp`, headers: {} },
    });
    if (!behind.ok) throw new Error(behind.error.message);
    stops.push(() => behind.value.close());
    const { gate } = guestGate([behind.value]);
    const door = toolDoor({ gate, mode: { type: "identity", server: "fixture" }, version: "0" });
    const http = await serveHttp(door, { listen: { port: 0 }, credential });
    if (!http.ok) throw new Error(http.error.message);
    stops.push(() => http.value.close());
    const front = await withCredential(new URL(http.value.url ?? ""));
    stops.push(() => front.close());
    const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}/mcp`;
    const ours = `${process.execPath} --no-warnings ${join(import.meta.dirname, "mcp-client.ts")}`;
    let failed = 0;
    for (const set of sets) failed += await score(`server ${set}`, ["server", "--url", url, "--requirements", set]);
    for (const set of sets)
      await score(`client ${set}`, ["client", "--command", ours, "--requirements", set, "--timeout", "60000"]);
    return failed === 0 ? 0 : 1;
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

/** The requirements that are met, of those that the set names; returns how many are not. */
async function score(name: string, args: readonly string[]): Promise<number> {
  const ran = spawn(process.execPath, [suite(), ...args], { cwd: cache, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [ran.stdout, ran.stderr]) stream.on("data", (piece: Buffer) => (text += piece.toString()));
  await new Promise((resolve) => ran.once("close", resolve));
  writeFileSync(join(cache, `${name.replace(" ", "-")}.log`), text);
  const summary = text.slice(text.lastIndexOf("SUMMARY ==="));
  const unscored = new Set([...summary.matchAll(/^ {2}[✓✗] (\S+) \(/gm)].map(([, scenario]) => scenario));
  const rows = [...summary.matchAll(/^([✓✗]) (\S+): /gm)].filter(([, , scenario]) => !unscored.has(scenario));
  const lost = rows.filter(([, mark]) => mark === "✗").map(([, , scenario]) => scenario);
  process.stdout.write(
    `${name}: ${rows.length - lost.length}/${rows.length}${lost.length === 0 ? "" : `; not met: ${lost.join(", ")}`}\n`,
  );
  return rows.length === 0 ? 1 : lost.length;
}

/** The suite sends no credential, and there is no door without one: this puts it on, and leaves Host and Origin as they were but for the port. */
function withCredential(door: URL): Promise<Server> {
  const front = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { port } = front.address() as AddressInfo;
    const renamed = (value: string | undefined): string | undefined => value?.replace(`:${port}`, `:${door.port}`);
    const { host, origin, ...others } = request.headers;
    const headers = {
      ...others,
      ...(host !== undefined && { host: renamed(host) }),
      ...(origin !== undefined && { origin: renamed(origin) }),
      authorization: `Bearer ${credential}`,
    };
    const { url: path, method } = request;
    const on = httpRequest({ host: door.hostname, port: door.port, path, method, headers }, (reply) => {
      response.writeHead(reply.statusCode ?? 500, reply.headers);
      reply.pipe(response);
    });
    on.on("error", () => response.destroy());
    response.on("close", () => on.destroy());
    request.pipe(on);
  });
  return new Promise((resolve) => front.listen(0, "127.0.0.1", () => resolve(front)));
}

async function freePort(): Promise<number> {
  const server = createSocketServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function said(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", (piece: Buffer) => {
      if (piece.toString().includes(word)) resolve();
    });
    child.once("exit", () => reject(new Error("the fixture server ended")));
  });
}
