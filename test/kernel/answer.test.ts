import { describe, expect, test } from "vitest";
import type { Answer } from "../../src/abi/entry.ts";
import type { Decision, PolicyRequest } from "../../src/abi/policy.ts";
import { decode } from "../../src/kernel/codec.ts";
import type { Json } from "../../src/lib/json.ts";
import { ok } from "../../src/lib/result.ts";
import { calls, finish, handler, rig, type Rig } from "./rig.ts";
import { settled } from "./settled.ts";

const yes = { allow: true, text: "", by: "test", raise: null };
const asks = (request: PolicyRequest): Decision => ({ verb: request.action.id === "x.send" ? "ask" : "allow", rules: ["r"] });

function sender(): { readonly sent: Json[]; readonly options: Parameters<typeof rig>[0] } {
  const sent: Json[] = [];
  const send = handler({ name: "x.send", effect: "external" }, (args) => ok({ value: sent.push(args) }));
  const script = (_: unknown, step: number) => ok(step < 2 ? calls(["x.send", { to: `step ${step}` }]) : finish("sent"));
  return { sent, options: { handlers: [send], decide: asks, script } };
}

async function parkedAt(machine: Rig, pid: number, park: number): Promise<void> {
  await settled(machine, pid, "parked");
  expect(machine.kernel.processes()[pid - 1]).toMatchObject({ state: "parked", parks: park });
}

describe("an answer", () => {
  test("KRN-9.6 for a question that is over is ESTALE, and the question that is open stays open", async () => {
    const { sent, options } = sender();
    const machine = rig(options);
    const pid = machine.spawn({});
    await parkedAt(machine, pid, 1);
    const typed: Answer = { ...yes, park: 1 };
    expect(machine.kernel.answer(pid, typed).ok).toBe(true);
    await parkedAt(machine, pid, 2);
    expect(machine.kernel.answer(pid, typed)).toMatchObject({
      ok: false,
      error: { errno: "ESTALE", message: expect.stringMatching(/1:1.*1:2.*daimon approve/) },
    });
    for (const park of [0, 3, -1, 1.5, Number.NaN]) {
      expect(machine.kernel.answer(pid, { ...yes, park })).toMatchObject({ ok: false, error: { errno: "ESTALE" } });
    }
    await parkedAt(machine, pid, 2);
    expect(sent).toEqual([{ to: "step 0" }]);
    expect(machine.kernel.answer(pid, { ...yes, park: 2 }).ok).toBe(true);
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "sent" });
  });

  test("KRN-9.6 of another kind of question does not land either, and the number goes on across a restart", async () => {
    const { sent, options } = sender();
    const machine = rig(options);
    const pid = machine.spawn({ stepsMax: 2 });
    await parkedAt(machine, pid, 1);
    machine.kernel.answer(pid, { ...yes, park: 1, allow: false });
    await parkedAt(machine, pid, 2);
    await machine.kernel.recorder.rotateIfLarge(1, true);
    const next = rig({
      ...options,
      log: { image: machine.log.crash(() => 0.999) },
      blobs: { image: machine.blobs.crash(() => 0) },
    });
    expect(next.kernel.processes()[0]).toMatchObject({ state: "parked", parks: 2 });
    expect(next.kernel.answer(pid, { ...yes, park: 1 })).toMatchObject({ error: { errno: "ESTALE" } });
    expect(next.kernel.answer(pid, { ...yes, park: 2 }).ok).toBe(true);
    expect(sent).toEqual([{ to: "step 1" }]);
  });

  test("KRN-9.6 is in the journal with the number of its question", async () => {
    const { options } = sender();
    const machine = rig(options);
    const pid = machine.spawn({});
    for (const park of [1, 2]) {
      await parkedAt(machine, pid, park);
      machine.kernel.answer(pid, { ...yes, park });
    }
    await machine.kernel.wait(pid);
    const answers = [...machine.log.read(0)].flatMap((record) => {
      const entry = record.ok ? decode(record.value.text) : null;
      return entry?.kind === "answer" ? [[entry.park, entry.by]] : [];
    });
    expect(answers).toEqual([
      [1, "test"],
      [2, "test"],
    ]);
  });
});
