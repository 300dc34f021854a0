/**
 * Guest tools: what guests in sandboxes find behind their tool door, and the door of each.
 *   BOO-42.1  With nothing to offer no door is opened, so that a guest is told of none and its model reads of no empty server.
 *   BOO-42.2  A tool of the door is known by its name there: it stands for the call that it will be. What reads on in a result that the guest has stands for none.
 *   BOO-42.3  A door ends with its guest, or with the kernel; sockets that a kernel left behind go when the next one opens its first door.
 */
import { join } from "node:path";
import type { CallSpec } from "../abi/call.ts";
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Pid } from "../abi/process.ts";
import type { AtDoor } from "../guests/guest.ts";
import type { GuestProcess } from "../kernel/guest.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { ok, type Result } from "../lib/result.ts";
import { callAtDoor, shownInside } from "./gate.ts";
import { removeLeft } from "./left.ts";
import type { Servers } from "./servers.ts";
import type { OpenToolDoor } from "./tool-door.ts";

export interface GuestToolsOptions {
  readonly kernel: () => Pick<Kernel, "calls"> | null;
  /** The capabilities of every guest's manifest. */
  readonly held: readonly string[];
  readonly mayPermit: (spec: CallSpec) => boolean;
  readonly servers: Pick<Servers, "watch">;
  readonly clock: Clock;
  /** Only the user can enter it; its path leaves room for a socket's name of twelve letters. */
  readonly folder: string;
}

export interface GuestTools {
  readonly atDoor: AtDoor;
  /** null: there is nothing behind it. */
  open(pid: Pid, guest: GuestProcess, credential: string): Promise<Result<OpenToolDoor | null, SysError>>;
  /** Those that are still open. */
  close(): Promise<void>;
}

export function guestTools(options: GuestToolsOptions): GuestTools {
  const doors = new Set<OpenToolDoor>();
  let behind: Behind | null = null;
  /** Once: nothing is swept away when a door may be open. */
  let looking: Promise<void> | null = null;
  const look = async (kernel: Pick<Kernel, "calls">): Promise<void> => {
    const specs = shownInside(kernel, options.held, options.mayPermit);
    if (specs.length === 0) return;
    const [{ namesOf }, { readOn }] = await Promise.all([import("../doors/tool/names.ts"), import("../doors/tool/texts.ts")]);
    removeLeft(options.folder, /^t[0-9a-z]{1,6}\.sock$/);
    behind = { specs, tools: namesOf(specs, { type: "namespaced" }).tools, readOn: readOn.name };
  };
  return {
    atDoor: (tool) => {
      if (behind === null) return null;
      if (tool === behind.readOn) return [];
      return callAtDoor(behind.tools, tool);
    },
    open: async (pid, guest, credential) => {
      const kernel = options.kernel();
      if (kernel === null) return fail("EIO", "the kernel is not up");
      await (looking ??= look(kernel));
      if (behind === null) return ok(null);
      const { specs } = behind;
      const { servers, clock } = options;
      const { openToolDoor } = await import("./tool-door.ts");
      const socket = join(options.folder, socketName(pid));
      const opened = await openToolDoor({ guest, specs, servers, clock, socket, credential });
      if (!opened.ok) return opened;
      const door: OpenToolDoor = {
        ...opened.value,
        close: async () => {
          doors.delete(door);
          await opened.value.close();
        },
      };
      doors.add(door);
      return ok(door);
    },
    close: async () => {
      await Promise.all([...doors].map((door) => door.close()));
    },
  };
}

interface Behind {
  readonly specs: readonly CallSpec[];
  /** By their names at the door. */
  readonly tools: ReadonlyMap<string, CallSpec>;
  readonly readOn: string;
}

/** In 36 digits, so that it is never longer than the control socket's name, for which the folder was chosen. */
function socketName(pid: Pid): string {
  return `t${pid.toString(36)}.sock`;
}
