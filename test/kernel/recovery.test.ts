/** Recovery where it is hardest: what a power cut left half, and what was under way. */
import { describe, expect, test } from "vitest";
import type { CallHandler } from "../../src/abi/call.ts";
import { fail } from "../../src/abi/errno.ts";
import type { Body } from "../../src/abi/sys.ts";
import { FakeClock } from "../../src/drivers/clock/fake.ts";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog } from "../../src/drivers/store/memory-log.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { replayBody } from "../../src/kernel/replay.ts";
import { serialise } from "../../src/kernel/snapshot.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { ok } from "../../src/lib/result.ts";
import { answer } from "./answer.ts";
import { all, calls, finish, handler, rig, stepOf, type Rig, type RigOptions, type Script } from "./rig.ts";
import { settled } from "./settled.ts";

test("KRN-10.3 a record whose payload is lost leaves no trace in the table, its time neither", async () => {
  const clock = new FakeClock(1_000_000);
  const large = handler({ name: "x.large" }, () => {
    clock.advance(25_000);
    return ok({ value: "l".repeat(20_000) });
  });
  const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
  const machine = rig({ clock, handlers: [large, hang], script: () => ok(calls(["x.large", {}], ["x.hang", {}])) });
  machine.spawn({});
  await new Promise(setImmediate);
  const log = machine.log.crash(all);
  const manifestOnly = [...machine.blobs.crash(() => 0)].filter(([, content]) => !content.includes("llll"));
  const next = rig({ clock, log: { image: log }, blobs: { image: new Map(manifestOnly) }, handlers: [large, hang] });
  /** The content is met again, and with it the payload is there again. */
  await new Promise(setImmediate);
  const again = recoverTable(next.log, next.blobs);
  expect(again.ok && serialise(again.value.table)).toBe(serialise(next.kernel.recorder.table));
});

/** What a power cut leaves when every record was written and no payload with this text. */
function without(machine: Rig, text: string): Pick<RigOptions, "log" | "blobs"> {
  const log = { image: machine.log.crash(all) };
  const kept = [...machine.blobs.crash(() => 0)].filter(([, content]) => !content.includes(text));
  return { log, blobs: { image: new Map(kept) } };
}

test("KRN-10.3 a call of a body whose result is lost never counted: it is made again, and the body goes on", async () => {
  let made = 0;
  const large = handler({ name: "x.large" }, () => ok({ value: `${(made += 1)}${"l".repeat(20_000)}` }));
  const hang = handler({ name: "x.hang" }, () => (made === 1 ? new Promise(() => {}) : ok({ value: null })));
  const b: Body = async (sys) => {
    const first = await sys.call("x.large", {});
    await sys.call("x.hang", {});
    return first.ok ? ok(String(first.value).length) : first;
  };
  const options = { handlers: [large, hang], bodies: { b } };
  const machine = rig(options);
  const pid = machine.spawn({ kind: "body", instructions: "b" });
  await new Promise(setImmediate);
  const next = rig({ ...options, ...without(machine, "llll") });
  expect(await next.kernel.wait(pid)).toEqual(ok(20_001));
  expect(made).toBe(2);
});

test("KRN-10.3 a reply that was too large for its record never counted without its payload, nor what stood behind it", async () => {
  const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
  const script: Script = (_, step) =>
    ok(calls(step === 0 ? ["mem.note", { key: "k", text: "n".repeat(20_000) }] : ["x.hang", {}]));
  const machine = rig({ handlers: [hang], script });
  machine.spawn({});
  await new Promise(setImmediate);
  const lost = without(machine, "nnnn");
  const recovered = recoverTable(openMemoryLog(lost.log), openMemoryBlobs(lost.blobs));
  const turn = [...machine.log.read(0)].findIndex((record) => record.ok && record.value.text.startsWith('{"kind":"turn"'));
  expect(recovered).toMatchObject({ ok: true, value: { cut: turn } });
  expect(recovered.ok && recovered.value.table.procs.get(1)).toMatchObject({ step: 0, pending: [] });
});

test("KRN-10.3 a process whose manifest is lost was never started, and the time it was started at never was", async () => {
  const clock = new FakeClock(1_000_000);
  const machine = rig({ clock, handlers: [handler({ name: "x.hang" }, () => new Promise(() => {}))] });
  const before = machine.kernel.recorder.table.at;
  clock.advance(5_000);
  machine.spawn({ instructions: "a manifest that is lost" });
  const lost = without(machine, "a manifest that is lost");
  const recovered = recoverTable(openMemoryLog(lost.log), openMemoryBlobs(lost.blobs));
  expect(recovered.ok && [recovered.value.table.procs.size, recovered.value.table.at]).toEqual([0, before]);
});

test("KRN-10.3 an eviction whose page is lost never counted: the page is in the window still, and can be read again", async () => {
  const page = handler({ name: "x.page" }, (args) => ok({ value: `${String(args["n"])} ${"p".repeat(2_500)}` }));
  const read: string[] = [];
  let evicted = 0;
  const options = (life: number): RigOptions => ({
    handlers: [page, handler({ name: "x.hang" }, () => new Promise(() => {}))],
    windowTokens: 3_000,
    script: (request) => {
      const step = Number(request.idempotencyKey.split(".")[1]);
      if (evicted === 0) return ok(calls(["x.page", { n: step }]));
      const last = request.messages.at(-1)?.parts[0];
      if (last?.type === "result" && last.name === "mem.read") return (read.push(last.text), ok(finish(1)));
      return ok(calls(life === 1 ? ["x.hang", {}] : ["mem.read", { page: "1.0.0" }]));
    },
  });
  const machine = rig(options(1));
  machine.kernel.on((entry) => (evicted += entry.kind === "evict" ? 1 : 0));
  const pid = machine.spawn({});
  await new Promise(setImmediate);
  expect(evicted).toBe(1);
  const next = rig({ ...options(2), ...without(machine, "pppp") });
  expect(await next.kernel.wait(pid)).toEqual(ok(1));
  expect(read).toEqual([`0 ${"p".repeat(2_500)}`]);
});

describe("a payload that is missing with nothing but a crash behind it", () => {
  const large = handler({ name: "x.large" }, () => ok({ value: "v".repeat(20_000) }));
  const act = handler({ name: "x.act", effect: "write", recovery: "idempotent" }, () => ok({ value: "done" }));

  /** One process reads something large, then does `next`; then the large value is gone from the disk. */
  async function withoutPayload(next: "x.act" | "x.large", remote: boolean) {
    const machine = rig({
      handlers: [large, act],
      remote,
      script: (request) => {
        const step = stepOf(request);
        return ok(step === 0 ? calls(["x.large", {}]) : step === 1 ? calls([next, {}]) : finish("done"));
      },
    });
    await machine.run({});
    const image = new Map(machine.blobs.crash(() => 0));
    image.delete(sha256(JSON.stringify("v".repeat(20_000))));
    return recoverTable(openMemoryLog({ image: machine.log.crash(all) }), openMemoryBlobs({ image }));
  }

  test("KRN-10.6 is damage when an effect came after it: the effect had waited for the disk", async () => {
    expect(await withoutPayload("x.act", false)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });

  test("KRN-10.6 is damage when a remote model answered after it", async () => {
    expect(await withoutPayload("x.large", true)).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
  });

  test("KRN-10.3 counts as lost with the power when only reads came after it", async () => {
    expect(await withoutPayload("x.large", false)).toMatchObject({ ok: true, value: { cut: expect.any(Number) as number } });
  });
});

test("KRN-10.3 what one power cut left says nothing about the records that the next one left", () => {
  const log = openMemoryLog();
  const at = 1_000_000;
  const spawn = (manifest: string): object => ({
    kind: "spawn",
    at,
    pid: 1,
    parent: 0,
    call: null,
    manifest: sha256(manifest),
    goal: "",
  });
  const turn = (intent: object): object => ({ kind: "turn", at, pid: 1, step: 1, parts: [{ type: "call" }], intents: [intent] });
  const boot = { kind: "boot", at, version: "0", digest: "0", policy: "0", steps: [] };
  const outcome = { kind: "outcome", at, pid: 1, id: "1.1.0", value: "read", tokens: 1 };
  const first = [boot, spawn("lost with the first"), turn({ verb: "allow", rules: [], effect: "write" })];
  const second = [{ ...boot, cut: 1 }, spawn("lost with the second"), turn({ verb: "allow", rules: [] }), outcome];
  for (const entry of [...first, ...second]) log.append(JSON.stringify(entry));
  expect(recoverTable(log, openMemoryBlobs())).toMatchObject({ ok: true, value: { cut: 4 } });
});

describe("an order of a person that a power cut left half written", () => {
  const acted: string[] = [];
  const act = handler({ name: "x.act", effect: "write", recovery: "idempotent" }, (_, id) => ok({ value: acted.push(id) }));
  const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
  const options = { handlers: [act, hang] };

  /** The next kernel over a log that ends with its newest record of this kind. */
  function cutAfter(machine: Rig, kind: string, more: RigOptions): Rig {
    const image = machine.log.crash(all);
    const last = image.texts.findLastIndex((text) => text.startsWith(`{"kind":"${kind}"`));
    return rig({
      ...more,
      log: { image: { ...image, texts: image.texts.slice(0, last + 1) } },
      blobs: { image: machine.blobs.crash(() => 0) },
    });
  }

  test("KRN-9.8 a process that was told to end before a crash ends first of all in the next kernel, with all below it", async () => {
    acted.length = 0;
    const b: Body = async (sys) => {
      await sys.call("proc.spawn", { manifest: { name: "c", instructions: "c", calls: ["x.*"] }, goal: 1 });
      await sys.call("x.hang", {});
      return await sys.call("x.act", {});
    };
    const more: RigOptions = { ...options, bodies: { b }, script: () => ok(calls(["x.hang", {}], ["x.act", {}])) };
    const machine = rig(more);
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "kill", "ada");
    const free = { ...more, handlers: [act, handler({ name: "x.hang" }, () => ok({ value: 1 }))] };
    const next = cutAfter(machine, "signal", free);
    expect(await next.kernel.wait(pid)).toMatchObject({ ok: false, error: { errno: "ECANCELED", message: "killed by ada" } });
    await new Promise(setImmediate);
    expect(acted).toEqual([]);
    expect(next.kernel.processes().map(({ state }) => state)).toEqual(["zombie", "zombie"]);
    expect(next.resumed).toEqual([]);
  });

  test("KRN-9.8 a no to going on holds as well", async () => {
    let asked = 0;
    const more: RigOptions = {
      remote: true,
      script: () => ((asked += 1) === 1 ? fail("EIO", "the provider is down") : ok(finish("on"))),
    };
    const machine = rig(more);
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    answer(machine.kernel, pid, { allow: false, text: "let it be" });
    const next = cutAfter(machine, "answer", more);
    expect(await next.kernel.wait(pid)).toMatchObject({ ok: false, error: { errno: "ECANCELED", message: "let it be" } });
    expect(asked).toBe(1);
  });
});

test("KRN-10.6 a plan that cannot be worked out proves nothing about the disk: the power cut behind it is one like any other", async () => {
  const large = handler({ name: "x.large" }, () => ok({ value: "l".repeat(20_000) }));
  const deal: CallHandler = {
    ...handler({ name: "x.deal", effect: "external" }, () => ok({ value: "dealt" })),
    freeze: () => fail("ESTALE", "there is nothing to deal with"),
  };
  const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
  const machine = rig({
    handlers: [large, deal, hang],
    decide: (request) => ({ verb: request.action.id === "x.deal" ? "ask" : "allow", rules: ["r"] }),
    script: (_, step) => ok(calls(step === 0 ? ["x.large", {}] : step === 1 ? ["x.deal", {}] : ["x.hang", {}])),
  });
  machine.spawn({});
  await new Promise(setImmediate);
  /** Nothing has been made durable but what the barrier of the deal has, if it asked for one. */
  const image = { image: new Map(machine.blobs.crash(() => 1)) };
  expect(recoverTable(openMemoryLog({ image: machine.log.crash(all) }), openMemoryBlobs(image))).toMatchObject({ ok: true });
});

test("RPL-1.2 a body is replayed by what counts: an end that a power cut took is not its end", async () => {
  const large = handler({ name: "x.large" }, () => ok({ value: "l".repeat(20_000) }));
  const hang = handler({ name: "x.hang" }, () => new Promise(() => {}));
  const read = handler({ name: "x.read" }, (args) => ok({ value: args["of"] ?? null }));
  const reads =
    (of: string): Body =>
    async (sys) =>
      await sys.call("x.read", { of });
  const bodies = { before: reads("before"), after: reads("after") };
  const options: RigOptions = { handlers: [large, hang, read], bodies, script: () => ok(calls(["x.large", {}], ["x.hang", {}])) };
  const machine = rig(options);
  machine.spawn({});
  expect((await machine.run({ kind: "body", instructions: "before" })).pid).toBe(2);
  /** The payload is lost, and with it what came after; then the same content is met again, and another program gets the pid. */
  const next = rig({ ...options, ...without(machine, "llll") });
  await new Promise(setImmediate);
  expect((await next.run({ kind: "body", instructions: "after" })).pid).toBe(2);
  const stores = { log: next.log, blobs: next.blobs, until: null, pid: 2 };
  expect(await replayBody({ ...stores, body: bodies.after })).toEqual(ok([]));
});
