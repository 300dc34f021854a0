/**
 * Net door, composed: one guest's way to the network, on a Unix socket that is shown to that guest alone in its sandbox.
 *   BOO-33.1  Each guest has a socket of its own, good with its own credential alone; it is gone with the guest, with the kernel, and after a kernel that
 *             was killed when the next one has its first guest. Its name is no longer than that of the control socket, whose path fits.
 *   BOO-33.2  A credential for a host is read from the kernel's own environment for each request. One that is not set refuses the request, by the name of
 *             its variable.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Outside } from "../abi/outside.ts";
import type { Pid } from "../abi/process.ts";
import { netDoor } from "../doors/net/door.ts";
import type { Guest } from "../doors/net/destinations.ts";
import type { Credential } from "../doors/net/plain.ts";
import { listenPrivately } from "../doors/private-socket.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Config } from "./config.ts";

export interface NetDoorOptions {
  readonly guest: Guest & { readonly pid: Pid };
  readonly credential: string;
  readonly egress: Config["egress"];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly outside: Outside;
  /** Where the socket is to be; only the user can enter it. */
  readonly folder: string;
  broke(error: unknown): void;
}

export interface OpenNetDoor {
  readonly socket: string;
  close(): Promise<void>;
}

export async function openNetDoor(options: NetDoorOptions): Promise<Result<OpenNetDoor, SysError>> {
  const { guest, credential, clock, outside, folder } = options;
  const socket = join(folder, `net${guest.pid.toString(36)}.sock`);
  const credentialFor = (host: string): Result<Credential | null, SysError> => credentialOf(options, host);
  const broke = (error: unknown): void => options.broke(error);
  const door = netDoor({ guest, credential, clock, outside, credentialFor, broke });
  rmSync(socket, { force: true });
  const failed = await listenPrivately(door.server, socket);
  if (failed !== null)
    return fail("EIO", "the net door cannot be opened, so the guest was not started; look at .daimon/run", failed.message);
  door.server.unref();
  return ok({
    socket,
    close: async () => {
      await door.close();
      rmSync(socket, { force: true });
    },
  });
}

export const netSockets = /^net[0-9a-z]+\.sock$/;

function credentialOf({ egress, env }: NetDoorOptions, host: string): Result<Credential | null, SysError> {
  const entry = Object.hasOwn(egress, host) ? egress[host] : undefined;
  if (entry === undefined) return ok(null);
  const { header, keyEnv } = entry;
  const key = env[keyEnv]?.trim() ?? "";
  if (!/^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(key))
    return fail(
      "ENOENT",
      `${host} is asked with what ${keyEnv} holds, and that is not set, or is no key; set it where daimon is started`,
    );
  return ok({ header, value: /^authorization$/i.test(header) && !key.includes(" ") ? `Bearer ${key}` : key });
}
