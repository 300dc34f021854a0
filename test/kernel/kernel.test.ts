import { describe, expect, test } from "vitest";
import { decode } from "../../src/kernel/codec.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { digestOf, restore, serialise, tableDigest } from "../../src/kernel/snapshot.ts";
import { foldInput } from "../../src/kernel/recorder.ts";
import { render, stub } from "../../src/kernel/window.ts";
import { swapIn, swapOut } from "../../src/kernel/swap.ts";
import { replay, replayBody } from "../../src/kernel/replay.ts";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog } from "../../src/drivers/store/memory-log.ts";
import { memorySwap } from "../../src/drivers/store/swap.ts";
import type { Body } from "../../src/abi/sys.ts";
import { ok } from "../../src/lib/result.ts";
import { all, calls, finish, handler, manifestOf, reborn, rig, type Rig, type RigOptions } from "./rig.ts";
import { settled } from "./settled.ts";
import { answer } from "./answer.ts";

const text = handler({ name: "x.text" }, (args) => ok({ value: "t".repeat(Number(args["n"] ?? 10)) }));

function kindsOf(machine: Rig): string[] {
  return [...machine.log.read(0)].flatMap((record) => (record.ok ? [decode(record.value.text)?.kind ?? "?"] : []));
}

describe("the fold", () => {
  test("KRN-1.1 the same log gives the same table", async () => {
    const machine = rig({ handlers: [text], script: (_, step) => ok(step < 3 ? calls(["x.text", { n: 9_000 }]) : finish("x")) });
    await machine.run({});
    const again = recoverTable(machine.log, machine.blobs);
    expect(again.ok && tableDigest(again.value.table)).toBe(tableDigest(machine.kernel.recorder.table));
  });

  test("KRN-1.3 a refused call is a result the model reads, and nothing was performed", async () => {
    let performed = 0;
    let read = "";
    const machine = rig({
      handlers: [handler({ name: "x.bad" }, () => ok({ value: (performed += 1) }))],
      decide: (request) => (request.action.id === "x.bad" ? { verb: "deny", rules: [] } : { verb: "allow", rules: ["r"] }),
      script: (request, step) => {
        const last = request.messages.at(-1)?.parts[0];
        if (last?.type === "result") read = last.text;
        return ok(step === 0 ? calls(["x.bad", {}]) : finish(1));
      },
    });
    await machine.run({});
    expect(performed).toBe(0);
    expect(read).toMatch(/^EPERM: x\.bad was refused: no rule permits/);
    expect(machine.kernel.processes()[0]?.refused).toBe(1);
  });

  test("KRN-1.4 a process's label is the join of what entered its window, and eviction does not wash it", async () => {
    const dirty = handler({ name: "x.dirty" }, () =>
      ok({ value: "d".repeat(4_000), label: { integrity: "untrusted", confidentiality: "secret" } }),
    );
    const machine = rig({
      handlers: [dirty, text],
      windowTokens: 3_000,
      script: (_, step) => ok(step === 0 ? calls(["x.dirty", {}]) : step < 8 ? calls(["x.text", { n: 4_000 }]) : finish(1)),
    });
    const { pid } = await machine.run({});
    expect(machine.kernel.processes()[0]?.pagesEvicted).toBeGreaterThan(0);
    expect(machine.kernel.recorder.table.procs.get(pid)?.label).toEqual({ integrity: "untrusted", confidentiality: "secret" });
  });

  test("KRN-1.5 what a process spends, every group above it spends", async () => {
    const body: Body = async (sys) => {
      const child = await sys.call("proc.spawn", {
        manifest: { name: "child", instructions: "go", calls: ["task.done"] },
        goal: "go",
      });
      if (!child.ok) return child;
      return await sys.call("proc.wait", child.value);
    };
    const machine = rig({
      bodies: { parent: body },
      script: () => ok(finish(7)),
      price: { inputUsd: 1e6, outputUsd: 0, cacheReadUsd: 0, cacheWriteUsd: 0 },
    });
    const { status } = await machine.run({ kind: "body", instructions: "parent" });
    expect(status).toMatchObject({ ok: true, value: { ok: true, value: 7 } });
    const [parent, child] = machine.kernel.processes();
    expect(child?.spend).toMatchObject({ tokens: 15, costUsd: 10, calls: 1 });
    expect(parent?.spend).toMatchObject({ tokens: 15, costUsd: 10, calls: 3 });
  });
});

describe("windows", () => {
  test("WIN-1.1 a string is shown as it is, an object with a text as its plain fields and the text, anything else as JSON", () => {
    expect(render("plain")).toBe("plain");
    expect(render({ path: "a.md", lines: "1-2 of 2", list: [1], text: "x\ny" })).toBe("path: a.md · lines: 1-2 of 2\nx\ny");
    expect(render({ text: "only" })).toBe("only");
    expect(render({ n: 1 })).toBe('{"n":1}');
    expect(render(null)).toBe("null");
  });

  test("KRN-11.3 and WIN-1.3 an evicted page leaves a stub, and mem.read brings its text, source and label back", async () => {
    const page = handler({ name: "x.page" }, () =>
      ok({ value: "p".repeat(3_900), source: "a.md#L1", label: { integrity: "untrusted", confidentiality: "public" } }),
    );
    const windows: string[] = [];
    const machine = rig({
      handlers: [page],
      windowTokens: 4_000,
      script: (request, step) => {
        windows.push(JSON.stringify(request.messages));
        return ok(step < 5 ? calls(["x.page", {}]) : step === 5 ? calls(["mem.read", { page: "1.0.0" }]) : finish(1));
      },
    });
    await machine.run({});
    expect(windows[5]).toContain("[page 1.0.0 evicted");
    expect(windows[5]).toContain("of a.md#L1");
    expect(windows[6]).toContain("p".repeat(3_900));
  });

  test("WIN-1.3 a stub names the page's source, its size and the call that brings it back", () => {
    const page = {
      id: "4.2.0",
      source: "inbox/a.md#L1-L80",
      tokens: 812,
      kind: "result",
      label: { integrity: "derived", confidentiality: "public" },
      pin: "none",
      resident: false,
      bornStep: 2,
      blob: null,
    } as const;
    expect(stub(page)).toBe('[page 4.2.0 evicted: 812 tokens of inbox/a.md#L1-L80; mem.read {"page":"4.2.0"} brings it back]');
  });

  test("MEM-3.1 a pinned page stays when everything else leaves", async () => {
    const windows: string[] = [];
    const machine = rig({
      handlers: [text],
      windowTokens: 5_000,
      script: (request, step) => {
        windows.push(JSON.stringify(request.messages));
        if (step === 0) return ok(calls(["x.text", { n: 3_000 }]));
        if (step === 1) return ok(calls(["mem.pin", { page: "1.0.0" }]));
        return ok(step < 9 ? calls(["x.text", { n: 3_000 }]) : finish(1));
      },
    });
    await machine.run({});
    expect(machine.kernel.processes()[0]?.pagesEvicted).toBeGreaterThan(2);
    expect(windows.at(-1)).not.toContain("[page 1.0.0 evicted");
    expect(windows.at(-1)).toContain("[page 1.2.0 evicted");
  });

  test("WIN-1.2 a large result is cut, and its last line reads on to the end", async () => {
    const whole = Array.from({ length: 4_000 }, (_, n) => `line ${n}`).join("\n");
    const parts: string[] = [];
    const machine = rig({
      handlers: [handler({ name: "x.big" }, () => ok({ value: whole }))],
      script: (request, step) => {
        const last = request.messages.at(-1)?.parts[0];
        if (last?.type !== "result") return ok(calls(["x.big", {}]));
        const more = /\n\[cut: .*?; mem\.read (\{.*\}) reads on\]$/.exec(last.text);
        parts.push(more === null ? last.text : last.text.slice(0, more.index));
        return ok(more === null || step > 40 ? finish(1) : calls(["mem.read", JSON.parse(more[1] ?? "{}")]));
      },
    });
    await machine.run({});
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.join("")).toBe(whole);
  });
});

describe("bodies", () => {
  test("KRN-8.1 after a restart a body runs again and no call with an outcome is performed twice", async () => {
    let performed = 0;
    const gate: { open: () => void } = { open: () => {} };
    const count = handler({ name: "x.count", effect: "write", recovery: "idempotent" }, () => ok({ value: (performed += 1) }));
    const hang = handler({ name: "x.hang" }, () => new Promise((resolve) => (gate.open = () => resolve(ok({ value: "late" })))));
    const body: Body = async (sys) => {
      const first = await sys.call("x.count", {});
      const second = await sys.call("x.hang", {});
      return ok([first.ok && first.value, second.ok && second.value]);
    };
    const options = { handlers: [count, hang], bodies: { b: body } };
    const machine = rig(options);
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const next = reborn(machine, options);
    expect(next.resumed).toEqual([pid]);
    await new Promise(setImmediate);
    gate.open();
    expect(await next.kernel.wait(pid)).toEqual({ ok: true, value: [1, "late"] });
    expect(performed).toBe(1);
  });

  test("KRN-8.2 a body that asks for another call than before ends with EPROTO and the place", async () => {
    let run = 0;
    const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
    const body: Body = async (sys) => {
      run += 1;
      const first = await sys.call("x.text", { n: run });
      await sys.call("x.hang", {});
      return first;
    };
    const options = { handlers: [text, hang], bodies: { b: body } };
    const machine = rig(options);
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const next = reborn(machine, options);
    expect(await next.kernel.wait(pid)).toMatchObject({
      ok: false,
      error: { errno: "EPROTO", message: expect.stringContaining(`${pid}.0.0 is x.text`) },
    });
  });

  test("KRN-8.3 a body that throws has failed with EIO and the kernel goes on", async () => {
    const machine = rig({
      bodies: {
        bad: () => {
          throw new Error("boom");
        },
      },
    });
    expect((await machine.run({ kind: "body", instructions: "bad" })).status).toMatchObject({
      ok: false,
      error: { errno: "EIO" },
    });
    expect((await machine.run({})).status).toEqual({ ok: true, value: "done" });
  });

  test("KRN-11.1 spawning again for one call gives the process it made the first time", async () => {
    const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
    const body: Body = async (sys) => {
      const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c" }, goal: "c" });
      await sys.call("x.hang", {});
      return child;
    };
    const options = { handlers: [hang], bodies: { b: body } };
    const machine = rig(options);
    machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const next = reborn(machine, options);
    await new Promise(setImmediate);
    expect(next.kernel.processes().map((proc) => proc.pid)).toEqual([1, 2]);
  });
});

describe("recovery", () => {
  test("KRN-5.3 an effect that cannot be looked up parks its process with the uncertainty named, and a no goes on without it", async () => {
    let mails = 0;
    const mail = handler({ name: "x.mail", effect: "irreversible", recovery: "once" }, () => {
      mails += 1;
      return new Promise(() => {});
    });
    const options = {
      handlers: [mail],
      script: (_: unknown, step: number) => ok(step === 0 ? calls(["x.mail", {}]) : finish("went on")),
    };
    const machine = rig(options);
    const pid = machine.spawn({});
    await new Promise(setImmediate);
    const next = reborn(machine, options);
    await settled(next, pid, "parked");
    expect(next.kernel.processes()[0]?.park).toMatchObject({
      type: "uncertain",
      call: "1.0.0",
      question: expect.stringContaining("x.mail was under way"),
    });
    answer(next.kernel, pid, { allow: false, text: "it arrived" });
    expect(await next.kernel.wait(pid)).toEqual({ ok: true, value: "went on" });
    expect(mails).toBe(1);
  });

  test("KRN-10.1 a lost checkpoint is passed over and the log read from its start", async () => {
    const machine = rig({ handlers: [text], script: (_, step) => ok(step < 3 ? calls(["x.text", {}]) : finish(1)) });
    await machine.run({});
    await machine.kernel.recorder.rotateIfLarge(1, true);
    await machine.run({});
    const digest = tableDigest(machine.kernel.recorder.table);
    const checkpoint = [...machine.log.read(0)]
      .flatMap((record) => (record.ok ? [decode(record.value.text)] : []))
      .find((entry) => entry?.kind === "checkpoint");
    expect(machine.log.resumeFrom).toBeGreaterThan(0);
    const fromCheckpoint = recoverTable(machine.log, machine.blobs);
    expect(fromCheckpoint.ok && tableDigest(fromCheckpoint.value.table)).toBe(digest);
    if (checkpoint?.kind === "checkpoint") machine.blobs.spoil(checkpoint.blob);
    const fromStart = recoverTable(machine.log, machine.blobs);
    expect(fromStart.ok && tableDigest(fromStart.value.table)).toBe(digest);
  });

  test("KRN-10.3 a record whose payload a power cut lost never counted, nor what stood behind it", async () => {
    const options = {
      handlers: [text],
      script: (_: unknown, step: number) => ok(step < 4 ? calls(["x.text", { n: 20_000 }]) : finish(1)),
    };
    const machine = rig(options);
    await machine.run({});
    const texts = machine.log.crash(all);
    const blobs = new Map(machine.blobs.crash(() => 0));
    const large = texts.texts.map((line) => decode(line)).find((entry) => entry?.kind === "outcome" && entry.blob !== undefined);
    if (large?.kind === "outcome" && large.blob !== undefined) blobs.delete(large.blob);
    const next = rig({ ...options, log: { image: texts }, blobs: { image: blobs } });
    expect(await next.kernel.wait(1)).toEqual({ ok: true, value: 1 });
    expect(kindsOf(next).filter((kind) => kind === "exit")).toHaveLength(2);
    const proof = replay({ log: next.log, blobs: next.blobs, until: null, pid: null });
    expect(proof.ok && [proof.value.findings, proof.value.digest]).toEqual([[], tableDigest(next.kernel.recorder.table)]);
  });

  test("KRN-10.4 a payload missing from before a boot is damage", async () => {
    const machine = rig({ handlers: [text], script: (_, step) => ok(step === 0 ? calls(["x.text", { n: 20_000 }]) : finish(1)) });
    await machine.run({});
    const next = reborn(machine, { handlers: [text] });
    const large = [...next.log.read(0)]
      .flatMap((record) => (record.ok ? [decode(record.value.text)] : []))
      .find((entry) => entry?.kind === "outcome" && entry.blob !== undefined);
    if (large?.kind === "outcome" && large.blob !== undefined) next.blobs.spoil(large.blob);
    expect(recoverTable(next.log, next.blobs)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });

  test("KRN-10.2 a record that is no entry is EUCLEAN with its place", () => {
    const machine = rig();
    machine.log.append("not json");
    expect(recoverTable(machine.log, machine.blobs)).toMatchObject({
      ok: false,
      error: { errno: "EUCLEAN", message: expect.stringContaining("record 1") },
    });
  });
});

describe("the recorder", () => {
  test("KRN-9.3 and KRN-3.3 once the log cannot be written nothing acts and every wait ends with the reason", async () => {
    let performed = 0;
    const act = handler({ name: "x.act", effect: "write" }, () => ok({ value: (performed += 1) }));
    const machine = rig({ handlers: [act], script: () => ok(calls(["x.act", {}])), log: { failWrite: 6 } });
    const { pid, status } = await machine.run({});
    expect(status).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(performed).toBeLessThanOrEqual(2);
    expect(machine.kernel.signal(pid, "kill", "test")).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(machine.kernel.panicked).toBeNull();
  });

  test("KRN-5.2 and KRN-3.2 an effect finds its intent durable, and every payload named before it: a power cut at that moment keeps them", async () => {
    const left: RigOptions[] = [];
    const act = handler({ name: "x.act", effect: "write" }, () => {
      left.push({ log: { image: machine.log.crash(() => 0) }, blobs: { image: machine.blobs.crash(() => 1) } });
      return ok({ value: 1 });
    });
    const machine: Rig = rig({
      handlers: [act, text],
      log: { asynchronous: true },
      script: (_, step) => ok(step === 0 ? calls(["x.text", { n: 20_000 }]) : calls(["x.act", {}])),
    });
    await machine.run({});
    const recovered = recoverTable(openMemoryLog(left[0]?.log), openMemoryBlobs(left[0]?.blobs));
    expect(recovered.ok && recovered.value.cut).toBeNull();
    expect(recovered.ok && recovered.value.table.procs.get(1)?.pending).toMatchObject([{ name: "x.act", verb: "allow" }]);
  });

  test("KRN-3.3 after a failed write nothing is recorded any more, whoever asks", async () => {
    const machine = rig({ log: { failWrite: 1 } });
    const { recorder } = machine.kernel;
    machine.spawn({});
    expect(await recorder.barrier(true)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    const before = recorder.next;
    expect(() => recorder.record({ kind: "weight", at: 1, pid: 1, weight: 5 })).toThrow(/disk is full/);
    expect([recorder.next, recorder.failure?.errno]).toEqual([before, "ENOSPC"]);
  });

  test("KRN-3.2 a barrier flushes blobs before the log, and fails when they cannot be flushed", async () => {
    const machine = rig({ blobs: { failWrite: 1 }, handlers: [text], script: () => ok(calls(["x.text", { n: 20_000 }])) });
    machine.spawn({ stepsMax: 1 });
    await new Promise(setImmediate);
    expect(await machine.kernel.recorder.barrier(true)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(machine.kernel.recorder.failure).not.toBeNull();
  });

  test("KRN-3.3 a payload that could not be written stops the kernel before anybody takes its loss for an answer", async () => {
    const full = rig({ blobs: { failWrite: 0 } });
    expect(full.kernel.spawn({ manifest: manifestOf({}), goal: 1, parent: 0, call: null })).toMatchObject({
      ok: false,
      error: { errno: "ENOSPC" },
    });

    const told: unknown[] = [];
    const body: Body = async (sys) => {
      told.push(await sys.call("x.text", { n: 20_000 }).catch(String));
      return ok("never");
    };
    const machine = rig({ blobs: { failWrite: 1 }, handlers: [text], bodies: { b: body } });
    /** A neighbour's payload comes between: the body has to read its own back from the store. */
    machine.kernel.on((entry) => entry.kind === "outcome" && machine.kernel.recorder.store("other", true));
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    expect(await machine.kernel.wait(pid)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect([told, kindsOf(machine).at(-1), machine.kernel.panicked]).toEqual([[], "outcome", null]);

    const spawns: Body = async (sys) => await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c" }, goal: 1 });
    const group = rig({ blobs: { failWrite: 1 }, bodies: { b: spawns } });
    const parent = group.spawn({ kind: "body", instructions: "b" });
    expect(await group.kernel.wait(parent)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect([kindsOf(group).at(-1), group.kernel.panicked]).toEqual(["call", null]);
  });

  test("KRN-3.1 what the log refuses is not folded", async () => {
    const machine = rig({ log: { failWrite: 1 } });
    const before = tableDigest(machine.kernel.recorder.table);
    await machine.kernel.recorder.barrier(true);
    const spawned = machine.kernel.spawn({ manifest: manifestOf({}), goal: 1, parent: 0, call: null });
    if (spawned.ok) await machine.kernel.recorder.barrier(true);
    const again = machine.kernel.spawn({ manifest: manifestOf({}), goal: 1, parent: 0, call: null });
    expect(again.ok).toBe(false);
    expect(machine.kernel.recorder.table.nextPid - 1).toBe(spawned.ok ? 1 : 0);
    expect(before).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("snapshots", () => {
  test("KRN-2.1 restore(serialise(table)) equals the table", async () => {
    const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
    const machine = rig({
      handlers: [text, hang],
      bodies: { b: async (sys) => await sys.call("x.hang", {}) },
      script: (_, step) => ok(step === 0 ? calls(["x.text", {}]) : calls(["x.hang", {}])),
    });
    machine.spawn({});
    machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const { table } = machine.kernel.recorder;
    const back = restore(serialise(table), foldInput(machine.blobs));
    expect(back).toEqual(table);
    expect(tableDigest(back)).toBe(tableDigest(table));
  });

  test("KRN-2.2 two runs of one program at different times have one digest; another result has another", async () => {
    const once = async (value: number, at: number): Promise<string | null | undefined> => {
      const machine = rig({ script: () => ok(finish(value)) });
      machine.clock.advance(at);
      const { pid } = await machine.run({});
      return machine.kernel.recorder.table.procs.get(pid)?.exitDigest;
    };
    expect(await once(1, 0)).toBe(await once(1, 12_345));
    expect(await once(1, 0)).not.toBe(await once(2, 0));
  });

  test("KRN-12.1 a process that was swapped out and in again has the digest it had", async () => {
    const machine = rig({
      handlers: [text],
      decide: (request) => ({ verb: request.action.id === "x.text" ? "ask" : "allow", rules: ["r"] }),
      script: () => ok(calls(["x.text", {}])),
    });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    const proc = machine.kernel.recorder.table.procs.get(pid);
    if (proc === undefined) throw new Error("the process exists");
    expect(proc.swapped).not.toBeNull();
    machine.kernel.recorder.swapIn(proc);
    const before = digestOf(proc);
    const swap = memorySwap();
    swapOut(proc, swap);
    expect(proc.messages).toEqual([]);
    swapIn(proc, swap);
    expect(digestOf(proc)).toBe(before);
  });
});

describe("replay", () => {
  const body: Body = async (sys) => {
    const a = await sys.call("x.text", { n: 3 });
    const b = await sys.call("x.text", { n: 9_000 });
    return ok([a.ok && a.value, b.ok && String(b.value).length]);
  };

  test("RPL-1.1 every recorded digest is computed again, and a forged one is a finding", async () => {
    const machine = rig({ handlers: [text], script: (_, step) => ok(step < 2 ? calls(["x.text", {}]) : finish(1)) });
    await machine.run({});
    await machine.run({});
    const proof = replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null });
    expect(proof.ok && [proof.value.proved, proof.value.findings]).toEqual([2, []]);
    const texts = machine.log
      .crash(all)
      .texts.map((line) => (line.includes('"kind":"exit"') ? line.replace(/"digest":"..../, '"digest":"0000') : line));
    const forged = rig({
      log: { image: { texts, segments: [0], tornBytes: 0 } },
      blobs: { image: machine.blobs.crash(() => 0) },
    });
    const found = replay({ log: forged.log, blobs: forged.blobs, until: null, pid: null });
    expect(found.ok && found.value.findings).toHaveLength(2);
  });

  test("RPL-1.2 a body executed again over the journal makes the same calls and ends the same way", async () => {
    const machine = rig({ handlers: [text], bodies: { b: body } });
    const { pid } = await machine.run({ kind: "body", instructions: "b" });
    const options = { log: machine.log, blobs: machine.blobs, until: null, pid };
    expect(await replayBody({ ...options, body })).toEqual({ ok: true, value: [] });
    const other: Body = async (sys) => await sys.call("x.text", { n: 4 });
    const found = await replayBody({ ...options, body: other });
    expect(found.ok && found.value.map((finding) => finding.rule)).toEqual(["RPL-1.2", "RPL-1.2"]);
  });

  test("RPL-1.2 a body that was killed is held to the calls it made until then, wherever it was", async () => {
    const waiting: Body = async (sys) => {
      await sys.call("x.text", { n: 1 });
      await sys.call("ask", { question: "Go on?" });
      return await sys.call("x.text", { n: 2 });
    };
    const machine = rig({ handlers: [text], bodies: { b: waiting, parent: () => new Promise(() => {}) } });
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    const parent = machine.spawn({ kind: "body", instructions: "parent" });
    const child = machine.kernel.spawn({
      manifest: manifestOf({ kind: "body", instructions: "b", calls: ["x.text", "ask"] }),
      goal: 1,
      parent,
      call: null,
    });
    if (!child.ok) throw new Error(child.error.message);
    await settled(machine, pid, "parked");
    await settled(machine, child.value, "parked");
    machine.kernel.signal(pid, "kill", "test");
    machine.kernel.signal(parent, "kill", "test");
    await machine.kernel.wait(child.value);
    for (const killed of [pid, child.value]) {
      const options = { log: machine.log, blobs: machine.blobs, until: null, pid: killed };
      expect(await replayBody({ ...options, body: waiting })).toEqual({ ok: true, value: [] });
      const other: Body = async (sys) => await sys.call("x.text", { n: 4 });
      const found = await replayBody({ ...options, body: other });
      expect(found.ok && found.value.map((finding) => finding.rule)).toEqual(["RPL-1.2"]);
    }
  });

  test("RPL-1.3 until stops after any entry", async () => {
    const machine = rig({ handlers: [text], script: (_, step) => ok(step < 3 ? calls(["x.text", {}]) : finish(1)) });
    await machine.run({});
    for (let until = 0; until < machine.log.next; until += 1) {
      const proof = replay({ log: machine.log, blobs: machine.blobs, until, pid: null });
      expect(proof.ok && proof.value.entries).toBe(until + 1);
    }
  });
});
