/**
 * Fs share: a process puts a file of its session where every process of the workspace can read it.
 *   FIL-17.5  A share is for the content that a person was shown: the plan names what stood there and what will, and another content asks again.
 *   FIL-17.6  What is shared is a copy: what the session does to its file later is not seen.
 */
import type { CallContext, CallHandler } from "../../abi/call.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { FileStep, Session, Shareable, SharedFile } from "../../abi/files.ts";
import type { Pid } from "../../abi/process.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { canonical } from "../../lib/json.ts";
import { ok, type Awaitable, type Result } from "../../lib/result.ts";
import { inTier } from "../../lib/tier.ts";
import { normalPath } from "../files/tree.ts";
import { fsSpecs } from "./fs-specs.ts";

export interface ShareDeps {
  session(pid: Pid): Awaitable<Result<Session, SysError>>;
  shared(): ReadonlyMap<string, SharedFile>;
  /** Keeps a content under its digest. */
  keep(data: Uint8Array): Digest;
  /** Keeps a plan, durable with all that was kept before. */
  keepPlan(plan: SharePlan): Promise<Result<Digest, SysError>>;
  share(pid: Pid, file: Shareable): Result<void, SysError>;
}

/** One step, in the form in which a commit is shown. */
export interface SharePlan {
  readonly steps: readonly FileStep[];
}

interface ShareArgs {
  readonly path: string;
  readonly to?: string;
}

interface Worked {
  readonly file: Shareable;
  readonly plan: SharePlan;
}

export function shareCalls(deps: ShareDeps): readonly CallHandler[] {
  const work = async (args: ShareArgs, { pid }: CallContext): Promise<Result<Worked, SysError>> => {
    const session = await deps.session(pid);
    if (!session.ok) return session;
    const data = await session.value.read(args.path);
    if (!data.ok) return data;
    const normal = normalPath(args.to ?? args.path);
    if (!normal.ok) return normal;
    const to = normal.value;
    if (to === ".") return fail("EINVAL", "name a file, not the whole session");
    const blob = deps.keep(data.value);
    const from = deps.shared().get(to)?.blob ?? null;
    const step: FileStep = {
      op: "write",
      path: inTier("shared", to),
      type: "file",
      from,
      to: blob,
      executable: false,
      typeFrom: "file",
      executableFrom: false,
    };
    return ok({ file: { path: to, blob, bytes: data.value.length }, plan: { steps: [step] } });
  };
  return [
    {
      spec: fsSpecs.share,
      freeze: async (args: ShareArgs, context) => {
        const worked = await work(args, context);
        return worked.ok ? await deps.keepPlan(worked.value.plan) : worked;
      },
      perform: async (args: ShareArgs, context) => {
        const worked = await work(args, context);
        if (!worked.ok) return worked;
        const { file, plan } = worked.value;
        if (context.frozen !== null && context.frozen !== sha256(canonical(plan)))
          return fail(
            "ESTALE",
            "the file changed after a person allowed this, so nothing was shared; share it again, and they are asked again",
          );
        const shared = deps.share(context.pid, file);
        return shared.ok ? ok({ value: { path: inTier("shared", file.path), digest: file.blob } }) : shared;
      },
    },
  ];
}
