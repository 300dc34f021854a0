/** Doors: loaded and opened when the first guest needs them, so that a machine without guests pays nothing for them. */
import * as path from "node:path";
import type { Clock } from "../abi/clock.ts";
import type { SysError } from "../abi/errno.ts";
import type { Outside } from "../abi/outside.ts";
import type { GuestProcess } from "../kernel/guest.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Result } from "../lib/result.ts";
import type { Config } from "./config.ts";
import type { Cpus } from "./cpus.ts";
import type { Layout } from "./layout.ts";
import { removeLeft } from "./left.ts";
import type { OpenModelDoor } from "./model-door.ts";
import type { OpenNetDoor } from "./net-door.ts";

interface DoorOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly layout: Layout;
  /** null while it is not up. */
  readonly kernel: () => Kernel | null;
}

interface ModelDoorOptions extends DoorOptions {
  readonly cpus: Cpus;
  /** Instead of what the configuration says. */
  readonly chosen: string | null;
  /** Called with how to close it. */
  undo(step: () => Promise<void>): void;
}

/** One for all guests. */
export function modelDoorOpener(options: ModelDoorOptions): () => Promise<Result<OpenModelDoor, SysError>> {
  const { config, env, clock, layout, kernel, cpus, chosen } = options;
  let opened: Promise<Result<OpenModelDoor, SysError>> | null = null;
  const open = async (): Promise<Result<OpenModelDoor, SysError>> => {
    const { openModelDoor } = await import("./model-door.ts");
    const door = await openModelDoor({
      config,
      env,
      clock,
      chosen: chosen ?? config.cpu,
      cpus,
      folder: layout.run,
      socket: path.join(path.dirname(layout.socket), "model.sock"),
      broke: (error) => kernel()?.broke(error),
    });
    if (door.ok) options.undo(() => door.value.close());
    return door;
  };
  return () => (opened ??= open());
}

/** One for each guest. */
export function netDoorOpener({
  config,
  env,
  clock,
  layout,
  kernel,
  outside,
}: DoorOptions & { readonly outside: Outside }): (
  guest: GuestProcess,
  credential: string,
) => Promise<Result<OpenNetDoor, SysError>> {
  const folder = path.dirname(layout.socket);
  let swept = false;
  return async (guest, credential) => {
    const { netSockets, openNetDoor } = await import("./net-door.ts");
    if (!swept) removeLeft(folder, netSockets);
    swept = true;
    return await openNetDoor({
      guest,
      credential,
      egress: config.egress,
      env,
      clock,
      outside,
      folder,
      broke: (error) => kernel()?.broke(error),
    });
  };
}
