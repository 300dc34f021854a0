/** World calls: the native calls that touch files, commands and the network, each with its drivers. */
import type { CallHandler } from "../abi/call.ts";
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Session } from "../abi/files.ts";
import type { Pid } from "../abi/process.ts";
import type { SandboxDriver } from "../abi/sandbox.ts";
import type { BlobDriver } from "../abi/store.ts";
import { gather } from "../drivers/files/commit.ts";
import { fsCalls } from "../drivers/tool/fs.ts";
import { netCalls } from "../drivers/tool/net.ts";
import { shellCalls } from "../drivers/tool/shell.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { ok, type Result } from "../lib/result.ts";
import { limitedSandbox } from "./limited-sandbox.ts";
import type { Config } from "./config.ts";
import type { Layout } from "./layout.ts";
import type { Sessions } from "./sessions.ts";
import { commitSession, diffSession, type FilesDeps } from "./workspace-files.ts";

export interface WorldOptions {
  readonly layout: Layout;
  readonly config: Config;
  readonly clock: Clock;
  readonly sessions: Sessions;
  readonly sandbox: SandboxDriver;
  readonly blobs: BlobDriver;
  /** Asked at each call: the calls are made before the kernel that performs them. */
  readonly kernel: () => Kernel | null;
}

export function worldCalls(options: WorldOptions): readonly CallHandler[] {
  const { layout, config, clock, sessions, blobs } = options;
  const session = async (pid: Pid): Promise<Result<Session, SysError>> => {
    const owner = options.kernel()?.recorder.table.procs.get(pid)?.session;
    return owner === undefined ? fail("ENOENT", `there is no process ${pid}`) : await sessions.open(owner);
  };
  const sandbox = limitedSandbox(options.sandbox, config.sandbox);
  return [
    ...fsCalls({
      session,
      diff: (open, paths) => diffSession(open, paths, blobs),
      commit: async (open, paths) => {
        const kernel = options.kernel();
        if (kernel === null) return fail("EIO", "the kernel is not up");
        return await commitSession(open, { paths, resolutions: {} }, filesDeps(layout, blobs, clock, kernel));
      },
      workspace: (paths) => {
        const found = gather(layout.root, paths, blobs);
        return found.ok ? ok(new Map([...found.value].map(([path, version]) => [path, version?.digest ?? null]))) : found;
      },
    }),
    ...shellCalls({ session, sandbox }),
    ...netCalls({ clock }),
  ];
}

export function filesDeps(layout: Layout, blobs: BlobDriver, clock: Clock, kernel: Kernel): FilesDeps {
  return { lower: layout.root, blobs, now: () => clock.now(), recorder: () => kernel.recorder };
}
