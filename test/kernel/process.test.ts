import { describe, expect, test } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import { fail } from "../../src/abi/errno.ts";
import type { Decision, PolicyRequest } from "../../src/abi/policy.ts";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { decode } from "../../src/kernel/codec.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import type { Json } from "../../src/lib/json.ts";
import { replay } from "../../src/kernel/replay.ts";
import type { Body } from "../../src/abi/sys.ts";
import { ok } from "../../src/lib/result.ts";
import { all, calls, finish, handler, manifestOf, reborn, rig, say, type Rig } from "./rig.ts";
import { settled } from "./settled.ts";
import { answer } from "./answer.ts";

const text = handler({ name: "x.text" }, (args) => ok({ value: "t".repeat(Number(args["n"] ?? 10)) }));

function kindsOf(machine: Rig): string[] {
  return [...machine.log.read(0)].flatMap((record) => (record.ok ? [decode(record.value.text)?.kind ?? "?"] : []));
}

test("KRN-9.3 a body's kernel stops, too, when the log cannot be written", async () => {
  const body: Body = async (sys) => {
    for (let n = 0; n < 50; n += 1) await sys.call("x.text", { n });
    return ok("never");
  };
  const machine = rig({ handlers: [text], bodies: { b: body }, log: { failWrite: 20 } });
  const pid = machine.spawn({ kind: "body", instructions: "b" });
  machine.kernel.on(() => void machine.kernel.recorder.barrier(true));
  expect(await machine.kernel.wait(pid)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
});

test("KRN-9.3 reads under way when the log dies end with it, and nothing of them is left to fail on its own", async () => {
  const cut = handler({ name: "x.cut" }, () => {
    machine.log.crash(all);
    return ok({ value: 1 });
  });
  const slow = handler({ name: "x.slow" }, () => Promise.resolve(ok({ value: 1 })));
  const machine: Rig = rig({ handlers: [cut, slow], script: () => ok(calls(["x.slow", {}], ["x.slow", {}], ["x.cut", {}])) });
  const { status } = await machine.run({});
  expect(status).toMatchObject({ ok: false, error: { errno: "EIO", message: expect.stringContaining("lost power") } });
  expect(machine.kernel.panicked).toBeNull();
});

describe("what a process may do after it waited", () => {
  const mails: string[] = [];
  const mail = handler({ name: "x.mail", effect: "irreversible", recovery: "once" }, (_, id) => ok({ value: mails.push(id) }));
  const once = (_: unknown, step: number): ReturnType<typeof ok<ReturnType<typeof finish>>> =>
    ok(step === 0 ? calls(["x.mail", {}]) : finish("end"));

  test("KRN-5.6 killed or stopped while the disk was written, it acts no more; continued, it acts once", async () => {
    mails.length = 0;
    const killed = rig({ handlers: [mail], script: once, log: { asynchronous: true } });
    const other = 2;
    killed.kernel.on((entry) => {
      if (entry.kind === "turn" && entry.pid === other) queueMicrotask(() => killed.kernel.signal(other, "kill", "test"));
    });
    killed.spawn({});
    killed.spawn({});
    await killed.kernel.wait(other);
    await new Promise(setImmediate);
    expect(mails.filter((id) => id.startsWith(`${other}.`))).toEqual([]);

    const stopped = rig({ handlers: [mail], script: once, log: { asynchronous: true } });
    const pid = 2;
    const off = stopped.kernel.on((entry) => {
      if (entry.kind === "turn" && entry.pid === pid) queueMicrotask(() => stopped.kernel.signal(pid, "stop", "test"));
    });
    stopped.spawn({});
    stopped.spawn({});
    await settled(stopped, pid, "parked");
    expect(mails.filter((id) => id.startsWith(`${pid}.0`))).toHaveLength(0);
    off();
    stopped.kernel.signal(pid, "continue", "test");
    expect(await stopped.kernel.wait(pid)).toEqual({ ok: true, value: "end" });
    expect(mails.filter((id) => id === `${pid}.0.0`)).toHaveLength(1);
  });

  test("KRN-5.3 an effect under way at a stop is not made again by another kernel without a look", async () => {
    let sent = 0;
    const hang = handler({ name: "x.hang", effect: "irreversible", recovery: "once" }, () => {
      sent += 1;
      return new Promise(() => {});
    });
    const options = {
      handlers: [hang],
      script: (_: unknown, step: number) => ok(step === 0 ? calls(["x.hang", {}]) : finish("end")),
    };
    const machine = rig(options);
    const pid = machine.spawn({});
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "stop", "test");
    const next = reborn(machine, options);
    next.kernel.signal(pid, "continue", "test");
    await settled(next, pid, "parked");
    expect(next.kernel.processes()[0]?.park).toMatchObject({ type: "uncertain", call: `${pid}.0.0` });
    expect(sent).toBe(1);
  });

  test("KRN-5.3 a body's uncertain call is performed after a yes, and one that waited for approval was never under way", async () => {
    let sent = 0;
    const hang = handler({ name: "x.hang", effect: "irreversible", recovery: "once" }, () => {
      sent += 1;
      return sent === 1 ? new Promise(() => {}) : ok({ value: sent });
    });
    const body: Body = async (sys) => await sys.call("x.hang", {});
    const options = { handlers: [hang], bodies: { b: body } };
    const machine = rig(options);
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const next = reborn(machine, options);
    await settled(next, pid, "parked");
    answer(next.kernel, pid);
    expect(await next.kernel.wait(pid)).toEqual({ ok: true, value: 2 });

    const asking = {
      ...options,
      decide: (request: PolicyRequest): Decision => ({ verb: request.action.id === "x.hang" ? "ask" : "allow", rules: [] }),
    };
    const parked = rig(asking);
    const waits = parked.spawn({ kind: "body", instructions: "b" });
    await settled(parked, waits, "parked");
    const after = reborn(parked, asking);
    await new Promise(setImmediate);
    answer(after.kernel, waits);
    expect(await after.kernel.wait(waits)).toEqual({ ok: true, value: 3 });
  });

  test("KRN-6.1 a budget above many processes is kept, however they wait for a slot", async () => {
    const body: Body = async (sys) => {
      const pids: Json[] = [];
      for (let n = 0; n < 12; n += 1) {
        const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", calls: ["task.done"] }, goal: n });
        if (child.ok) pids.push(child.value);
      }
      return await sys.call("proc.wait", pids.at(-1) ?? null);
    };
    const machine = rig({
      remote: true,
      bodies: { b: body },
      script: () =>
        new Promise((resolve) =>
          setImmediate(() =>
            resolve(
              ok({
                ...finish(1),
                usage: { inputTokens: 10_000, outputTokens: 6_000, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true },
              }),
            ),
          ),
        ),
    });
    machine.spawn({ kind: "body", instructions: "b", limits: { ...noLimits, tokens: 60_000 } });
    await settled(machine, 13, "parked");
    expect(machine.kernel.processes()[0]?.spend.tokens).toBeLessThanOrEqual(60_000);
  });

  test("KRN-6.6 what another kernel had reserved does not stand in a process's own way", async () => {
    const options = { remote: true, script: () => new Promise<never>(() => {}) };
    const machine = rig(options);
    const pid = machine.spawn({ limits: { ...noLimits, tokens: 20_000 } });
    await new Promise(setImmediate);
    const next = reborn(machine, { remote: true, script: () => ok(finish("fits")) });
    expect(await next.kernel.wait(pid)).toEqual({ ok: true, value: "fits" });
  });

  test("KRN-8.4 a body whose program is gone waits for it, and nothing else runs in its name", async () => {
    let asked = 0;
    const body: Body = async (sys) => await sys.call("x.text", { n: 3 });
    const hang = handler({ name: "x.text" }, () => new Promise(() => {}));
    const machine = rig({ handlers: [hang], bodies: { b: body } });
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const next = reborn(machine, { handlers: [text], script: () => ok(say(`${(asked += 1)}`)) });
    await settled(next, pid, "parked");
    expect(next.kernel.processes()[0]?.park).toMatchObject({ type: "degraded", error: { errno: "ENOEXEC" } });
    expect(asked).toBe(0);
  });

  test("KRN-6.7 a driver that throws and a CPU that is gone park the process; the kernel goes on", async () => {
    const machine = rig({
      script: () => {
        throw new Error("socket gone");
      },
    });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    expect(machine.kernel.processes()[0]?.park).toMatchObject({ type: "degraded", error: { errno: "EIO" } });
    expect(machine.kernel.panicked).toBeNull();
  });

  test("KRN-6.3 a reply cut at its longest and a refusal are failures, and without task.done the reply itself must fit", async () => {
    expect((await rig({ script: () => ok({ ...say("half"), stop: "length" }) }).run({})).status).toMatchObject({
      ok: false,
      error: { errno: "E2BIG" },
    });
    expect((await rig({ script: () => ok({ ...say("no"), stop: "refusal" }) }).run({})).status).toMatchObject({
      ok: false,
      error: { errno: "EPERM" },
    });
    const contract = { calls: ["mem.note"], output: { type: "object", required: ["n"] } };
    expect((await rig({ script: () => ok(say('{"n":1}')) }).run(contract)).status).toEqual({ ok: true, value: { n: 1 } });
    expect((await rig({ script: () => ok(say("{}")) }).run(contract)).status).toMatchObject({
      ok: false,
      error: { errno: "EINVAL" },
    });
  });

  test("KRN-9.5 closing ends every wait and no body spins on, however it catches errors", async () => {
    const body: Body = async (sys) => {
      for (;;) await sys.call("x.hang", {}).catch(() => null);
    };
    const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
    const machine = rig({ handlers: [hang], bodies: { b: body } });
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    const waited = machine.kernel.wait(pid);
    await new Promise(setImmediate);
    const closed = machine.kernel.close();
    machine.clock.advance(10_000);
    expect((await closed).ok).toBe(true);
    expect(await waited).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
    expect(await machine.kernel.wait(pid)).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
  });

  test("KRN-3.4 a rotation makes what its records name durable first, and who was swapped out stays so", async () => {
    const machine = rig({
      handlers: [text],
      script: (_, step) => ok(step === 0 ? calls(["x.text", { n: 20_000 }]) : calls(["ask", { question: "?" }])),
    });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    expect(machine.kernel.recorder.table.procs.get(pid)?.swapped).not.toBeNull();
    expect((await machine.kernel.recorder.rotateIfLarge(1, true)).ok).toBe(true);
    expect(machine.kernel.recorder.table.procs.get(pid)?.swapped).not.toBeNull();
    const recovered = recoverTable(machine.log, openMemoryBlobs({ image: machine.blobs.crash(() => 1) }));
    expect(recovered.ok && recovered.value.cut).toBeNull();
  });

  test("KRN-10.5 an entry of a kind this version does not know is EUCLEAN, not a fault", () => {
    const machine = rig();
    machine.log.append('{"kind":"teleport","at":1,"pid":1}');
    expect(recoverTable(machine.log, machine.blobs)).toMatchObject({
      ok: false,
      error: { errno: "EUCLEAN", message: expect.stringContaining("teleport") },
    });
  });
});

describe("signals and groups", () => {
  test("KRN-7.1 a process's descendants end before it does", async () => {
    const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
    const body: Body = async (sys) => {
      await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", calls: ["x.hang"] }, goal: "c" });
      return await sys.call("x.hang", {});
    };
    const machine = rig({ handlers: [hang], bodies: { b: body }, script: () => ok(calls(["x.hang", {}])) });
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    expect(machine.kernel.signal(pid, "kill", "a test").ok).toBe(true);
    expect(await machine.kernel.wait(pid)).toMatchObject({
      ok: false,
      error: { errno: "ECANCELED", message: "killed by a test" },
    });
    const exits = [...machine.log.read(0)].flatMap((record) => {
      const entry = record.ok ? decode(record.value.text) : null;
      return entry?.kind === "exit" ? [entry.pid] : [];
    });
    expect(exits).toEqual([2, 1]);
  });

  test("KRN-7.2 the exit entry carries the digest of the state it ends with", async () => {
    const machine = rig();
    const { pid } = await machine.run({});
    const proof = replay({ log: machine.log, blobs: machine.blobs, until: null, pid });
    expect(proof.ok && [proof.value.proved, proof.value.findings]).toEqual([1, []]);
  });

  test("KRN-13.1 a child holds no call its parent does not hold, and no larger budget", async () => {
    const asked: unknown[] = [];
    const body: Body = async (sys) => {
      asked.push(
        await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", calls: ["x.text", "net.fetch"] }, goal: 1 }),
      );
      asked.push(
        await sys.call("proc.spawn", {
          manifest: { name: "c", instructions: "c", calls: ["x.text"], limits: { tokens: 10_000 } },
          goal: 1,
        }),
      );
      return ok(1);
    };
    const machine = rig({ handlers: [text], bodies: { b: body } });
    await machine.run({ kind: "body", instructions: "b", calls: ["proc.*", "x.text"], limits: { ...noLimits, tokens: 500 } });
    expect(asked[0]).toMatchObject({ ok: false, error: { errno: "EACCES", message: expect.stringContaining("net.fetch") } });
    const parks = [...machine.log.read(0)]
      .flatMap((record) => (record.ok ? [decode(record.value.text)] : []))
      .filter((entry) => entry?.kind === "park");
    expect(parks).toMatchObject([{ pid: 2, reason: { type: "budget", limit: "tokens", group: 1 } }]);
  });

  test("KRN-9.2 a child's manifest is what its parent's allows, also when it asks for nothing", async () => {
    const body: Body = async (sys) => {
      const child = await sys.call("proc.spawn", {
        manifest: { name: "c", instructions: "c", outputs: ["a.md", "b.md"] },
        goal: 1,
      });
      return child.ok ? await sys.call("proc.wait", child.value) : child;
    };
    const machine = rig({ bodies: { b: body } });
    await machine.run({ kind: "body", instructions: "b", outputs: ["a.md"], limits: { ...noLimits, tokens: 90_000 } });
    const child = machine.kernel.recorder.table.procs.get(2);
    expect(child?.manifest).toMatchObject({ name: "test/c", calls: [], outputs: ["a.md"], stepsMax: 100 });
  });

  test("KRN-11.5 a name that is more than a name is refused", async () => {
    const names = ["ok", "brief/extract", "a b", "x) wants fs.read: it reads", "\u001b[2J", "", "-x", "a\nb", "n".repeat(65)];
    const body: Body = async (sys) => {
      const pids: Json[] = [];
      for (const name of names) {
        const manifest = { name, instructions: "i", calls: ["task.done"] };
        pids.push((await sys.call("proc.spawn", { manifest, goal: "x" })).ok);
      }
      return ok(pids);
    };
    const { run } = rig({ bodies: { b: body }, script: () => ok(finish("fine")) });
    const { status } = await run({ kind: "body", instructions: "b" });
    expect(status).toEqual({ ok: true, value: names.map((_, n) => n < 2) });
  });

  test("KRN-13.2 processes nest only to a bound", async () => {
    const answers: unknown[] = [];
    const body: Body = async (sys) => {
      if (sys.pid > 20) return ok("far too deep");
      const child = await sys.call("proc.spawn", {
        manifest: { name: "c", kind: "body", instructions: "b", calls: ["proc.*"] },
        goal: 1,
      });
      if (!child.ok) answers.push(child);
      return child.ok ? await sys.call("proc.wait", child.value) : ok("deep enough");
    };
    const machine = rig({ bodies: { b: body } });
    await machine.run({ kind: "body", instructions: "b", calls: ["proc.*"] });
    expect(answers).toMatchObject([{ ok: false, error: { errno: "E2BIG" } }]);
    expect(machine.kernel.processes()).toHaveLength(16);
  });

  test("KRN-13.4 a window set for a process bounds the windows below it", async () => {
    const body: Body = async (sys) => {
      const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", windowTokens: 9_000 }, goal: 1 });
      return child.ok ? await sys.call("proc.wait", child.value) : child;
    };
    const machine = rig({ bodies: { b: body } });
    await machine.run({ kind: "body", instructions: "b", windowTokens: 3_000 });
    expect(machine.kernel.processes().map((proc) => proc.windowTokensMax)).toEqual([3_000, 3_000]);
    await machine.run({ kind: "body", instructions: "b" });
    expect(machine.kernel.processes().at(-1)?.windowTokensMax).toBe(9_000);
  });

  test("KRN-11.6 measure gives the window and the head of a child, refuses what spawn would, and starts nothing", async () => {
    const answers: unknown[] = [];
    const child = {
      manifest: { name: "c", instructions: "Count the crates.", calls: ["x.text"], windowTokens: 9_000 },
      goal: { n: 1 },
    };
    const body: Body = async (sys) => {
      answers.push(await sys.call("proc.measure", child));
      answers.push(await sys.call("proc.measure", { ...child, manifest: { ...child.manifest, calls: ["fs.read"] } }));
      return await sys.call("proc.spawn", child);
    };
    const machine = rig({ handlers: [text], bodies: { b: body } });
    await machine.run({ kind: "body", instructions: "b", calls: ["proc.*", "x.*"], windowTokens: 3_000 });
    const started = [...machine.log.read(0)].flatMap((record) => {
      const entry = record.ok ? decode(record.value.text) : undefined;
      return entry?.kind === "spawn" && entry.pid === 2 ? [entry] : [];
    });
    expect(started).toHaveLength(1);
    const { headTokens, windowTokensMax: windowTokens } = started[0] ?? {};
    expect(answers).toMatchObject([
      { ok: true, value: { headTokens, windowTokens } },
      { ok: false, error: { errno: "EACCES" } },
    ]);
    expect(windowTokens).toBe(3_000);
  });

  test("KRN-11.4 exec goes on as another program, with the same pid, label and spend, and never with more calls", async () => {
    const seen: string[] = [];
    const dirty = handler({ name: "x.dirty" }, () =>
      ok({ value: "d", label: { integrity: "untrusted", confidentiality: "secret" } }),
    );
    const next = (calls_: readonly string[]) => ({
      manifest: { name: "next", instructions: "Second.", calls: calls_ },
      goal: "two",
    });
    const machine = rig({
      handlers: [dirty, text],
      script: (request, step) => {
        seen.push(`${request.system} ${request.messages.length} ${request.tools.map((tool) => tool.name).join()}`);
        if (request.system === "Second.") return ok(finish("as the second"));
        if (step === 0) return ok(calls(["x.dirty", {}]));
        return ok(
          step === 1
            ? calls(["proc.exec", next(["x.text", "task.done"])])
            : calls(["proc.exec", next(["task.done"])], ["x.dirty", {}]),
        );
      },
    });
    const { pid, status } = await machine.run({ instructions: "First.", calls: ["x.dirty", "proc.exec", "task.done"] });
    expect(status).toEqual({ ok: true, value: "as the second" });
    expect(seen.at(-1)).toBe("Second. 1 task.done");
    const proc = machine.kernel.recorder.table.procs.get(pid);
    expect(proc).toMatchObject({
      pid,
      label: { integrity: "untrusted", confidentiality: "secret" },
      spend: { calls: 5, tokens: 60 },
      refused: 0,
      trouble: null,
    });
    const proof = replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null });
    expect(proof.ok && proof.value.findings).toEqual([]);
  });

  test("KRN-11.4 exec does not lift a limit, neither its own nor one that a person has set", async () => {
    const next = { manifest: { name: "next", instructions: "Second.", calls: ["*"], limits: { calls: 90 } }, goal: "two" };
    const machine = rig({
      handlers: [text],
      script: (request) => ok(request.system === "Second." ? calls(["x.text", {}]) : calls(["proc.exec", next])),
    });
    const pid = machine.spawn({ instructions: "First.", limits: { ...noLimits, tokens: 20_000, calls: 0 } });
    await settled(machine, pid, "parked");
    answer(machine.kernel, pid, { raise: { calls: 3 } });
    await settled(machine, pid, "parked");
    expect(machine.kernel.processes()[0]?.park).toMatchObject({ type: "budget", limit: "calls", group: pid });
    expect(machine.kernel.recorder.table.procs.get(pid)).toMatchObject({
      limits: { tokens: 20_000, calls: 3 },
      spend: { calls: 4 },
    });
  });

  test("KRN-9.4 a signal is journaled; stop parks at a safe point and continue goes on", async () => {
    const gates: (() => void)[] = [];
    const slow = handler({ name: "x.slow" }, () => new Promise((resolve) => gates.push(() => resolve(ok({ value: 1 })))));
    const machine = rig({ handlers: [slow], script: (_, step) => ok(step === 0 ? calls(["x.slow", {}]) : finish("end")) });
    const pid = machine.spawn({});
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "stop", "test");
    gates[0]?.();
    await new Promise(setImmediate);
    expect(machine.kernel.processes()[0]).toMatchObject({ state: "parked", park: { type: "stopped" } });
    machine.kernel.signal(pid, "continue", "test");
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "end" });
    expect(kindsOf(machine).filter((kind) => kind === "signal")).toHaveLength(2);
  });

  test("an approval freezes the exact call, and a yes performs it", async () => {
    const sent: unknown[] = [];
    const send = handler({ name: "x.send", effect: "external" }, (args) => ok({ value: sent.push(args) }));
    const machine = rig({
      handlers: [send],
      decide: (request) => ({ verb: request.action.id === "x.send" ? "ask" : "allow", rules: ["r"] }),
      script: (_, step) => ok(step === 0 ? calls(["x.send", { to: "a" }]) : finish("sent")),
    });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    expect(machine.kernel.processes()[0]?.park).toMatchObject({ type: "approval", call: "1.0.0" });
    expect(sent).toEqual([]);
    answer(machine.kernel, pid);
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "sent" });
    expect(sent).toEqual([{ to: "a" }]);
  });

  test("a question waits for its answer, also across a restart", async () => {
    const options = {
      script: (request: { messages: readonly { parts: readonly unknown[] }[] }, step: number) =>
        ok(step === 0 ? calls(["ask", { question: "which?" }]) : finish(request.messages.at(-1)?.parts[0] as never)),
    };
    const machine = rig(options);
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    const next = reborn(machine, options);
    expect(next.kernel.processes()[0]?.park).toMatchObject({ type: "question", question: "which?" });
    answer(next.kernel, pid, { text: "the blue one" });
    expect(await next.kernel.wait(pid)).toMatchObject({ ok: true, value: { ok: true, text: "the blue one" } });
  });

  test("nice, wait and signal name what is wrong", async () => {
    const machine = rig();
    const { pid } = await machine.run({});
    expect(machine.kernel.signal(pid, "kill", "x")).toMatchObject({
      ok: false,
      error: { errno: "ENOENT", message: expect.stringContaining("has ended") },
    });
    expect(machine.kernel.nice(99, 10)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    expect(machine.kernel.nice(pid, 0)).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    expect(await machine.kernel.wait(42)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    expect(answer(machine.kernel, pid)).toMatchObject({ ok: false });
  });
});

test("KRN-13.3 the workspace's instructions reach every agent, after its own", async () => {
  const systems: string[] = [];
  const machine = rig({
    preamble: { workspace: "# From AGENTS.md\n\nUse plain words.\n", own: "" },
    script: (request) => (systems.push(request.system), ok(say("x"))),
  });
  await machine.run({ instructions: "Own words." });
  expect(systems[0]).toBe("Own words.\n\n# From AGENTS.md\n\nUse plain words.\n");
});

test("KRN-13.6 below a process that follows its own instructions nobody is told the workspace's, and none can choose that for a child", async () => {
  const systems: string[] = [];
  const child = { manifest: { name: "c", instructions: "Child." }, goal: 1 };
  const body: Body = async (sys) => {
    const spawned = await sys.call("proc.spawn", child);
    return spawned.ok ? await sys.call("proc.wait", spawned.value) : spawned;
  };
  const machine = rig({
    preamble: { workspace: "The user's.\nThe workspace's.", own: "The user's." },
    bodies: { b: body },
    script: (request) => (systems.push(request.system), ok(say("x"))),
  });
  await machine.run({ kind: "body", instructions: "b", calls: ["proc.*"], follows: "own" });
  await machine.run({ kind: "body", instructions: "b", calls: ["proc.*"] });
  expect(systems).toEqual(["Child.\n\nThe user's.", "Child.\n\nThe user's.\nThe workspace's."]);
  const asked: Body = async (sys) => await sys.call("proc.spawn", { ...child, manifest: { ...child.manifest, follows: "own" } });
  const other = rig({ bodies: { b: asked } });
  expect((await other.run({ kind: "body", instructions: "b", calls: ["proc.*"] })).status).toMatchObject({
    ok: false,
    error: { errno: "EINVAL" },
  });
});

test("a CPU that is not there refuses the spawn by name", () => {
  const machine = rig();
  const spawned = machine.kernel.spawn({ manifest: manifestOf({ cpu: "none" }), goal: 1, parent: 0, call: null });
  expect(spawned).toEqual(fail("ENOENT", 'there is no CPU "none"; see "daimon doctor" for those that are'));
});
