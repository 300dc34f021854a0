/**
 * A model door to be tried: a kernel on real stores, the door as a machine opens it, and a loopback port in front of its socket, as a guest's sandbox has one.
 * The upstream behind it speaks the formats that `speaks` names; what a client asks in another is translated.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../src/boot/config.ts";
import { openCpus } from "../src/boot/cpus.ts";
import { openModelDoor } from "../src/boot/model-door.ts";
import { systemClock } from "../src/drivers/clock/system.ts";
import type { Result } from "../src/lib/result.ts";
import { inProcess, manifest, openMachine, storeCall } from "./machine.ts";

/** `all`: bytes pass. One format: the others are translated to it. */
export type Speaks = "all" | "messages" | "responses" | "chat";

export interface Stand {
  readonly url: string;
  readonly credential: string;
  close(): Promise<void>;
}

export async function openStand(upstream: string, speaks: Speaks): Promise<Stand> {
  const folder = mkdtempSync(join(tmpdir(), "daimon-stand-"));
  const clock = systemClock();
  const text = settings[speaks](upstream);
  const source = {
    scope: "user",
    format: "yaml",
    name: "trial",
    folder,
    text,
    trusted: true,
    accepted: null,
    widened: [],
  } as const;
  const config = must(await loadConfig([source]));
  const chosen = speaks === "all" ? null : `${providers[speaks]}/${upstreamModel}`;
  const env = { ANTHROPIC_API_KEY: upstreamKey, OPENAI_API_KEY: upstreamKey, GEMINI_API_KEY: upstreamKey };
  const own = speaks === "all" ? env : { [`${providers[speaks].toUpperCase()}_API_KEY`]: upstreamKey };
  const cpus = await openCpus({ config, env: own, clock, random: Math.random, instance: "trial", chosen });
  const machine = openMachine(folder, inProcess(1), [storeCall()]);
  const pid = must(
    machine.kernel.spawn({ manifest: { ...manifest, kind: "guest", instructions: "{}" }, goal: "", parent: 0, call: null }),
  );
  const broke = (error: unknown): void => void process.stderr.write(`the door broke: ${String(error)}\n`);
  const socket = join(folder, "model.sock");
  const door = must(await openModelDoor({ config, env: own, clock, chosen, cpus, folder, socket, broke }));
  const seat = door.seat(must(machine.kernel.guest(pid, () => [])));
  const port = await listening(socket);
  return {
    url: `http://127.0.0.1:${port.number}`,
    credential: seat.credential,
    close: async () => {
      await port.close();
      seat.leave();
      await door.close();
      await machine.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const upstreamModel = "oracle-1";
export const upstreamKey = "sk-trial-upstream";

const providers = { messages: "anthropic", responses: "openai", chat: "local" } as const;

const settings: Readonly<Record<Speaks, (upstream: string) => string>> = {
  all: (url) => `models:\n  anthropic:\n    baseUrl: ${url}\n  openai:\n    baseUrl: ${url}/v1\n  gemini:\n    baseUrl: ${url}\n`,
  messages: (url) => `models:\n  anthropic:\n    baseUrl: ${url}\n`,
  responses: (url) => `models:\n  openai:\n    baseUrl: ${url}/v1\n`,
  chat: (url) => `models:\n  local:\n    baseUrl: ${url}/v1\n`,
};

interface Port {
  readonly number: number;
  close(): Promise<void>;
}

/** Bytes, both ways, as a sandbox's bridge passes them. */
async function listening(socket: string): Promise<Port> {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ path: socket, allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.once("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.on("error", () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    number: (server.address() as AddressInfo).port,
    close: () => {
      for (const one of open) one.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function must<T>(result: Result<T, { readonly message: string }>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}
