/**
 * A net door with a real guest of a real kernel behind it and real servers on the loopback device in front of it. The names of hosts are the test's: each
 * stands for addresses that the test gives, and 127.0.0.1 plays a public host, as the door's own options allow.
 */
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { Entry, OutcomeEntry } from "../../../src/abi/entry.ts";
import type { Decision, PolicyRequest } from "../../../src/abi/policy.ts";
import { noLimits } from "../../../src/abi/budget.ts";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { openOutside } from "../../../src/drivers/net/outside.ts";
import { connectCalls } from "../../../src/drivers/tool/net-connect.ts";
import type { Bounds } from "../../../src/doors/net/bounds.ts";
import { netDoor, type NetDoor, type NetDoorOptions } from "../../../src/doors/net/door.ts";
import { ok } from "../../../src/lib/result.ts";
import type { GuestProcess } from "../../../src/kernel/guest.ts";
import { rig, type Rig } from "../../kernel/rig.ts";
import { certificateFor } from "./certificate.ts";

export const credential = "dmn_test";
export const mine = `Proxy-Authorization: Basic ${Buffer.from(`daimon:${credential}`).toString("base64")}\r\n`;
export const certificate = certificateFor(["a.test", "b.test"]);

export interface OpenOptions {
  readonly decide?: (request: PolicyRequest) => Decision;
  /** What each name stands for, looked up anew each time; 127.0.0.1 when absent. */
  readonly resolve?: (host: string) => readonly string[] | Promise<readonly string[]>;
  readonly bounds?: Partial<Bounds>;
  readonly credentialFor?: NetDoorOptions["credentialFor"];
}

export interface Opened {
  readonly machine: Rig;
  readonly guest: GuestProcess;
  readonly door: NetDoor;
  readonly clock: FakeClock;
  readonly path: string;
  /** Every name that was looked up. */
  readonly looked: string[];
  /** What the journal has of net.connect: `METHOD ORIGIN verb`, then `ok`, the errno, or nothing where it did not end. */
  journal(): readonly string[];
  /** The whole answer to these bytes, up to the end of the connection. */
  say(text: string | Buffer): Promise<string>;
  /** A connection of the guest's. */
  dial(): Promise<Line>;
}

/** One end of a connection, with what came over it so far. */
export interface Line {
  readonly socket: Socket;
  readonly heard: () => Buffer;
  /** When this was heard. */
  until(text: string): Promise<void>;
  readonly closed: Promise<void>;
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

export async function opened(options: OpenOptions = {}): Promise<Opened> {
  const clock = new FakeClock(1_000_000);
  const looked: string[] = [];
  const resolve = async (host: string): Promise<readonly string[]> => {
    looked.push(host);
    return (await options.resolve?.(host)) ?? ["127.0.0.1"];
  };
  const outside = openOutside({ clock, resolve, allowLoopback: true, ca: certificate.cert });
  const machine = rig({
    clock,
    handlers: connectCalls(outside),
    decide: options.decide ?? (() => ({ verb: "allow", rules: ["test#1"] })),
  });
  const entries: Entry[] = [];
  machine.kernel.on((entry) => entries.push(entry));
  const pid = machine.spawn({ kind: "guest", name: "curl", instructions: "{}", calls: ["*"], limits: noLimits });
  const guest = machine.kernel.guest(pid, () => []);
  if (!guest.ok) throw new Error("no guest");
  const door = netDoor({
    guest: guest.value,
    credential,
    clock,
    outside,
    bounds: options.bounds ?? {},
    credentialFor: options.credentialFor ?? (() => ok(null)),
    broke: (error) => {
      throw error;
    },
  });
  const folder = mkdtempSync(join(tmpdir(), "daimon-net-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "net.sock");
  await new Promise<void>((listening) => door.server.listen(path, listening));
  closing.push(() => door.close());
  const dial = async (): Promise<Line> => line(connect(path));
  return {
    machine,
    guest: guest.value,
    door,
    clock,
    path,
    looked,
    journal: () => journalOf(entries),
    dial,
    say: async (text) => {
      const { socket, closed, heard } = await dial();
      socket.write(text);
      await closed;
      return heard().toString("latin1");
    },
  };
}

export async function line(socket: Socket): Promise<Line> {
  let heard = Buffer.alloc(0);
  const waiting = new Set<() => void>();
  socket.on("data", (piece: Buffer) => {
    heard = Buffer.concat([heard, piece]);
    for (const look of waiting) look();
  });
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  closing.push(() => socket.destroy());
  return {
    socket,
    heard: () => heard,
    closed,
    until: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (heard.includes(text)) resolve();
        };
        waiting.add(look);
        look();
        void closed.then(() => reject(new Error(`closed before ${JSON.stringify(text)}: ${heard.toString("latin1")}`)));
      }),
  };
}

function journalOf(entries: readonly Entry[]): readonly string[] {
  const outcomes = new Map(
    entries.flatMap((entry): [string, OutcomeEntry][] => (entry.kind === "outcome" ? [[entry.id, entry]] : [])),
  );
  return entries.flatMap((entry) => {
    if (entry.kind !== "call") return [];
    const { url, method } = entry.args as { readonly url: string; readonly method: string };
    const outcome = outcomes.get(entry.id);
    const end = entry.intent.error?.errno ?? (outcome === undefined ? "" : (outcome.error?.errno ?? "ok"));
    return [`${method} ${url} ${entry.intent.verb} ${end}`.trim()];
  });
}

/** A plain server; gives its port. */
export async function served(listener: RequestListener): Promise<number> {
  return await listening(createServer(listener));
}

export async function servedOverTls(listener: RequestListener): Promise<number> {
  return await listening(createTlsServer(certificate, listener));
}

/** Bytes as they come. */
export async function tcp(listener: (socket: Socket) => void): Promise<number> {
  return await listening(
    createTcpServer((socket) => {
      socket.on("error", () => undefined);
      closing.push(() => socket.destroy());
      listener(socket);
    }),
  );
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(async () => {
    if ("closeAllConnections" in server) (server as unknown as { closeAllConnections(): void }).closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}
