/** Budgets as the kernel keeps them: on every group above, with what is reserved, and whatever happens meanwhile. */
import { describe, expect, test } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { ModelReply } from "../../src/abi/model.ts";
import type { Body } from "../../src/abi/sys.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import type { SysError } from "../../src/abi/errno.ts";
import { finish, handler, rig, type Rig } from "./rig.ts";
import { settled } from "./settled.ts";

/** A child that thinks, and once it is stopped another. */
const stoppedAndNext: Body = async (sys) => {
  const manifest = { name: "c", instructions: "c", calls: ["task.done"] };
  await sys.call("proc.spawn", { manifest, goal: "first" });
  await sys.call("x.stop", {});
  const next = await sys.call("proc.spawn", { manifest, goal: "next" });
  return next.ok ? await sys.call("proc.wait", next.value) : next;
};

describe("reservations", () => {
  test("KRN-6.1 a process stopped while its model thinks keeps its reservation: what it has asked for is paid for", async () => {
    const replies: ((reply: Result<ModelReply, SysError>) => void)[] = [];
    const stop = handler({ name: "x.stop" }, () => {
      machine.kernel.signal(2, "stop", "test");
      return ok({ value: null });
    });
    const bodies = { b: stoppedAndNext };
    const machine: Rig = rig({
      remote: true,
      bodies,
      handlers: [stop],
      script: () => new Promise((reply) => replies.push(reply)),
    });
    machine.spawn({ kind: "body", instructions: "b", limits: { ...noLimits, tokens: 20_000 } });
    await settled(machine, 3, "parked");
    expect(machine.kernel.processes()[2]?.park).toMatchObject({ type: "budget", limit: "tokens", group: 1 });
    expect(replies).toHaveLength(1);
    replies[0]?.(ok({ ...finish(1), usage: { ...finish(1).usage, inputTokens: 400, outputTokens: 15_000 } }));
    await new Promise(setImmediate);
    expect(machine.kernel.processes()[0]?.spend.tokens).toBe(15_400);
    expect(machine.kernel.recorder.table.procs.get(1)?.reserved.tokens).toBe(0);
  });
});
