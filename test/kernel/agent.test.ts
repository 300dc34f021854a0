import { describe, expect, test } from "vitest";
import { fail } from "../../src/abi/errno.ts";
import { ok } from "../../src/lib/result.ts";
import { noLimits } from "../../src/abi/budget.ts";
import { calls, finish, handler, rig, say, type Rig } from "./rig.ts";
import { settled } from "./settled.ts";
import { answer } from "./answer.ts";

describe("the loop of an agent", () => {
  test("KRN-6.3 a process with a contract that ends without task.done has failed", async () => {
    const { run } = rig({ script: () => ok(say("all done, trust me")) });
    const { status } = await run({ output: { type: "object" } });
    expect(status).toMatchObject({ ok: false, error: { errno: "EINVAL", message: expect.stringContaining("trust me") } });
  });

  test("a process without a contract ends with the model's words", async () => {
    const { run } = rig({ script: () => ok(say("hello")) });
    expect((await run({})).status).toEqual({ ok: true, value: "hello" });
  });

  test("KRN-11.2 task.done is refused with the reason until its value fits the contract", async () => {
    const seen: string[] = [];
    const { run } = rig({
      script: (request, step) => {
        const last = request.messages.at(-1)?.parts[0];
        if (last?.type === "result") seen.push(last.text);
        return ok(finish(step === 0 ? { n: "one" } : { n: 1 }));
      },
    });
    const { status } = await run({ output: { type: "object", properties: { n: { type: "integer" } } } });
    expect(status).toEqual({ ok: true, value: { n: 1 } });
    expect(seen[0]).toMatch(/^EINVAL: .*n must be integer/);
  });

  test("KRN-6.5 a process that reaches its step limit ends with EDEADLK", async () => {
    const { run } = rig({
      handlers: [handler({ name: "x.poll" }, () => ok({ value: 1 }))],
      script: () => ok(calls(["x.poll", {}])),
    });
    expect((await run({ stepsMax: 5 })).status).toMatchObject({ ok: false, error: { errno: "EDEADLK" } });
  });

  test("KRN-1.2 results enter the window together and in the order of the calls", async () => {
    const gates: (() => void)[] = [];
    const slow = handler({ name: "x.slow" }, () => new Promise((resolve) => gates.push(() => resolve(ok({ value: "slow" })))));
    const fast = handler({ name: "x.fast" }, () => {
      queueMicrotask(() => gates.forEach((open) => open()));
      return ok({ value: "fast" });
    });
    const windows: string[][] = [];
    const { run } = rig({
      handlers: [slow, fast],
      script: (request, step) => {
        windows.push((request.messages.at(-1)?.parts ?? []).flatMap((part) => (part.type === "result" ? [part.text] : [])));
        return ok(step === 0 ? calls(["x.slow", {}], ["x.fast", {}]) : finish(1));
      },
    });
    await run({});
    expect(windows[1]).toEqual(["slow", "fast"]);
  });

  test("KRN-5.1 reads run side by side, an effect runs alone and in order", async () => {
    let inFlight = 0;
    const peaks: string[] = [];
    const work = (name: string, effect: "read" | "write") =>
      handler({ name, effect }, async () => {
        inFlight += 1;
        peaks.push(`${name}:${inFlight}`);
        await Promise.resolve();
        inFlight -= 1;
        return ok({ value: null });
      });
    const { run } = rig({
      handlers: [work("x.read", "read"), work("x.write", "write")],
      script: (_, step) => ok(step === 0 ? calls(["x.read", {}], ["x.read", {}], ["x.write", {}], ["x.read", {}]) : finish(1)),
    });
    await run({});
    expect(peaks).toEqual(["x.read:1", "x.read:2", "x.write:1", "x.read:1"]);
  });

  test("KRN-5.4 a handler that throws is an EIO outcome, and the process goes on", async () => {
    let text = "";
    const { run } = rig({
      handlers: [
        handler({ name: "x.bad" }, () => {
          throw new Error("secret detail");
        }),
      ],
      script: (request, step) => {
        const last = request.messages.at(-1)?.parts[0];
        if (last?.type === "result") text = last.text;
        return ok(step === 0 ? calls(["x.bad", {}]) : finish("went on"));
      },
    });
    expect((await run({})).status).toEqual({ ok: true, value: "went on" });
    expect(text).toMatch(/^EIO: /);
    expect(text).not.toContain("secret detail");
  });

  test("KRN-6.4 a provider that fails parks the process in a named degraded mode and a yes tries again", async () => {
    let up = false;
    const machine = rig({ remote: true, script: () => (up ? ok(finish("late")) : fail("EIO", "the provider is down")) });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    expect(machine.kernel.processes()[0]?.park).toMatchObject({ type: "degraded", error: { errno: "EIO" } });
    up = true;
    expect(answer(machine.kernel, pid).ok).toBe(true);
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "late" });
  });

  test("KRN-6.1 a call that does not fit the budget parks the process, and a raise lets it go on", async () => {
    const machine = rig({ script: () => ok(finish("paid")) });
    const pid = machine.spawn({ limits: { ...noLimits, tokens: 100 } });
    await settled(machine, pid, "parked");
    expect(machine.kernel.processes()[0]?.park).toMatchObject({ type: "budget", limit: "tokens", group: pid });
    answer(machine.kernel, pid, { raise: { tokens: 1_000_000 } });
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "paid" });
  });

  test("KRN-6.2 a remote model is asked only after the intent to ask is durable: a power cut at that moment keeps it", async () => {
    const left: string[] = [];
    const machine: Rig = rig({
      remote: true,
      log: { asynchronous: true },
      script: () => {
        left.push(...machine.log.crash(() => 0).texts);
        return ok(finish(1));
      },
    });
    await machine.run({});
    expect(left.at(-1)).toMatch(/^{"kind":"think"/);
  });

  test("KRN-4.1 two calls of one name are refused", () => {
    const twin = handler({ name: "x.twin" }, () => ok({ value: 1 }));
    expect(() => rig({ handlers: [twin, twin] })).toThrow("two calls are named x.twin");
  });
});
