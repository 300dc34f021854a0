/**
 * Client: a program that runs outside every sandbox and finds the model and the tool door on loopback. It is one process of the kernel: what it asks of
 * models and calls is decided on, paid for and journaled; what it does itself is its own.
 *   BOO-50.1  It is a process durably before it is told of. The doors answer on loopback alone, and to its credential alone; both end with it.
 *   BOO-50.2  What it has to know is in a file that only the user can read, in a form that a shell reads, and gone with it; one that a killed kernel left
 *             goes with the next.
 */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import * as path from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import type { Pid } from "../abi/process.ts";
import { toolDoor } from "../doors/tool/door.ts";
import { serveHttp } from "../doors/tool/http.ts";
import { standsFor } from "../guests/guest.ts";
import { program } from "../guests/program.ts";
import { ok, type Err, type Result } from "../lib/result.ts";
import type { Machine } from "./boot.ts";
import { gateOf } from "./gate.ts";
import { guestManifest } from "./guests.ts";
import { version } from "./version.ts";

export interface ClientOptions {
  readonly name: string;
  /** Of the model door; 0: one that is free. */
  readonly port: number;
}

export interface Client {
  readonly pid: Pid;
  /** `http://127.0.0.1:PORT`. */
  readonly models: string;
  readonly tools: string;
  /** `set -a; . FILE` makes a shell's programs its clients. */
  readonly file: string;
  close(): Promise<void>;
}

type Parts = Pick<Machine, "kernel" | "config" | "servers" | "layout" | "modelDoor">;

export async function openClient(machine: Parts, { name, port }: ClientOptions): Promise<Result<Client, SysError>> {
  const { kernel, config, servers, layout } = machine;
  const door = await machine.modelDoor();
  if (!door.ok) return door;
  const models = await forward(port, (socket) => door.value.gateway.server.emit("connection", socket));
  if (!models.ok) return models;
  const manifest = guestManifest(name, config.limits);
  const pid = kernel.spawn({ manifest, goal: null, parent: 0, call: null });
  const place = { home: "", workspace: layout.root, cwd: layout.root };
  const guest = pid.ok ? kernel.guest(pid.value, (tool, args) => standsFor(program, place, tool, args)) : pid;
  const durable = await kernel.recorder.barrier(false);
  if (!pid.ok || !guest.ok || !durable.ok) {
    await models.value.close();
    return !pid.ok ? pid : !guest.ok ? guest : (durable as Err<SysError>);
  }
  const seat = door.value.seat(guest.value);
  const gate = gateOf(kernel, guest.value, manifest.calls, servers);
  const tools = await serveHttp(toolDoor({ gate, mode: { type: "namespaced" }, version }), {
    listen: { port: 0 },
    credential: seat.credential,
  });
  const end = async (): Promise<void> => {
    seat.leave();
    if (tools.ok) await tools.value.close();
    await models.value.close();
  };
  if (!tools.ok) {
    guest.value.ended(tools);
    await end();
    return tools;
  }
  const at = { models: `http://127.0.0.1:${models.value.port}`, tools: tools.value.url ?? "" };
  const file = path.join(layout.run, `client-${pid.value}.env`);
  for (const left of readdirSync(layout.run)) if (/^client-\d+\.env$/.test(left)) rmSync(path.join(layout.run, left));
  const { env } = program.launch({ model: at.models, credential: seat.credential }, place);
  writeFileSync(file, lines({ ...env, DAIMON_MCP_URL: at.tools, DAIMON_MCP_TOKEN: seat.credential }), { mode: 0o600 });
  return ok({
    pid: pid.value,
    ...at,
    file,
    close: async () => {
      rmSync(file, { force: true });
      await end();
      if (kernel.recorder.failure === null) guest.value.ended({ ok: true, value: null });
    },
  });
}

function lines(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join("");
}

interface Forwarding {
  readonly port: number;
  close(): Promise<void>;
}

/** A second place at which a server answers, which listens somewhere already. */
function forward(port: number, take: (socket: Socket) => void): Promise<Result<Forwarding, SysError>> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    take(socket);
  });
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "something listens there already" : error.message;
      resolve(fail("EBUSY", `the model door cannot be opened on port ${port}: ${why}; choose another with --port`));
    });
    server.listen(port, "127.0.0.1", () => {
      const close = (): Promise<void> =>
        new Promise((closed) => {
          server.close(() => closed());
          for (const socket of open) socket.destroy();
        });
      resolve(ok({ port: (server.address() as AddressInfo).port, close }));
    });
  });
}
