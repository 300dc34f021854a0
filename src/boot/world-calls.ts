/** World calls: the native calls that touch files, commands and the network, each with its drivers. */
import type { CallContext, CallHandler, CallSpec } from "../abi/call.ts";
import type { Clock } from "../abi/clock.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import type { Session, SharedFile } from "../abi/files.ts";
import type { Outside } from "../abi/outside.ts";
import type { PolicyEngine } from "../abi/policy.ts";
import type { Pid } from "../abi/process.ts";
import type { SandboxDriver } from "../abi/sandbox.ts";
import type { BlobDriver } from "../abi/store.ts";
import { gather, keepManifest } from "../drivers/files/commit.ts";
import { platformTier, sharedTier } from "../drivers/files/tiers.ts";
import { packageRoot } from "../drivers/own-files.ts";
import { shareCalls } from "../drivers/tool/fs-share.ts";
import { fsCalls } from "../drivers/tool/fs.ts";
import { fsSpecs } from "../drivers/tool/fs-specs.ts";
import { netCalls } from "../drivers/tool/net.ts";
import { connectCalls } from "../drivers/tool/net-connect.ts";
import { shellCalls } from "../drivers/tool/shell.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { ok, type Result } from "../lib/result.ts";
import { tierPath } from "../lib/tier.ts";
import { join } from "../security/labels.ts";
import { limitedSandbox } from "./limited-sandbox.ts";
import type { Config } from "./config.ts";
import type { Layout } from "./layout.ts";
import { reachOf, type Reach } from "./reach.ts";
import type { Sessions } from "./sessions.ts";
import { commitSession, diffSession, freezeCommit, type CommitOptions, type FilesDeps } from "./workspace-files.ts";

export interface WorldOptions {
  readonly layout: Layout;
  readonly config: Config;
  readonly clock: Clock;
  readonly sessions: Sessions;
  readonly sandbox: SandboxDriver;
  readonly blobs: BlobDriver;
  readonly outside: Outside;
  /** Asked at each call: the calls are made before the kernel that performs them and the policy that speaks of them. */
  readonly running: () => Running | null;
}

export interface Running {
  readonly kernel: Kernel;
  readonly policy: PolicyEngine;
}

export function worldCalls(options: WorldOptions): readonly CallHandler[] {
  const { layout, config, clock, sessions, blobs } = options;
  const session = async (pid: Pid): Promise<Result<Session, SysError>> => {
    const owner = options.running()?.kernel.recorder.table.procs.get(pid)?.session;
    return owner === undefined ? fail("ENOENT", `there is no process ${pid}`) : await sessions.open(owner);
  };
  /** Without a kernel there is no process that could reach anything. */
  const reach = (pid: Pid, spec: CallSpec, named: readonly string[]): Reach => {
    const running = options.running();
    const proc = running?.kernel.recorder.table.procs.get(pid);
    if (running === null || proc === undefined) return () => sysError("EIO", "the kernel is not up");
    return reachOf(running.policy, proc, spec, named);
  };
  const down = fail("EIO", "the kernel is not up");
  const depsOf = ({ kernel }: Running): FilesDeps => filesDeps(layout, blobs, clock, kernel);
  const committing = (paths: readonly string[], { pid, frozen }: CallContext): CommitOptions => {
    return { paths, resolutions: {}, reach: reach(pid, fsSpecs.commit, paths), frozen };
  };
  const shared = (): ReadonlyMap<string, SharedFile> => options.running()?.kernel.recorder.table.shared ?? new Map();
  const tiers = { session: null, platform: platformTier(packageRoot()), shared: sharedTier(shared, blobs, join) };
  const sandbox = limitedSandbox(options.sandbox, config.sandbox);
  return [
    ...fsCalls({
      session,
      tier: (path) => tiers[tierPath(path)?.tier ?? "session"],
      diff: (open, paths, { pid }) => diffSession(open, paths, blobs, reach(pid, fsSpecs.diff, paths ?? ["."])),
      freeze: async (open, paths, context) => {
        const running = options.running();
        return running === null ? down : await freezeCommit(open, committing(paths, context), depsOf(running));
      },
      commit: async (open, paths, context) => {
        const running = options.running();
        return running === null ? down : await commitSession(open, committing(paths, context), depsOf(running));
      },
      searchable: (folder, { pid }) => {
        const reached = reach(pid, fsSpecs.search, [folder]);
        return (path) => reached(path) === null;
      },
      workspace: (paths) => {
        const found = gather(layout.root, paths, blobs);
        return found.ok ? ok(new Map([...found.value].map(([path, version]) => [path, version?.digest ?? null]))) : found;
      },
    }),
    ...shareCalls({
      session,
      shared,
      keep: (data) => blobs.put(data),
      keepPlan: (plan) => keepManifest(plan, blobs),
      share: (pid, file) => options.running()?.kernel.shared.put(pid, file) ?? down,
    }),
    ...shellCalls({ session, sandbox }),
    ...netCalls({ clock }),
    ...connectCalls(options.outside),
  ];
}

export function filesDeps(layout: Layout, blobs: BlobDriver, clock: Clock, kernel: Kernel): FilesDeps {
  const { root: lower, sessions, quarantine } = layout;
  return { lower, sessions, quarantine, blobs, now: () => clock.now(), recorder: () => kernel.recorder, turn: kernel.filesTurn };
}
