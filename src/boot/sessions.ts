/**
 * Sessions: which copy-on-write driver this machine allows, and the sessions that are open.
 *   BOO-12.1  Overlays where they can be mounted; else files are copied when they first change, and a finding names the degraded mode.
 *   BOO-12.2  A session is opened when a process first touches a file, once, whoever asks at the same time.
 *   BOO-12.4  A session's folder that holds a link, but for the overlay's own, or belongs to another user is EUCLEAN and is not opened.
 *   BOO-12.3  No session follows a link for its caller: policy decided on the path it was given.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { SysError } from "../abi/errno.ts";
import type { Session, SessionDriver } from "../abi/files.ts";
import type { Finding } from "../abi/finding.ts";
import type { Pid } from "../abi/process.ts";
import type { BlobDriver } from "../abi/store.ts";
import { done, type Result } from "../lib/result.ts";
import { overlaySessions } from "../drivers/files/overlay.ts";
import { copySessions } from "../drivers/files/copy.ts";
import { isSecret } from "../security/policy/names.ts";
import type { ZygoteClient } from "../drivers/sandbox/zygote-client.ts";
import { checkFolder, folderName, linked, sessionFolder, type Layout } from "./layout.ts";

export interface Sessions {
  /** The session with this owner, open. */
  open(owner: Pid): Promise<Result<Session, SysError>>;
  /** Close one, so that another command can open it. */
  release(owner: Pid): Promise<void>;
  close(): Promise<void>;
  /** Set once a session was opened in a degraded mode. */
  readonly degraded: Finding | null;
}

export function openSessions(layout: Layout, helper: ZygoteClient, blobs: BlobDriver): Sessions {
  const options = { blobs, hide: [folderName], links: "refuse" } as const;
  const sessions = new Map<Pid, Promise<Result<Session, SysError>>>();
  let chosen: Promise<SessionDriver> | null = null;
  let degraded: Finding | null = null;
  const choose = async (): Promise<SessionDriver> => {
    const overlay = overlaySessions({ ...options, isSecret, helper });
    const usable = await overlay.available();
    if (usable.ok) return overlay;
    degraded = { rule: "BOO-12.1", severity: "warning", where: "sessions", message: usable.error.message };
    return copySessions(options);
  };
  const start = async (owner: Pid): Promise<Result<Session, SysError>> => {
    const sound = checkHome(sessionFolder(layout, owner), layout.uid);
    if (!sound.ok) return sound;
    chosen ??= choose();
    const driver = await chosen;
    return await driver.open({ pid: owner, lower: layout.root, home: sessionFolder(layout, owner) });
  };
  const release = async (owner: Pid): Promise<void> => {
    const opened = await sessions.get(owner);
    sessions.delete(owner);
    if (opened?.ok === true) await opened.value.close();
  };
  return {
    get degraded() {
      return degraded;
    },
    open: async (owner) => {
      const opening = sessions.get(owner) ?? start(owner);
      sessions.set(owner, opening);
      const opened = await opening;
      if (!opened.ok) sessions.delete(owner);
      return opened;
    },
    release,
    close: async () => {
      for (const owner of [...sessions.keys()]) await release(owner);
      if (chosen !== null) await (await chosen).close();
    },
  };
}

/** The drivers write in it by name, and a link put there would lead them elsewhere. What lies in `upper` is the agents' own. */
function checkHome(home: string, uid: number): Result<void, SysError> {
  for (const folder of [home, ...["upper", "work", "view"].map((name) => join(home, name))]) {
    const sound = checkFolder(folder, uid);
    if (!sound.ok) return sound;
  }
  const links = existsSync(home) ? readdirSync(home, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink()) : [];
  const strange = links.find((entry) => entry.name !== "lower");
  return strange === undefined ? done : linked(join(home, strange.name));
}
