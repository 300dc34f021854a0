/**
 * Tool door, composed: one guest's calls and the servers of the configuration, on a Unix socket that is shown to that guest in its sandbox.
 *   BOO-32.1  Each guest has a socket of its own, where its credential alone opens; it ends with the guest, and what is left of a socket of that name
 *             before is removed.
 */
import { rmSync } from "node:fs";
import type { CallSpec } from "../abi/call.ts";
import type { Clock } from "../abi/clock.ts";
import type { SysError } from "../abi/errno.ts";
import type { GuestProcess } from "../kernel/guest.ts";
import { listenHttp } from "../doors/tool/listener.ts";
import { ok, type Result } from "../lib/result.ts";
import { gateOf } from "./gate.ts";
import type { Servers } from "./servers.ts";
import { version } from "./version.ts";

export interface ToolDoorOptions {
  readonly guest: Pick<GuestProcess, "call">;
  /** What it is shown. */
  readonly specs: readonly CallSpec[];
  readonly servers: Pick<Servers, "watch">;
  /** Where the socket is to be, in a folder that only the user can enter. */
  readonly socket: string;
  /** What the guest's client sends: `Authorization: Bearer CREDENTIAL`, to `/mcp`. */
  readonly credential: string;
  readonly clock: Clock;
}

export interface OpenToolDoor {
  readonly socket: string;
  close(): Promise<void>;
}

export async function openToolDoor(options: ToolDoorOptions): Promise<Result<OpenToolDoor, SysError>> {
  const { guest, specs, servers, socket, credential, clock } = options;
  rmSync(socket, { force: true });
  const served = await listenHttp({ listen: { socket }, credential, clock }, async () => {
    const [{ toolDoor }, { Counter }] = await Promise.all([import("../doors/tool/door.ts"), import("../doors/tool/http.ts")]);
    return new Counter(toolDoor({ gate: gateOf(specs, guest, servers), mode: { type: "namespaced" }, version }));
  });
  if (!served.ok) return served;
  served.value.unref();
  return ok({
    socket,
    close: async () => {
      await served.value.close();
      rmSync(socket, { force: true });
    },
  });
}
