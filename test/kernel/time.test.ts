/** Time as a budget: when it runs, and where it is asked for. */
import { expect, test } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { Body } from "../../src/abi/sys.ts";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { ok } from "../../src/lib/result.ts";
import { answer } from "./answer.ts";
import { calls, finish, handler, reborn, rig, stepOf } from "./rig.ts";
import { settled } from "./settled.ts";

const minute = { ...noLimits, timeMs: 60_000 };

/** A call that takes 25 seconds. */
function slow(clock: FakeClock) {
  return handler({ name: "x.slow" }, () => {
    clock.advance(25_000);
    return ok({ value: "slow" });
  });
}

const fourCalls: Body = async (sys) => {
  const done: boolean[] = [];
  for (let n = 0; n < 4; n += 1) done.push((await sys.call("x.slow", { n })).ok);
  return ok(done);
};

test("KRN-6.8 a body out of time parks before its next call, and goes on where it was when the time is raised", async () => {
  const clock = new FakeClock(1_000_000);
  const machine = rig({ clock, handlers: [slow(clock)], bodies: { four: fourCalls } });
  const pid = machine.spawn({ kind: "body", instructions: "four", limits: minute });
  await settled(machine, pid, "parked");
  expect(machine.kernel.processes()[0]).toMatchObject({
    park: { type: "budget", limit: "timeMs", group: 1, question: expect.stringContaining("60 s of its own budget (75 s)") },
    spend: { calls: 4, timeMs: 75_000 },
  });
  answer(machine.kernel, pid, { raise: { timeMs: 200_000 } });
  expect(await machine.kernel.wait(pid)).toEqual(ok([true, true, true, true]));
});

test("KRN-6.8 an agent out of time parks between the calls of one reply, and before it thinks again", async () => {
  const clock = new FakeClock(1_000_000);
  const many = calls(...[0, 1, 2, 3].map(() => ["x.slow", {}] as const));
  const effect = handler({ name: "x.slow", effect: "write", recovery: "idempotent" }, () => {
    clock.advance(25_000);
    return ok({ value: "slow" });
  });
  const machine = rig({ clock, handlers: [effect], script: (request) => ok(stepOf(request) === 0 ? many : finish("done")) });
  const pid = machine.spawn({ limits: minute });
  await settled(machine, pid, "parked");
  expect(clock.now()).toBe(1_075_000);
  answer(machine.kernel, pid, { raise: { timeMs: 90_000 } });
  await settled(machine, pid, "parked");
  expect(clock.now()).toBe(1_100_000);
  expect(machine.kernel.processes()[0]?.park).toMatchObject({ type: "budget", limit: "timeMs" });
  answer(machine.kernel, pid, { raise: { timeMs: 900_000 } });
  expect(await machine.kernel.wait(pid)).toEqual(ok("done"));
});

test("KRN-6.8 reads that go together stop where the time is over, and the rest of them go on when it is raised", async () => {
  const clock = new FakeClock(1_000_000);
  const many = calls(...[0, 1, 2, 3].map(() => ["x.slow", {}] as const));
  const machine = rig({
    clock,
    handlers: [slow(clock)],
    script: (request) => ok(stepOf(request) === 0 ? many : finish("done")),
  });
  const pid = machine.spawn({ limits: minute });
  await settled(machine, pid, "parked");
  expect(clock.now()).toBe(1_075_000);
  answer(machine.kernel, pid, { raise: { timeMs: 900_000 } });
  expect(await machine.kernel.wait(pid)).toEqual(ok("done"));
  expect(clock.now()).toBe(1_100_000);
});

test("KRN-16.1 the time a person takes to answer counts neither for who asks nor for the groups above", async () => {
  const clock = new FakeClock(1_000_000);
  const parent: Body = async (sys) => {
    const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "ask", calls: ["*"] }, goal: "ask" });
    const waited = child.ok ? await sys.call("proc.wait", child.value) : child;
    const after = await sys.call("x.slow", {});
    return ok([waited.ok, after.ok]);
  };
  const machine = rig({
    clock,
    handlers: [slow(clock)],
    bodies: { parent },
    script: (request) => ok(stepOf(request) === 0 ? calls(["ask", { question: "Which?" }]) : finish("asked")),
  });
  const pid = machine.spawn({ kind: "body", instructions: "parent", limits: minute });
  await settled(machine, 2, "parked");
  clock.advance(10_000_000);
  answer(machine.kernel, 2, { text: "this" });
  expect(await machine.kernel.wait(pid)).toEqual(ok([true, true]));
  expect(machine.kernel.processes().map((proc) => proc.spend.timeMs)).toEqual([25_000, 0]);
});

test("KRN-16.1 the time between two kernels counts for nobody, and a killed child that waited lets its group's time run again", async () => {
  const clock = new FakeClock(1_000_000);
  const script = () => ok(calls(["ask", { question: "Which?" }]));
  const waits: Body = async (sys) => {
    const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "ask", calls: ["*"] }, goal: "ask" });
    if (child.ok) await sys.call("proc.wait", child.value);
    return ok((await sys.call("x.slow", {})).ok);
  };
  const options = { clock, handlers: [slow(clock)], bodies: { waits }, script };
  const first = rig(options);
  const pid = first.spawn({ kind: "body", instructions: "waits", limits: minute });
  await settled(first, 2, "parked");
  await first.kernel.close();
  clock.advance(50_000_000);
  const second = reborn(first, options);
  expect(second.kernel.recorder.table.procs.get(pid)).toMatchObject({ runningSince: null, waits: 1 });
  clock.advance(50_000_000);
  second.kernel.signal(2, "kill", "test");
  expect(await second.kernel.wait(pid)).toEqual(ok(true));
  expect(second.kernel.processes()[0]?.spend.timeMs).toBe(25_000);
});
