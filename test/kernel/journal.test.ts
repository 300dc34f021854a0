/** What the journal promises: checkpoints, rotations, failed writes, and acts on the workspace's files. */
import { describe, expect, test, vi } from "vitest";
import type { FilesEntry } from "../../src/abi/entry.ts";
import { fail } from "../../src/abi/errno.ts";
import type { LogDriver } from "../../src/abi/store.ts";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { openMemoryBlobs, type MemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog } from "../../src/drivers/store/memory-log.ts";
import { memorySwap } from "../../src/drivers/store/swap.ts";
import { decode } from "../../src/kernel/codec.ts";
import { Recorder } from "../../src/kernel/recorder.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { digestOf, serialise } from "../../src/kernel/snapshot.ts";
import { emptyTable, type Proc } from "../../src/kernel/table.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { canonical, type Json } from "../../src/lib/json.ts";
import { ok } from "../../src/lib/result.ts";
import { label } from "../../src/security/labels.ts";
import type { Body } from "../../src/abi/sys.ts";
import { all, calls, finish, handler, manifestOf, reborn, rig, type Rig, type RigOptions } from "./rig.ts";

const tableOf = (machine: Rig) => machine.kernel.recorder.table;
const text = handler({ name: "x.text" }, (args) => ok({ value: "t".repeat(Number(args["n"] ?? 10)) }));

describe("checkpoints", () => {
  test("KRN-10.1 a checkpoint whose table is not the one it names is passed over, and the log read from its start", async () => {
    const machine = rig({ script: () => ok(finish(1)) });
    for (const at of [1, 2]) {
      await machine.run({});
      await machine.kernel.recorder.rotateIfLarge(at, true);
    }
    const image = machine.log.crash(all);
    const blobs = { image: machine.blobs.crash(() => 0) };
    const named = image.texts.map((line) => decode(line)).filter((entry) => entry?.kind === "checkpoint");
    const older = named[0]?.blob ?? "";
    /** The newer checkpoint names the older table, which is whole. */
    const texts = image.texts.map((line) => line.replace(named[1]?.blob ?? "", older));
    const recovered = recoverTable(openMemoryLog({ image: { ...image, texts } }), openMemoryBlobs(blobs));
    expect(recovered.ok && serialise(recovered.value.table)).toBe(serialise(machine.kernel.recorder.table));
  });

  /** A log on which everything that is put while it rotates is put by somebody else, at that very moment. */
  function watched(blobs: MemoryBlobs, seen: string[]): LogDriver {
    const log = openMemoryLog();
    const rotate: LogDriver["rotate"] = (checkpoint) => {
      seen.push(...[...openMemoryBlobs({ image: blobs.crash(() => 1) }).list()]);
      return log.rotate(checkpoint);
    };
    return Object.create(log, { rotate: { value: rotate } }) as LogDriver;
  }

  test("KRN-3.4 the payloads of all records are durable before the log rotates, also those put while others were flushed", async () => {
    const blobs = openMemoryBlobs();
    const durable: string[] = [];
    const recorder = new Recorder(emptyTable(), watched(blobs, durable), blobs, memorySwap());
    const first = recorder.putText(canonical(manifestOf({})));
    const rotated = recorder.rotateIfLarge(1, true);
    const second = recorder.putText(canonical(manifestOf({ name: "put meanwhile" })));
    await rotated;
    expect(durable).toEqual([first, second].toSorted());
  });
});

describe("a write that nobody waits for", () => {
  const entry = { kind: "weight", at: 1, pid: 1, weight: 1 } as const;

  /** How many of the records made since the last barrier a power cut leaves when so much time has passed. */
  async function leftAfter(ms: number, how: "write" | "soon"): Promise<number> {
    const machine = rig({});
    const { recorder } = machine.kernel;
    machine.spawn({ kind: "guest" });
    await recorder.barrier(true);
    const before = recorder.next;
    const clock = new FakeClock(0);
    recorder.record(entry);
    if (how === "soon") recorder.soon(clock);
    else expect(recorder.write(clock)).toEqual({ ok: true });
    clock.advance(ms);
    return machine.log.crash(() => 0).texts.length - before;
  }

  for (const how of ["write", "soon"] as const) {
    test(`KRN-3.5 what nobody waits for is durable within a second (${how})`, async () => {
      expect(await leftAfter(0, how)).toBe(0);
      expect(await leftAfter(1_000, how)).toBe(1);
    });
  }

  test("KRN-3.5 a barrier is all that was waited for: the clock wakes nobody after it", async () => {
    const { recorder } = rig({}).kernel;
    const clock = new FakeClock(0);
    recorder.write(clock);
    await recorder.barrier(true);
    const barrier = vi.spyOn(recorder, "barrier");
    clock.advance(10_000);
    expect(barrier).not.toHaveBeenCalled();
  });

  test("KRN-3.3 a log that cannot be written is told, and nothing is recorded any more", () => {
    const machine = rig({ log: { failWrite: 0 } });
    machine.spawn({});
    expect(machine.kernel.recorder.write(new FakeClock(0))).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    expect(() => machine.kernel.recorder.record(entry)).toThrow(/disk is full/);
  });
});

describe("a write that failed", () => {
  test("KRN-3.3 a payload that could not be written ends all recording at the next barrier, though the log would take more", async () => {
    const machine = rig({
      blobs: { failWrite: 1 },
      handlers: [text],
      script: (_, step) => ok(step === 0 ? calls(["x.text", { n: 20_000 }]) : finish(1)),
    });
    await machine.run({});
    const { recorder } = machine.kernel;
    expect(await recorder.barrier(true)).toMatchObject({ ok: false, error: { errno: "ENOSPC" } });
    const { next } = recorder;
    expect(() => recorder.record({ kind: "weight", at: 1, pid: 1, weight: 5 })).toThrow(/disk is full/);
    expect(recorder.next).toBe(next);
  });

  test("KRN-3.3 no barrier lets an effect go once a write has failed, though the disk has room again", async () => {
    const blobs = openMemoryBlobs();
    let flushes = 0;
    const full = fail("ENOSPC", "the disk is full");
    const again = Object.create(blobs, { flush: { value: () => ((flushes += 1) === 1 ? full : blobs.flush()) } }) as MemoryBlobs;
    const recorder = new Recorder(emptyTable(), openMemoryLog(), again, memorySwap());
    recorder.putText(canonical(manifestOf({})));
    expect([await recorder.barrier(true), await recorder.barrier(true), recorder.failure]).toEqual([full, full, full.error]);
  });
});

describe("digests", () => {
  test("KRN-2.2 a process's digest is another when anything is another that a replay must reproduce", async () => {
    const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
    const script: RigOptions["script"] = (_, step) => ok(calls(step === 0 ? ["x.text", {}] : ["x.hang", {}]));
    const machine = rig({ handlers: [text, hang], script });
    const pid = machine.spawn({});
    await new Promise(setImmediate);
    const proc = machine.kernel.recorder.table.procs.get(pid);
    if (proc === undefined) throw new Error("the process exists");
    const { spend } = proc;
    const others: readonly Partial<Proc>[] = [
      ...[{ tokens: -1 }, { costUsd: -1 }, { calls: -1 }].map((part) => ({ spend: { ...spend, ...part } })),
      ...[{ goal: "another" }, { label: label("untrusted", "secret") }, { messages: [] }, { pages: [] }, { pending: [] }],
      ...[{ limits: { ...proc.limits, calls: 1 } }, { result: { value: 1 } }, { children: [9] }, { tape: new Map() }],
      ...[{ weight: 1 }, { step: 9 }, { refused: 9 }, { windowTokens: 9 }, { windowTokensMax: 9 }, { firstStep: 9 }],
    ];
    const digests = others.map((part) => digestOf({ ...proc, ...part }));
    expect(new Set([digestOf(proc), ...digests]).size).toBe(others.length + 1);
    expect(digestOf({ ...proc, startedAt: 5, endedAt: 6, spend: { ...spend, timeMs: 7 } })).toBe(digestOf(proc));
  });
});

describe("calls of the kernel itself", () => {
  test("KRN-11.1 a spawn that a power cut left without its outcome gives the process it made, and no second one", async () => {
    const b: Body = async (sys) => {
      const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", calls: ["task.done"] }, goal: "c" });
      return child.ok ? await sys.call("proc.wait", child.value) : child;
    };
    const options: RigOptions = { bodies: { b }, script: () => ok(finish("child")) };
    const machine = rig(options);
    machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const image = machine.log.crash(all);
    const spawned = image.texts.findLastIndex((line) => line.startsWith('{"kind":"spawn"'));
    const log = { image: { ...image, texts: image.texts.slice(0, spawned + 1) } };
    const next = rig({ ...options, log, blobs: { image: machine.blobs.crash(() => 0) } });
    expect(await next.kernel.wait(1)).toMatchObject({ ok: true, value: { ok: true } });
    expect(next.kernel.processes().map(({ pid }) => pid)).toEqual([1, 2]);
  });

  test("a process waits for its own children and ends its own children, and nobody else", async () => {
    const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
    const b: Body = async (sys) => ok([await sys.call("proc.wait", { pid: 1 }), await sys.call("proc.kill", { pid: 1 })] as Json);
    const machine = rig({ handlers: [hang], bodies: { b }, script: () => ok(calls(["x.hang", {}])) });
    expect(machine.spawn({})).toBe(1);
    const { status } = await machine.run({ kind: "body", instructions: "b" });
    const refused = (end: string) => ({ ok: false, error: { errno: "ENOENT", message: expect.stringContaining(end) } });
    expect(status).toMatchObject({ ok: true, value: [refused("you have none"), refused("only its own children")] });
    expect(machine.kernel.processes()[0]?.state).toBe("ready");
  });

  test("KRN-1.4 what a child hands to its parent carries the child's label", async () => {
    const untrusted = { integrity: "untrusted", confidentiality: "secret" } as const;
    const dirty = handler({ name: "x.dirty" }, () => ok({ value: "d", label: untrusted }));
    const b: Body = async (sys) => {
      const child = await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", calls: ["*"] }, goal: "c" });
      return child.ok ? await sys.call("proc.wait", child.value) : child;
    };
    const script: RigOptions["script"] = (_, step) => ok(step === 0 ? calls(["x.dirty", {}]) : finish("read"));
    const machine = rig({ handlers: [dirty], bodies: { b }, script });
    const { pid } = await machine.run({ kind: "body", instructions: "b" });
    expect(tableOf(machine).procs.get(pid)?.label).toEqual(untrusted);
  });

  test("KRN-1.4 a child begins with the label of its parent: what the parent read may stand in its goal", async () => {
    const untrusted = { integrity: "untrusted", confidentiality: "secret" } as const;
    const dirty = handler({ name: "x.dirty" }, () => ok({ value: "d", label: untrusted }));
    const parent: Body = async (sys) => {
      const read = await sys.call("x.dirty", {});
      return await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c" }, goal: read.ok ? read.value : null });
    };
    const machine = rig({ handlers: [dirty], bodies: { parent } });
    await machine.run({ kind: "body", instructions: "parent" });
    expect(tableOf(machine).procs.get(2)?.label).toEqual(untrusted);
  });

  test("WIN-1.2 a value of few bytes and many tokens is cut as well, and reads on to its end", async () => {
    const whole = Array.from({ length: 1_300 }, (_, n) => `${n % 10}a`).join("");
    const dense = handler({ name: "x.dense" }, () => ok({ value: whole }));
    const parts: string[] = [];
    const script: RigOptions["script"] = (request) => {
      const last = request.messages.at(-1)?.parts[0];
      if (last?.type !== "result") return ok(calls(["x.dense", {}]));
      const more = /\n\[cut: .*?; mem\.read (\{.*\}) reads on\]$/.exec(last.text);
      parts.push(more === null ? last.text : last.text.slice(0, more.index));
      return ok(more === null ? finish(1) : calls(["mem.read", JSON.parse(more[1] ?? "{}")]));
    };
    await rig({ handlers: [dense], script }).run({ stepsMax: 9 });
    expect([parts.length, parts.join("")]).toEqual([2, whole]);
  });

  test("a page that left the window cannot be pinned there: it is brought back first", async () => {
    const seen: string[] = [];
    const script: RigOptions["script"] = (request) => {
      const step = Number(request.idempotencyKey.split(".")[1]);
      const last = request.messages.at(-1)?.parts[0];
      if (last?.type === "result" && last.name === "mem.pin") return (seen.push(last.text), ok(finish(1)));
      return ok(step < 6 ? calls(["x.text", { n: 4_000 }]) : calls(["mem.pin", { page: "1.0.0" }]));
    };
    await rig({ handlers: [text], windowTokens: 4_000, script }).run({});
    expect(seen).toEqual([expect.stringMatching(/^ESTALE: page 1\.0\.0 was evicted/)]);
  });
});

describe("acts on the workspace's files", () => {
  const act = (phase: FilesEntry["phase"], change: Partial<FilesEntry> = {}): FilesEntry => ({
    kind: "files",
    at: 1,
    pid: 1,
    act: "commit",
    phase,
    changes: [{ path: "a.md", from: null, to: sha256("a") }],
    safety: sha256("safety"),
    ...change,
  });
  test("KRN-1.1 a commit is unfinished from its intent to its outcome, in this kernel and the next", async () => {
    const machine = rig();
    await machine.run({});
    machine.kernel.recorder.record(act("intent"));
    expect(tableOf(machine)).toMatchObject({ unfinished: { act: "commit" }, commits: [] });
    /** After a crash its files may stand in the workspace, so they count as produced. */
    expect(tableOf(machine).produced.get(sha256("a"))).toBe(1);
    expect(tableOf(machine).producedPaths.get("a.md")).toBe(1);
    const next = reborn(machine, {});
    expect(tableOf(next).unfinished).toMatchObject({ phase: "intent", pid: 1 });
    next.kernel.recorder.record(act("outcome"));
    expect(tableOf(next)).toMatchObject({ unfinished: null, commits: [{ session: 1, safety: sha256("safety") }] });
  });

  test("KRN-1.1 a rollback takes its own commit back and no other; one that failed took nothing", async () => {
    const machine = rig();
    await machine.run({});
    for (const name of ["first", "second"]) {
      machine.kernel.recorder.record(act("intent", { safety: sha256(name) }));
      machine.kernel.recorder.record(act("outcome", { safety: sha256(name) }));
    }
    machine.kernel.recorder.record(act("intent", { act: "rollback", safety: sha256("first") }));
    machine.kernel.recorder.record(act("outcome", { act: "rollback", safety: null, changes: [] }));
    expect(tableOf(machine).commits).toHaveLength(2);
    machine.kernel.recorder.record(act("intent", { act: "rollback", safety: sha256("second") }));
    machine.kernel.recorder.record(act("outcome", { act: "rollback", safety: sha256("second") }));
    expect(tableOf(machine)).toMatchObject({ unfinished: null, commits: [{ session: 1, safety: sha256("first") }] });
  });
});
