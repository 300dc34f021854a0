/** A guest on a session of its own: the real helper, overlay and sandbox, with its streams as pipes. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import type { Session } from "../../../src/abi/files.ts";
import type { GuestEnd, GuestPlan, GuestStage, RunningGuest } from "../../../src/abi/sandbox.ts";
import { overlaySessions } from "../../../src/drivers/files/overlay.ts";
import { bwrapSandbox } from "../../../src/drivers/sandbox/bwrap.ts";
import { launchGuest } from "../../../src/drivers/sandbox/guest-launch.ts";
import { ZygoteClient } from "../../../src/drivers/sandbox/zygote-client.ts";
import { openMemoryBlobs } from "../../../src/drivers/store/memory-blobs.ts";
import { value } from "../../contract/session.ts";

const top = mkdtempSync(join(realpathSync(tmpdir()), "guest-"));
export const helper = new ZygoteClient();
const sandbox = bwrapSandbox({ helper });
const available = await sandbox.available();
/** Why its tests cannot run here; null where they can. */
export const missing = available.ok ? null : available.error.message;
const sessions = overlaySessions({ helper, blobs: openMemoryBlobs(), hide: [], isSecret: (path) => path.endsWith(".env") });

afterAll(async () => {
  await sessions.close();
  await helper.close();
  // An overlay keeps a folder that only root may look into.
  spawnSync("chmod", ["-R", "u+rwX", top]);
  rmSync(top, { recursive: true, force: true });
});

export interface Site {
  readonly root: string;
  readonly home: string;
  readonly session: Session;
  readonly plan: (more?: Partial<GuestPlan>) => GuestPlan;
  stage(): Promise<GuestStage>;
}

let count = 0;

export async function site(files: Readonly<Record<string, string>> = {}): Promise<Site> {
  count += 1;
  const folder = join(top, String(count));
  const [root, home] = [join(folder, "home/work"), join(folder, "home")];
  mkdirSync(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const kept = join(folder, "session");
  mkdirSync(kept);
  const session = value(await sessions.open({ pid: count, lower: root, home: kept }));
  return {
    root,
    home,
    session,
    plan: (more = {}) => ({
      argv: ["/bin/bash", "-c", "true"],
      root,
      cwd: root,
      home,
      env: { PATH: "/usr/bin:/bin" },
      files: [],
      shown: [],
      links: [],
      doors: [],
      memoryBytesMax: 256 * 1024 * 1024,
      processesMax: 200,
      ...more,
    }),
    async stage() {
      const staged = value(await session.stage());
      const { pid, userNamespace, covers } = value(await helper.start());
      return { ...staged, helper: { pid, userNamespace, covers } };
    },
  };
}

export interface Launched extends RunningGuest {
  readonly out: () => string;
  readonly err: () => string;
  readonly hostPid: number;
  /** Resolves when the output holds the text. */
  said(text: string): Promise<void>;
}

export async function launch(where: Site, script: string, more: Partial<GuestPlan> = {}, graceMs = 10_000): Promise<Launched> {
  const plan = where.plan({ argv: ["/bin/bash", "-c", script], ...more });
  const running = value(await launchGuest({ plan, stage: await where.stage(), streams: ["ignore", "pipe", "pipe"], graceMs }));
  const { child } = running;
  let [out, err] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (piece: string) => (out += piece));
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => (err += piece));
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    ...running,
    ended: running.ended.then(async (end) => (await closed, end)),
    out: () => out,
    err: () => err,
    hostPid: child.pid ?? 0,
    said: (text) =>
      new Promise((resolve) => {
        const look = (): void => (out.includes(text) ? resolve() : void child.stdout?.once("data", () => setImmediate(look)));
        look();
      }),
  };
}

export async function runGuest(
  where: Site,
  script: string,
  more: Partial<GuestPlan> = {},
): Promise<GuestEnd & { readonly out: string; readonly err: string }> {
  const guest = await launch(where, script, more);
  const end = value(await guest.ended);
  return { ...end, out: guest.out(), err: guest.err() };
}
