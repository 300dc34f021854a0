/** What comes back, or its turn comes, when its process has ended or its kernel has left: nothing is done and nothing written down. */
import { describe, expect, test } from "vitest";
import type { Body } from "../../src/abi/sys.ts";
import type { ModelReply } from "../../src/abi/model.ts";
import { decode } from "../../src/kernel/codec.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import type { SysError } from "../../src/abi/errno.ts";
import { answer } from "./answer.ts";
import { all, calls, finish, handler, rig, type Rig, type RigOptions } from "./rig.ts";
import { settled } from "./settled.ts";

function kindsOf(machine: Rig): (string | undefined)[] {
  return machine.log.crash(all).texts.map((text) => decode(text)?.kind);
}

/** A remote model that answers when it is told to, and says who asked. */
function held() {
  const asked: string[] = [];
  const replies: (() => void)[] = [];
  const script: RigOptions["script"] = (request) => {
    asked.push(request.idempotencyKey);
    return new Promise<Result<ModelReply, SysError>>((resolve) => replies.push(() => resolve(ok(finish("thought")))));
  };
  return { asked, replies, script };
}

describe("a process that was killed", () => {
  test("KRN-5.6 while it waited for its turn does not ask its model", async () => {
    const { asked, replies, script } = held();
    const machine = rig({ remote: true, script });
    for (let n = 0; n < 5; n += 1) machine.spawn({});
    await new Promise(setImmediate);
    machine.kernel.signal(5, "kill", "test");
    replies[0]?.();
    await machine.kernel.wait(1);
    await new Promise(setImmediate);
    expect(asked).toEqual(["1.0", "2.0", "3.0", "4.0"]);
    /** Nothing is reserved for it either: nobody would give that back. */
    expect(kindsOf(machine).filter((kind) => kind === "think")).toHaveLength(4);
  });

  test("KRN-5.6 while its intent to ask was written does not ask its model", async () => {
    const { asked, script } = held();
    const machine = rig({ remote: true, script, log: { asynchronous: true } });
    machine.kernel.on((entry) => {
      if (entry.kind === "think" && entry.pid === 2) queueMicrotask(() => machine.kernel.signal(2, "kill", "test"));
    });
    machine.spawn({});
    machine.spawn({});
    await machine.kernel.wait(2);
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    expect(asked).toEqual(["1.0"]);
  });

  test("KRN-5.6 while its model thought gets no turn any more", async () => {
    const { replies, script } = held();
    const machine = rig({ remote: true, script });
    const pid = machine.spawn({});
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "kill", "test");
    replies[0]?.();
    await new Promise(setImmediate);
    expect(kindsOf(machine)).toEqual(["boot", "spawn", "think", "signal", "exit"]);
  });

  test("KRN-7.1 ends nobody twice: a child that had ended keeps its own end", async () => {
    const parent: Body = async (sys) => {
      const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", calls: ["task.done"] }, goal: "c" });
      return child.ok ? await sys.call("proc.wait", child.value) : child;
    };
    const machine = rig({ bodies: { parent }, script: () => ok(finish("mine")) });
    await machine.run({ kind: "body", instructions: "parent" });
    expect(machine.kernel.processes().map(({ exit }) => exit?.ok)).toEqual([true, true]);
    expect(kindsOf(machine).filter((kind) => kind === "exit")).toHaveLength(2);
  });
});

describe("a kernel that has left", () => {
  test("KRN-9.5 writes down no reply that comes then", async () => {
    const { replies, script } = held();
    const machine = rig({ remote: true, script });
    machine.spawn({});
    await new Promise(setImmediate);
    const closed = machine.kernel.close();
    replies[0]?.();
    expect((await closed).ok).toBe(true);
    expect(kindsOf(machine)).toEqual(["boot", "spawn", "think"]);
  });

  test("KRN-9.5 writes down no outcome that comes then: the next kernel settles the call", async () => {
    const gates: (() => void)[] = [];
    const slow = handler({ name: "x.slow" }, () => new Promise((resolve) => gates.push(() => resolve(ok({ value: 1 })))));
    const machine = rig({ handlers: [slow], script: () => ok(calls(["x.slow", {}])) });
    machine.spawn({});
    await new Promise(setImmediate);
    const closed = machine.kernel.close();
    gates[0]?.();
    expect((await closed).ok).toBe(true);
    expect(kindsOf(machine)).toEqual(["boot", "spawn", "turn"]);
  });

  test("KRN-9.5 makes no effect that waited for the disk then", async () => {
    const mails: string[] = [];
    const mail = handler({ name: "x.mail", effect: "irreversible", recovery: "once" }, (_, id) => ok({ value: mails.push(id) }));
    const machine = rig({ handlers: [mail], script: () => ok(calls(["x.mail", {}])), log: { asynchronous: true } });
    let closed: Promise<unknown> | null = null;
    machine.kernel.on((entry) => {
      if (entry.kind !== "turn" || entry.pid !== 2) return;
      queueMicrotask(() => {
        closed = machine.kernel.close();
      });
    });
    machine.spawn({});
    machine.spawn({});
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    expect([closed === null, mails]).toEqual([false, []]);
  });
});

describe("a program that was stopped between two calls", () => {
  test("KRN-9.4 waits with its next call until it is told to go on, and makes it then", async () => {
    let made = 0;
    let goOn = (): void => {};
    const quick = handler({ name: "x.quick" }, () => ok({ value: (made += 1) }));
    const waits: Body = async (sys) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return await sys.call("x.quick", {});
    };
    const machine = rig({ handlers: [quick], bodies: { waits } });
    const pid = machine.spawn({ kind: "body", instructions: "waits" });
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "stop", "test");
    goOn();
    await new Promise(setImmediate);
    expect(made).toBe(0);
    machine.kernel.signal(pid, "continue", "test");
    await settled(machine, pid, "zombie");
    expect(await machine.kernel.wait(pid)).toEqual(ok(1));
  });
});

describe("an answer", () => {
  test("a raise is refused where nobody asked for a budget, and the question stands", async () => {
    const machine = rig({ script: () => ok(calls(["ask", { question: "Which?" }])) });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    const raised = answer(machine.kernel, pid, { raise: { tokens: 1 } });
    expect(raised).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    expect(machine.kernel.processes()[0]?.park?.type).toBe("question");
  });
});
