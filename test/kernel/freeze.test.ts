import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CallContext, CallHandler } from "../../src/abi/call.ts";
import { fail, type SysError } from "../../src/abi/errno.ts";
import type { Verb } from "../../src/abi/policy.ts";
import { waitingOf } from "../../src/cli/waiting.ts";
import { decode } from "../../src/kernel/codec.ts";
import { replay } from "../../src/kernel/replay.ts";
import { sha256, type Digest } from "../../src/lib/hash.ts";
import type { Json } from "../../src/lib/json.ts";
import { ok, type Awaitable, type Result } from "../../src/lib/result.ts";
import { answer } from "./answer.ts";
import { calls, finish, handler, rig, type Rig, type RigOptions } from "./rig.ts";
import { settled } from "./settled.ts";

/** A call that puts what the world holds at the moment somewhere; its argument only says that it shall. */
function world(verb: Verb = "ask") {
  const state = { holds: "first", freezes: 0, hang: false, freeze: null as (() => Awaitable<Result<Digest, SysError>>) | null };
  const put: { readonly plan: Digest | null; readonly holds: string }[] = [];
  const { spec } = handler({ name: "x.put", effect: "external", recovery: "verify" }, () => ok({ value: null }));
  const call: CallHandler = {
    spec,
    freeze: () => {
      state.freezes += 1;
      return state.freeze === null ? ok(sha256(state.holds)) : state.freeze();
    },
    perform: (_args: never, { frozen }: CallContext) => {
      if (state.hang) return new Promise(() => {});
      put.push({ plan: frozen, holds: state.holds });
      return ok({ value: state.holds });
    },
    verify: () => ({ verdict: "did-not-happen" }),
  };
  const options: RigOptions = {
    handlers: [call],
    decide: (request) => ({ verb: request.action.id === "x.put" ? verb : "allow", rules: ["r"] }),
    script: (request, step) => ok(step === 0 ? calls(["x.put", {}]) : finish(resultOf(request.messages))),
  };
  return { state, put, options };
}

function resultOf(messages: readonly { readonly parts: readonly unknown[] }[]): Json {
  const part = messages.at(-1)?.parts[0];
  return typeof part === "object" && part !== null && "text" in part ? String(part.text) : "nothing";
}

function parkOf(machine: Rig): unknown {
  const { park, parks } = machine.kernel.processes()[0] ?? {};
  return { parks, ...park };
}

describe("a call that is frozen for a person's yes", () => {
  test("KRN-5.7 is worked out before they are asked, the journal names the plan, and it is performed as it stood", async () => {
    const { state, put, options } = world();
    const machine = rig(options);
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    expect(parkOf(machine)).toMatchObject({ parks: 1, type: "approval", call: "1.0.0", frozen: sha256("first") });
    expect([state.freezes, put]).toEqual([1, []]);
    answer(machine.kernel, pid);
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "first" });
    expect(put).toEqual([{ plan: sha256("first"), holds: "first" }]);
    const parks = [...machine.log.read(0)].flatMap((record) => {
      const entry = record.ok ? decode(record.value.text) : null;
      return entry?.kind === "park" ? [entry.reason] : [];
    });
    expect(parks).toMatchObject([{ type: "approval", frozen: sha256("first") }]);
    const proof = replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null });
    expect(proof.ok && [proof.value.findings, proof.value.proved]).toEqual([[], 1]);
  });

  test("KRN-5.7 is asked about again when it would do something else by now, however often, and never performed as it was not shown", async () => {
    const { state, put, options } = world();
    const machine = rig(options);
    const pid = machine.spawn({});
    for (const [n, holds] of ["second", "third"].entries()) {
      await settled(machine, pid, "parked");
      state.holds = holds;
      answer(machine.kernel, pid);
      await settled(machine, pid, "parked");
      expect(parkOf(machine)).toMatchObject({
        parks: n + 2,
        question: expect.stringContaining("changed"),
        frozen: sha256(holds),
      });
    }
    expect(put).toEqual([]);
    expect(machine.kernel.answer(pid, { park: 1, allow: true, text: "", by: "late", raise: null })).toMatchObject({
      error: { errno: "ESTALE" },
    });
    answer(machine.kernel, pid);
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "third" });
    expect(put).toEqual([{ plan: sha256("third"), holds: "third" }]);
  });

  test("KRN-5.7 that cannot be worked out fails with the reason, and nobody is asked", async () => {
    const { state, put, options } = world();
    state.freeze = () => fail("ESTALE", "1 conflict");
    expect((await rig(options).run({})).status).toEqual({ ok: true, value: "ESTALE: 1 conflict" });
    state.freeze = () => {
      throw new Error("secret detail");
    };
    expect((await rig(options).run({})).status).toMatchObject({
      ok: true,
      value: expect.stringMatching(/^EIO: the call's driver/),
    });
    state.freeze = async () => await Promise.reject(new Error("secret detail"));
    expect((await rig(options).run({})).status).toMatchObject({
      ok: true,
      value: expect.stringMatching(/^EIO: the call's driver/),
    });
    state.freeze = null;
    const machine = rig(options);
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    state.freeze = () => fail("ESTALE", "1 conflict");
    answer(machine.kernel, pid);
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "ESTALE: 1 conflict" });
    expect(put).toEqual([]);
  });

  test("KRN-5.7 is asked about again after a restart in the middle of it, when it would do something else by now", async () => {
    for (const changed of [false, true]) {
      const { state, put, options } = world();
      const machine = rig(options);
      const pid = machine.spawn({});
      await settled(machine, pid, "parked");
      state.hang = true;
      answer(machine.kernel, pid);
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      state.hang = false;
      if (changed) state.holds = "second";
      const next = rig({
        ...options,
        log: { image: machine.log.crash(() => 0.999) },
        blobs: { image: machine.blobs.crash(() => 0) },
      });
      if (changed) {
        await settled(next, pid, "parked");
        expect(parkOf(next)).toMatchObject({ parks: 2, frozen: sha256("second") });
        answer(next.kernel, pid);
      }
      expect(await next.kernel.wait(pid)).toEqual({ ok: true, value: changed ? "second" : "first" });
      expect(put).toHaveLength(1);
    }
  });

  test("KRN-5.7 is not worked out where nobody is asked, or after a no; and a kill meanwhile ends it", async () => {
    const allowed = world("allow");
    expect((await rig(allowed.options).run({})).status).toEqual({ ok: true, value: "first" });
    expect([allowed.state.freezes, allowed.put]).toEqual([0, [{ plan: null, holds: "first" }]]);
    const refused = world();
    const machine = rig(refused.options);
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    answer(machine.kernel, pid, { allow: false });
    expect(await machine.kernel.wait(pid)).toMatchObject({ ok: true, value: expect.stringMatching(/^EPERM: a person refused/) });
    expect([refused.state.freezes, refused.put]).toEqual([1, []]);
    const killed = world();
    let freed = (_: Result<Digest, SysError>): void => {};
    killed.state.freeze = () => new Promise((resolve) => (freed = resolve));
    const third = rig(killed.options);
    const gone = third.spawn({});
    await new Promise(setImmediate);
    third.kernel.signal(gone, "kill", "test");
    freed(ok(sha256("x")));
    await new Promise(setImmediate);
    expect(third.kernel.processes()).toMatchObject([{ state: "zombie", parks: 0 }]);
    expect(killed.put).toEqual([]);
  });
});

test("KRN-5.8 the arguments a person is shown are the arguments performed, also after a restart", async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.boolean(), async (given, restart) => {
      const performed: Json[] = [];
      const send = handler({ name: "x.send", effect: "external" }, (args) =>
        ok({ value: performed.push(structuredClone(args)) }),
      );
      const options: RigOptions = {
        handlers: [send],
        decide: (request) => ({ verb: request.action.id === "x.send" ? "ask" : "allow", rules: ["r"] }),
        script: (_, step) => ok(step === 0 ? calls(["x.send", given as Json]) : finish("sent")),
      };
      const first = rig(options);
      const pid = first.spawn({});
      await settled(first, pid, "parked");
      const machine = restart
        ? rig({ ...options, log: { image: first.log.crash(() => 0.999) }, blobs: { image: first.blobs.crash(() => 0) } })
        : first;
      const proc = machine.kernel.recorder.table.procs.get(pid);
      if (proc === undefined) throw new Error("it is there");
      machine.kernel.recorder.swapIn(proc);
      const shown = waitingOf(proc, { spec: () => send.spec, rule: () => undefined, review: () => fail("ENOENT", "none") });
      const args = structuredClone(shown?.call?.args);
      answer(machine.kernel, pid);
      expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "sent" });
      expect(performed).toEqual([args]);
    }),
    { numRuns: 60 },
  );
});
