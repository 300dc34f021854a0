/** What a kernel promises of processes as they come, go on, stop and go. */
import { describe, expect, test } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import { fail } from "../../src/abi/errno.ts";
import type { Body } from "../../src/abi/sys.ts";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { decode } from "../../src/kernel/codec.ts";
import { ok } from "../../src/lib/result.ts";
import { answer } from "./answer.ts";
import { all, calls, finish, handler, manifestOf, reborn, rig, say, type Rig, type RigOptions } from "./rig.ts";
import { settled } from "./settled.ts";

const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
const quick = handler({ name: "x.quick" }, () => ok({ value: 1 }));

/** A body that starts a child and waits for it. */
const parent: Body = async (sys) => {
  const manifest = { name: "c", instructions: "c", calls: ["x.*", "task.done", "ask"] };
  const child = await sys.call("proc.spawn", { manifest, goal: sys.goal, weight: 500 });
  return child.ok ? await sys.call("proc.wait", child.value) : child;
};

describe("starting", () => {
  test("KRN-9.2 a child has at most its parent's weight", async () => {
    const machine = rig({ handlers: [hang], bodies: { parent }, script: () => ok(calls(["x.hang", {}])) });
    machine.spawn({ kind: "body", instructions: "parent" });
    await new Promise(setImmediate);
    expect(machine.kernel.processes().map(({ weight }) => weight)).toEqual([100, 100]);
  });

  test("a goal that is too large, a program that is not there and a parent that has ended are refused by name", async () => {
    const machine = rig();
    const { pid } = await machine.run({});
    const refused = (manifest: Parameters<typeof manifestOf>[0], goal: string, of: number): string => {
      const spawned = machine.kernel.spawn({ manifest: manifestOf(manifest), goal, parent: of, call: null });
      return spawned.ok ? "started" : spawned.error.errno;
    };
    expect(refused({}, "g".repeat(limits.argsBytesMax), 0)).toBe("E2BIG");
    expect(refused({ kind: "body", instructions: "nowhere" }, "goal", 0)).toBe("ENOEXEC");
    expect(refused({}, "goal", pid)).toBe("ECANCELED");
    expect(machine.kernel.processes()).toHaveLength(1);
  });

  test("a table that is full takes no more processes, and takes one again when one has ended", () => {
    const machine = rig({ handlers: [hang], script: () => ok(calls(["x.hang", {}])) });
    const pid = machine.spawn({});
    const request = { manifest: manifestOf({}), goal: "goal", parent: 0, call: null };
    machine.kernel.recorder.table.live = limits.processesMax;
    expect(machine.kernel.spawn(request)).toMatchObject({ ok: false, error: { errno: "EAGAIN" } });
    machine.kernel.signal(pid, "kill", "test");
    expect(machine.kernel.spawn(request).ok).toBe(true);
  });
});

describe("thinking", () => {
  test("KRN-6.5 a process makes exactly the steps it may", async () => {
    const machine = rig({ handlers: [quick], script: () => ok(calls(["x.quick", {}])) });
    const { status } = await machine.run({ stepsMax: 5 });
    expect([status.ok, machine.kernel.processes()[0]?.step]).toEqual([false, 5]);
  });

  test("KRN-6.4 a failure that does not pass ends the process with it", async () => {
    const { status } = await rig({ remote: true, script: () => fail("EINVAL", "there is no such model") }).run({});
    expect(status).toMatchObject({ ok: false, error: { errno: "EINVAL", message: "there is no such model" } });
  });

  test("KRN-1.5 a reply that reports no tokens is counted by its window and its words", async () => {
    const nothing = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
    const machine = rig({ script: () => ok({ ...say("some words of an answer"), usage: nothing }) });
    const { pid } = await machine.run({});
    const proc = machine.kernel.recorder.table.procs.get(pid);
    expect(proc?.spend.tokens).toBe(proc?.windowTokens);
    expect(proc?.spend.tokens).toBeGreaterThan(10);
  });
});

describe("going on as another program", () => {
  const next = { manifest: { name: "next", instructions: "Second.", calls: ["*"], stepsMax: 3 }, goal: "two" };

  test("KRN-11.4 exec keeps the contract that others were promised", async () => {
    const output = { type: "object", required: ["n"] } as const;
    const script: RigOptions["script"] = (request, step) => {
      if (request.system !== "Second.") return ok(calls(["proc.exec", next]));
      return ok(finish(step === 0 ? { other: 1 } : { n: 1 }));
    };
    const machine = rig({ script });
    expect((await machine.run({ output })).status).toEqual(ok({ n: 1 }));
    expect(machine.kernel.processes()[0]?.step).toBe(3);
  });

  test("KRN-11.4 and KRN-6.5 what it has become has its own steps", async () => {
    const script: RigOptions["script"] = (request, step) =>
      ok(request.system === "Second." ? (step < 2 ? calls(["x.quick", {}]) : finish("end")) : calls(["x.quick", {}]));
    const machine = rig({
      handlers: [quick],
      script: (request, step) =>
        request.system !== "Second." && step === 2 ? ok(calls(["proc.exec", next])) : script(request, step),
    });
    expect((await machine.run({ stepsMax: 3 })).status).toEqual(ok("end"));
  });
});

describe("stopping and leaving", () => {
  test("KRN-9.4 a stop and a continue reach all below", async () => {
    const gates: (() => void)[] = [];
    const slow = handler({ name: "x.slow" }, () => new Promise((resolve) => gates.push(() => resolve(ok({ value: 1 })))));
    const script: RigOptions["script"] = (_, step) => ok(step === 0 ? calls(["x.slow", {}]) : finish("end"));
    const machine = rig({ handlers: [slow], bodies: { parent }, script });
    const pid = machine.spawn({ kind: "body", instructions: "parent" });
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "stop", "test");
    gates[0]?.();
    await new Promise(setImmediate);
    expect(machine.kernel.processes().map(({ park }) => park?.type)).toEqual(["stopped", "stopped"]);
    machine.kernel.signal(pid, "continue", "test");
    expect(await machine.kernel.wait(pid)).toMatchObject({ ok: true, value: { ok: true, value: "end" } });
  });

  /** A call that never comes back, and says which of its calls were told to stop. */
  function listening() {
    const told: string[] = [];
    const listens = {
      ...hang,
      spec: { ...hang.spec, name: "x.listens" },
      perform: (_: unknown, { id, signal }: { readonly id: string; readonly signal: AbortSignal }) =>
        new Promise<never>(() => signal.addEventListener("abort", () => told.push(id))),
    };
    return { told, listens };
  }

  test("KRN-7.1 what is under way below a process that ends is told to stop", async () => {
    const { told, listens } = listening();
    const machine = rig({ handlers: [listens], bodies: { parent }, script: () => ok(calls(["x.listens", {}])) });
    const pid = machine.spawn({ kind: "body", instructions: "parent" });
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "kill", "test");
    expect(told).toEqual(["2.0.0"]);
  });

  test("KRN-5.6 what a program left under way when it ended is told to stop", async () => {
    const { told, listens } = listening();
    const leaves: Body = async (sys) => {
      void sys.call("x.listens", {});
      await new Promise(setImmediate);
      return ok("left");
    };
    const machine = rig({ handlers: [listens], bodies: { leaves } });
    const { pid, status } = await machine.run({ kind: "body", instructions: "leaves" });
    expect([status, told]).toEqual([ok("left"), [`${pid}.0.0`]]);
  });

  test("KRN-5.6 a program that goes on after its process was killed makes no call any more", async () => {
    let goOn = (): void => {};
    const waits: Body = async (sys) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return await sys.call("x.quick", {});
    };
    const machine = rig({ handlers: [quick], bodies: { waits } });
    const pid = machine.spawn({ kind: "body", instructions: "waits" });
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "kill", "test");
    goOn();
    await new Promise(setImmediate);
    const kinds = machine.log.crash(all).texts.map((text) => decode(text)?.kind);
    expect(kinds).toEqual(["boot", "spawn", "signal", "exit"]);
  });

  test("KRN-9.5 a kernel that has left has made everything durable, and starts nothing more", async () => {
    let asked = 0;
    let entered = 0;
    const program: Body = async () => await Promise.resolve(ok((entered += 1)));
    const options: RigOptions = { bodies: { program }, script: () => ok(finish((asked += 1))) };
    const machine = rig(options);
    await machine.run({});
    expect((await machine.kernel.close()).ok).toBe(true);
    const late = machine.spawn({});
    machine.spawn({ kind: "body", instructions: "program" });
    await new Promise(setImmediate);
    expect([asked, entered, machine.kernel.processes()[1]?.state]).toEqual([1, 0, "ready"]);
    const kept = machine.log.crash(() => 0).texts.map((text) => decode(text)?.kind);
    expect(kept).toEqual(["boot", "spawn", "turn", "outcome", "exit"]);
    expect(late).toBe(2);
  });

  test("KRN-12.1 a result given before a question is the end, however long the answer took", async () => {
    const machine = rig({ script: () => ok(calls(["task.done", { value: 7 }], ["ask", { question: "which?" }])) });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    expect(machine.kernel.recorder.table.procs.get(pid)?.swapped).not.toBeNull();
    answer(machine.kernel, pid, { text: "any" });
    expect(await machine.kernel.wait(pid)).toEqual(ok(7));
  });

  test("KRN-16.1 the night between two kernels counts for nobody who ran", async () => {
    const clock = new FakeClock(1_000_000);
    const options: RigOptions = { clock, handlers: [hang], script: () => ok(calls(["x.hang", {}])) };
    const first = rig(options);
    const pid = first.spawn({});
    await new Promise(setImmediate);
    clock.advance(7_000);
    first.kernel.nice(pid, 50);
    clock.advance(50_000_000);
    const second: Rig = reborn(first, options);
    clock.advance(3_000);
    second.kernel.signal(pid, "kill", "test");
    expect(second.kernel.recorder.table.procs.get(pid)?.spend.timeMs).toBe(10_000);
    expect(second.log.crash(all).texts.length).toBeGreaterThan(0);
  });
});
