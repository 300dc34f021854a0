/**
 * Tool door, composed: one guest's calls and the servers of the configuration, on a Unix socket that is shown to that guest in its sandbox.
 *   BOO-32.1  Each guest has a socket and a credential of its own; both end with it, and what is left of a socket of that name before is removed.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { SysError } from "../abi/errno.ts";
import type { GuestProcess } from "../kernel/guest.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { ok, type Result } from "../lib/result.ts";
import { gateOf } from "./gate.ts";
import type { Servers } from "./servers.ts";
import { version } from "./version.ts";

export interface ToolDoorOptions {
  readonly kernel: Pick<Kernel, "calls">;
  readonly guest: Pick<GuestProcess, "call">;
  /** The capabilities of the guest's manifest. */
  readonly held: readonly string[];
  readonly servers: Pick<Servers, "watch">;
  /** Where the socket is to be, in a folder that only the user can enter. */
  readonly socket: string;
}

export interface OpenToolDoor {
  readonly socket: string;
  /** What the guest's client sends: `Authorization: Bearer CREDENTIAL`, to `/mcp`. */
  readonly credential: string;
  close(): Promise<void>;
}

export async function openToolDoor(options: ToolDoorOptions): Promise<Result<OpenToolDoor, SysError>> {
  const { kernel, guest, held, servers, socket } = options;
  const { toolDoor } = await import("../doors/tool/door.ts");
  const { serveHttp } = await import("../doors/tool/http.ts");
  const credential = `dmn_${randomBytes(32).toString("base64url")}`;
  const door = toolDoor({ gate: gateOf(kernel, guest, held, servers), mode: { type: "namespaced" }, version });
  rmSync(socket, { force: true });
  const served = await serveHttp(door, { listen: { socket }, credential });
  if (!served.ok) return served;
  return ok({
    socket,
    credential,
    close: async () => {
      await served.value.close();
      rmSync(socket, { force: true });
    },
  });
}
