/**
 * Model door, composed: the gateway with this machine's providers, on a Unix socket that is shown to guests in their sandboxes. Opened when the first
 * guest needs it.
 *   BOO-31.1  The socket is made in a folder that only the user can enter, and is gone when the kernel is.
 *   BOO-31.2  Each guest gets a credential of its own, which nothing but its own memory and environment holds, and which ends with it.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { ok, type Result } from "../lib/result.ts";
import type { GuestProcess } from "../kernel/guest.ts";
import { decoderFor } from "../drivers/net/decoder.ts";
import { modelGateway, type ModelGateway } from "../doors/model/gateway.ts";
import { listenPrivately } from "../doors/private-socket.ts";
import { guestFormats } from "../wire/guest-formats.ts";
import { openUpstreams, type UpstreamOptions } from "./upstreams.ts";

export interface ModelDoorOptions extends UpstreamOptions {
  readonly clock: Clock;
  /** Only the user can enter it; large requests lie there while they are sent. */
  readonly folder: string;
  /** Where the socket is to be. */
  readonly socket: string;
  /** A fault of our own. */
  broke(error: unknown): void;
}

/** What a guest shows at the door, until it leaves. */
export interface Seat {
  readonly credential: string;
  leave(): void;
}

export interface OpenModelDoor {
  readonly socket: string;
  readonly gateway: ModelGateway;
  seat(guest: GuestProcess): Seat;
  close(): Promise<void>;
}

export async function openModelDoor(options: ModelDoorOptions): Promise<Result<OpenModelDoor, SysError>> {
  const upstreams = openUpstreams(options);
  if (!upstreams.ok) return upstreams;
  const gateway = modelGateway({
    clock: options.clock,
    place: { folder: options.folder, name: () => `request-${randomBytes(8).toString("hex")}`, decoder: decoderFor },
    formats: guestFormats,
    destination: (format, model) => upstreams.value.destination(format, model),
    upstream: (format) => upstreams.value.of(format),
    broke: (error) => options.broke(error),
  });
  rmSync(options.socket, { force: true });
  const failed = await listenPrivately(gateway.server, options.socket);
  if (failed !== null)
    return fail("EIO", "the model door cannot be opened, so no guest can reach a model; look at .daimon/run", failed.message);
  gateway.server.unref();
  return ok({
    socket: options.socket,
    gateway,
    seat: (guest) => {
      const credential = `dmn_${randomBytes(32).toString("base64url")}`;
      return { credential, leave: gateway.admit(credential, guest) };
    },
    close: async () => {
      await gateway.close();
      rmSync(options.socket, { force: true });
      await upstreams.value.close();
    },
  });
}
