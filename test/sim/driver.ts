/** Driver: the simulated model's driver: in this process and at once, or remote, slow and failing now and then. */
import { fail, type SysError } from "../../src/abi/errno.ts";
import type { ModelDriver, ModelReply, ModelRequest } from "../../src/abi/model.ts";
import type { Pid } from "../../src/abi/process.ts";
import { ok, type Awaitable, type Result } from "../../src/lib/result.ts";
import type { Ledger } from "./ledger.ts";
import { thought } from "./mind.ts";
import type { Plan } from "./plan.ts";
import { never, type Surroundings } from "./world.ts";

type Reply = Result<ModelReply, SysError>;

export function simulatedDriver(plan: Plan, ledger: Ledger, around: Surroundings, asked: (pid: Pid) => void): ModelDriver {
  const { chance } = around;
  const think = (request: ModelRequest): Reply => {
    if (plan.wild && chance.chance(0.005)) return fail("EPERM", "the account is closed");
    if (chance.chance(0.03)) throw new Error("as drivers do");
    if (chance.chance(0.03)) return fail(chance.pick(passing), "as real providers do");
    const asking = ledger.asking(pidOf(request));
    return asking === null ? fail("EINVAL", "nobody knows who asks") : ok(thought(plan, asking, (goal) => ledger.pidOf(goal)));
  };
  const slowly = async (request: ModelRequest, signal: AbortSignal | null): Promise<Reply> => {
    await around.pause();
    /** Some listen, some do not. */
    if (signal?.aborted === true && chance.chance(0.5)) return fail("ECANCELED", "the request was cancelled");
    return think(request);
  };
  return {
    name: "simulated",
    remote: plan.remote,
    windowTokens: () => plan.windowTokens,
    think(request, io): Awaitable<Reply> {
      if (!around.tick()) return never();
      asked(pidOf(request));
      return plan.remote ? slowly(request, io.signal) : think(request);
    },
    close: () => {},
  };
}

/** The key of a request is `PID.STEP`. */
function pidOf(request: ModelRequest): Pid {
  return Number(request.idempotencyKey.split(".")[0]);
}

/** Failures that pass: the process waits for a better day. */
const passing = ["EIO", "EAGAIN", "ETIMEDOUT", "EPROTO", "EDQUOT", "EACCES"] as const;
