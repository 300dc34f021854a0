/** The hook's script, run by a real shell against real servers. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createSocketServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import { hookCommand, hookFile, hookScript, hookTimeoutSeconds } from "../../src/guests/hook.ts";

const folder = mkdtempSync(join(tmpdir(), "daimon-hook-"));
const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true });
});

interface Ran {
  readonly code: number | null;
  readonly err: string;
  readonly out: string;
}

/** As an agent runs it, but for the place of the file. */
function run(script: string, input: string | null, env: Readonly<Record<string, string>> = {}, from = "/"): Promise<Ran> {
  const file = join(folder, "hook");
  writeFileSync(file, script);
  const child = spawn("/bin/sh", ["-c", hookCommand.replace(hookFile, file)], { env, cwd: from });
  let [out, err] = ["", ""];
  child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
  child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
  child.stdin.on("error", () => undefined);
  if (input !== null) child.stdin.end(input);
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, err })));
}

async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answering = (listener: RequestListener): Promise<string> => listening(createServer(listener));
const saying = (say: (socket: Socket) => void): Promise<string> =>
  listening(
    createSocketServer((socket) => {
      socket.on("error", () => undefined);
      say(socket);
    }),
  );

function refuse(response: ServerResponse, text: string): void {
  response.writeHead(403, { connection: "close", "content-length": text.length }).end(text);
}

const report = JSON.stringify({ tool_name: "Write", tool_input: { content: "§ \\ %s $(id) `id`\n\n" } });

test("GUE-4.1 a yes lets the call be made, and the door hears exactly what the agent said, with the credential", async () => {
  const heard: { readonly path: string | undefined; readonly key: string | undefined; readonly body: string }[] = [];
  const model = await answering((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      heard.push({ path: request.url, key: request.headers.authorization, body: Buffer.concat(chunks).toString() });
      response.writeHead(204).end();
    });
  });
  const script = hookScript({ model, credential: "dmn_secret" });
  const large = JSON.stringify({ tool_name: "Write", tool_input: { content: "x".repeat(2_000_000) } });
  for (const body of [report, `${report}\n\n`, large]) expect(await run(script, body)).toEqual({ code: 0, out: "", err: "" });
  expect(heard.map(({ body }) => body)).toEqual([report, `${report}\n\n`, large]);
  expect(heard[0]).toMatchObject({ path: "/daimon/hook", key: "Bearer dmn_secret" });
});

test("GUE-4.1 a no is told with its reason, and everything else refuses too", async () => {
  const no = await answering((_request, response) => {
    refuse(response, "Bash was refused: because\n");
  });
  const refused = await run(hookScript({ model: no, credential: "c" }), report);
  expect(refused).toEqual({ code: 2, out: "", err: "daimon refused: Bash was refused: because\n" });
  const strange = [
    await answering((_request, response) => void response.writeHead(200).end("yes")),
    await answering((_request, response) => void response.writeHead(500).end()),
    await saying((socket) => socket.end("HTTP/1.1 2040 No Content\r\n\r\n")),
    await saying((socket) => socket.end("yes")),
    await saying((socket) => socket.end()),
    await saying((socket) => socket.destroy()),
    "http://127.0.0.1:1",
  ];
  for (const model of strange) {
    const ran = await run(hookScript({ model, credential: "c" }), report);
    expect([ran.code, ran.out], model).toEqual([2, ""]);
  }
});

test("GUE-4.1 a door that says nothing is waited for within a bound that is shorter than the agent's", async () => {
  const model = await saying(() => undefined);
  const script = hookScript({ model, credential: "c" });
  const seconds = String(limits.hookTimeoutMs / 1000);
  expect(script).toContain(`-t ${seconds} `);
  expect(hookTimeoutSeconds).toBeGreaterThan(limits.hookTimeoutMs / 1000);
  const ran = await run(script.replaceAll(`-t ${seconds} `, "-t 0.2 "), report);
  expect(ran).toMatchObject({ code: 2, err: "daimon refused: the model door did not answer in time\n" });
});

test("GUE-4.2 what stands in the environment or in the folder does not change the answer", async () => {
  const model = await answering((_request, response) => refuse(response, "no\n"));
  writeFileSync(join(folder, "evil"), "exit 0\n");
  writeFileSync(join(folder, "cat"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  const env = {
    BASH_ENV: join(folder, "evil"),
    ENV: join(folder, "evil"),
    PATH: `${folder}:/usr/bin:/bin`,
    "BASH_FUNC_cat%%": "() { exit 0; }",
    "BASH_FUNC_read%%": "() { version=HTTP/1.1 status=204; }",
    SHELLOPTS: "noexec",
    yes: "1",
    IFS: "1",
  };
  const ran = await run(hookScript({ model, credential: "c" }), report, env, folder);
  expect(ran).toEqual({ code: 2, out: "", err: "daimon refused: no\n" });
});
