/**
 * Client: a program that runs outside every sandbox and finds the model and the tool door on loopback. It is one process of the kernel: what it asks of
 * models and calls is decided on, paid for and journaled; what it does itself is its own.
 *   BOO-50.1  It is a process durably before it is told of. The doors answer on loopback alone, and to its credential alone; both end with it.
 *   BOO-50.2  What it has to know is in a file that only the user can read, in a form that a shell reads, and gone with it; one that a killed kernel left
 *             goes with the next.
 */
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import * as path from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import type { Manifest, Pid } from "../abi/process.ts";
import { toolDoor } from "../doors/tool/door.ts";
import { namesOf } from "../doors/tool/names.ts";
import { serveHttp } from "../doors/tool/http.ts";
import { standsFor } from "../guests/guest.ts";
import { program } from "../guests/program.ts";
import type { GuestProcess, Mapping } from "../kernel/guest.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Machine } from "./boot.ts";
import { callAtDoor, gateOf, shownToClient } from "./gate.ts";
import { guestCalls, guestManifest } from "./guests.ts";
import { removeLeft } from "./left.ts";
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
  const place = { home: "", workspace: layout.root, cwd: layout.root };
  const specs = shownToClient(kernel, guestCalls);
  const { tools: named } = namesOf(specs, { type: "namespaced" });
  const guest = await entered(kernel, guestManifest(name, config.limits), (tool, args) =>
    standsFor(program, place, (at) => callAtDoor(named, at), tool, args),
  );
  if (!guest.ok) {
    await models.value.close();
    return guest;
  }
  const { pid } = guest.value;
  const seat = door.value.seat(guest.value);
  const gate = gateOf(specs, guest.value, servers);
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
  const file = path.join(layout.run, `client-${pid}.env`);
  removeLeft(layout.run, /^client-\d+\.env$/);
  const { env } = program.launch({ model: at.models, tools: at.tools, credential: seat.credential }, place);
  writeFileSync(file, lines(env), { mode: 0o600 });
  return ok({
    pid,
    ...at,
    file,
    close: async () => {
      rmSync(file, { force: true });
      await end();
      if (kernel.recorder.failure === null) guest.value.ended({ ok: true, value: null });
    },
  });
}

/** Durably, before anybody is told of it. */
async function entered(kernel: Kernel, manifest: Manifest, map: Mapping): Promise<Result<GuestProcess, SysError>> {
  const pid = kernel.spawn({ manifest, goal: null, parent: 0, call: null });
  if (!pid.ok) return pid;
  const durable = await kernel.recorder.barrier(false);
  return durable.ok ? kernel.guest(pid.value, map) : durable;
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
