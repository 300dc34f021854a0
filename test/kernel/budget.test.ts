/** Budgets as the kernel keeps them: on every group above, with what is reserved, and whatever happens meanwhile. */
import { describe, expect, test } from "vitest";
import { noLimits, type Limits } from "../../src/abi/budget.ts";
import type { ModelReply } from "../../src/abi/model.ts";
import type { Body } from "../../src/abi/sys.ts";
import { fail, type SysError } from "../../src/abi/errno.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { answer } from "./answer.ts";
import { calls, finish, handler, rig, type Rig, type RigOptions } from "./rig.ts";
import { settled } from "./settled.ts";

const price = { inputUsd: 3, outputUsd: 15, cacheReadUsd: 0.3, cacheWriteUsd: 3.75 };

/** A body that starts another and waits for it, down to an agent: the limits of the outermost bind the innermost. */
const nested: Body = async (sys) => {
  const inner = sys.goal === "outer";
  const manifest = inner
    ? { name: "b", kind: "body", instructions: "nested", calls: ["*"] }
    : { name: "a", instructions: "a", calls: ["*"] };
  const child = await sys.call("proc.spawn", { manifest, goal: inner ? "inner" : "agent" });
  return child.ok ? await sys.call("proc.wait", child.value) : child;
};

/** A body that starts two agents, which think side by side. */
const two: Body = async (sys) => {
  const manifest = { name: "c", instructions: "c", calls: ["task.done"] };
  await sys.call("proc.spawn", { manifest, goal: "first" });
  const second = await sys.call("proc.spawn", { manifest, goal: "second" });
  return second.ok ? await sys.call("proc.wait", second.value) : second;
};

/** A child that thinks, and once it is stopped another. */
const stoppedAndNext: Body = async (sys) => {
  const manifest = { name: "c", instructions: "c", calls: ["task.done"] };
  await sys.call("proc.spawn", { manifest, goal: "first" });
  await sys.call("x.stop", {});
  const next = await sys.call("proc.spawn", { manifest, goal: "next" });
  return next.ok ? await sys.call("proc.wait", next.value) : next;
};

const bodies = { nested, two, stoppedAndNext };
const read = handler({ name: "x.read" }, () => ok({ value: 1 }));

function start(machine: Rig, body: keyof typeof bodies, limits: Partial<Limits>): void {
  machine.spawn({ kind: "body", instructions: body, limits: { ...noLimits, ...limits } }, "outer");
}

function parkOf(machine: Rig, pid: number) {
  return machine.kernel.processes()[pid - 1]?.park;
}

/** A model whose replies are given by hand. */
function slowModel() {
  const replies: ((reply: Result<ModelReply, SysError>) => void)[] = [];
  return { replies, script: () => new Promise<Result<ModelReply, SysError>>((reply) => replies.push(reply)) };
}

const large = { ...finish(1), usage: { ...finish(1).usage, inputTokens: 400, outputTokens: 15_000 } };

describe("every group above", () => {
  test.each([true, false])("KRN-6.1 a thought that its group's group has no room for parks (remote: %s)", async (remote) => {
    const tokens = rig({ remote, bodies, script: () => ok(finish(1)) });
    start(tokens, "nested", { tokens: 1_000 });
    await settled(tokens, 3, "parked");
    expect(parkOf(tokens, 3)).toMatchObject({ type: "budget", limit: "tokens", group: 1 });
    const dollars = rig({ remote, bodies, price, script: () => ok(finish(1)) });
    start(dollars, "nested", { costUsd: 0.01 });
    await settled(dollars, 3, "parked");
    expect(parkOf(dollars, 3)).toMatchObject({ type: "budget", limit: "costUsd", group: 1 });
    expect(dollars.kernel.processes()[2]?.spend.tokens).toBe(0);
  });

  test("KRN-5.5 and KRN-1.5 a call beyond what its group's group may make parks, and is made when that is raised", async () => {
    let made = 0;
    const counted = handler({ name: "x.read" }, () => ok({ value: (made += 1) }));
    const script: RigOptions["script"] = (_, step) => ok(step === 0 ? calls(["x.read", {}], ["x.read", {}]) : finish("done"));
    const machine = rig({ bodies, handlers: [counted], script });
    start(machine, "nested", { calls: 3 });
    await settled(machine, 3, "parked");
    expect([parkOf(machine, 3), made]).toMatchObject([{ type: "budget", limit: "calls", group: 1 }, 0]);
    answer(machine.kernel, 3, { raise: { calls: 20 } });
    expect(await machine.kernel.wait(3)).toEqual(ok("done"));
    expect(machine.kernel.recorder.table.procs.get(3)?.limits.calls).toBeNull();
  });

  test("BUD-1.3 a limit in dollars cannot be kept without a price: a yes lifts it, a no ends the process", async () => {
    const machine = rig({ bodies, script: () => ok(finish("unpriced")) });
    start(machine, "nested", { costUsd: 5 });
    await settled(machine, 3, "parked");
    expect(parkOf(machine, 3)).toMatchObject({ type: "budget", limit: "costUsd", group: 1, unpriced: true });
    answer(machine.kernel, 3);
    expect(await machine.kernel.wait(3)).toEqual(ok("unpriced"));
    expect(machine.kernel.recorder.table.procs.get(1)).toMatchObject({ limits: { costUsd: null }, unpricedTokens: 15 });
    const refused = rig({ script: () => ok(finish(1)) });
    const pid = refused.spawn({ limits: { ...noLimits, costUsd: 5 } });
    await settled(refused, pid, "parked");
    answer(refused.kernel, pid, { allow: false });
    expect(await refused.kernel.wait(pid)).toMatchObject({ ok: false, error: { errno: "EDQUOT" } });
  });
});

describe("reservations", () => {
  test.each(["tokens", "costUsd"] as const)(
    "KRN-6.1 who thinks beside another is admitted beside what that one may cost (%s)",
    async (limit) => {
      const { replies, script } = slowModel();
      const machine = rig({ remote: true, bodies, price, script });
      /** Room for one thought, and not for two. */
      start(machine, "two", { [limit]: limit === "tokens" ? 20_000 : 0.3 });
      await settled(machine, 3, "parked");
      expect([parkOf(machine, 3), replies.length]).toMatchObject([{ type: "budget", limit, group: 1 }, 1]);
      replies[0]?.(ok(large));
      await machine.kernel.wait(2);
      const group = machine.kernel.recorder.table.procs.get(1);
      expect(group?.reserved).toEqual({ tokens: 0, costUsd: 0, calls: 0, timeMs: 0 });
      expect(group?.spend.tokens).toBe(15_400);
    },
  );

  test("KRN-6.1 what a thought was given and did not take is there for the next, also after one that failed or was killed", async () => {
    let asked = 0;
    const script: RigOptions["script"] = () => {
      asked += 1;
      if (asked === 2) return fail("EIO", "the provider is down");
      return asked === 5 ? new Promise(() => {}) : ok(asked < 4 ? calls(["x.read", {}]) : finish(1));
    };
    const machine = rig({ remote: true, handlers: [read], script });
    const pid = machine.spawn({ limits: { ...noLimits, tokens: 20_000 } });
    await settled(machine, pid, "parked");
    expect(parkOf(machine, pid)).toMatchObject({ type: "degraded" });
    const reserved = (): number | undefined => machine.kernel.recorder.table.procs.get(pid)?.reserved.tokens;
    expect(reserved()).toBe(0);
    answer(machine.kernel, pid);
    expect(await machine.kernel.wait(pid)).toEqual(ok(1));
    const killed = machine.spawn({});
    await new Promise(setImmediate);
    expect(machine.kernel.recorder.table.procs.get(killed)?.reserved.tokens).toBeGreaterThan(16_000);
    machine.kernel.signal(killed, "kill", "test");
    expect(machine.kernel.recorder.table.procs.get(killed)?.reserved.tokens).toBe(0);
  });

  test("KRN-6.1 a process stopped while its model thinks keeps its reservation: what it has asked for is paid for", async () => {
    const { replies, script } = slowModel();
    const stop = handler({ name: "x.stop" }, () => {
      machine.kernel.signal(2, "stop", "test");
      return ok({ value: null });
    });
    const machine: Rig = rig({ remote: true, bodies, handlers: [stop], script });
    start(machine, "stoppedAndNext", { tokens: 20_000 });
    await settled(machine, 3, "parked");
    expect(parkOf(machine, 3)).toMatchObject({ type: "budget", limit: "tokens", group: 1 });
    expect(replies).toHaveLength(1);
    replies[0]?.(ok(large));
    await new Promise(setImmediate);
    expect(machine.kernel.processes()[0]?.spend.tokens).toBe(15_400);
    expect(machine.kernel.recorder.table.procs.get(1)?.reserved.tokens).toBe(0);
  });
});
