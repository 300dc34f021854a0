import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { Decision, PolicyRequest, Verb } from "../../src/abi/policy.ts";
import { limits } from "../../src/abi/limits.ts";
import type { Json } from "../../src/lib/json.ts";
import { ok } from "../../src/lib/result.ts";
import { calls, finish, handler, rig, type Rig, type RigOptions } from "./rig.ts";
import { settled } from "./settled.ts";
import { answer } from "./answer.ts";

const put = handler(
  {
    name: "x.put",
    effect: "write",
    input: {
      type: "object",
      properties: { paths: { type: "array", items: { type: "string" } } },
      required: ["paths"],
      additionalProperties: false,
    },
    roles: { paths: "path" },
  },
  () => ok({ value: "put" }),
);

/** What the model reads after asking for one call. */
async function asked(name: string, args: Json, options: RigOptions & { calls?: readonly string[] } = {}): Promise<string> {
  let read = "";
  const machine = rig({
    handlers: [put],
    ...options,
    script: (request, step) => {
      const last = request.messages.at(-1)?.parts[0];
      if (step === 1 && last?.type === "result") read = last.text;
      return ok(step === 0 ? calls([name, args]) : finish(1));
    },
  });
  const { status } = await machine.run({
    stepsMax: 2,
    calls: options.calls ?? ["*"],
  });
  expect(status.ok || status.error.errno, JSON.stringify(status)).toSatisfy((end) => end === true || end === "EDEADLK");
  return read;
}

const deny = (): Decision => ({ verb: "deny", rules: [] });

describe("the trap", () => {
  test("TRP-2.1 schema, capability and policy are asked in this order, and the first refusal answers", async () => {
    expect(await asked("x.put", { paths: [1] }, { calls: [], decide: deny })).toMatch(/^EINVAL: x\.put: paths\.0 must be string/);
    expect(await asked("x.put", { paths: ["a"] }, { calls: ["task.done"], decide: deny })).toMatch(/^EACCES: /);
    expect(await asked("x.put", { paths: ["a"] }, { decide: deny })).toMatch(/^EPERM: /);
    expect(await asked("x.put", { paths: ["a"] })).toBe("put");
  });

  test("KRN-5.9 a value of another form than its call declares is EPROTO with the call's name, and nothing of it is kept", async () => {
    const output = { type: "object", properties: { lines: { type: "integer" } }, required: ["lines"] } as const;
    const gives = (value: Json) => handler({ name: "x.count", output }, () => ok({ value }));
    expect(await asked("x.count", {}, { handlers: [gives({ lines: 3 })] })).toBe('{"lines":3}');
    const wrong = await asked("x.count", {}, { handlers: [gives({ lines: "secret words" })] });
    expect(wrong).toMatch(/^EPROTO: x\.count .*lines must be integer/);
    expect(wrong).not.toContain("secret words");
    expect(await asked("x.count", {}, { handlers: [gives("3")] })).toMatch(/^EPROTO: x\.count /);
  });

  test("KRN-5.9 what a look at the world gives is held to the same form", async () => {
    const output = { type: "string" } as const;
    const odd = handler({ name: "x.odd", output, effect: "write", recovery: "verify" }, () => ok({ value: 1 }));
    expect(await asked("x.odd", {}, { handlers: [odd] })).toMatch(/^EPROTO: x\.odd /);
  });

  test("KRN-4.2 a call whose own schema is broken is not made, whichever of its schemas it is", async () => {
    for (const broken of [{ input: { type: "objekt" } }, { output: { type: "objekt" } }]) {
      let made = false;
      const call = handler({ name: "x.broken", ...broken }, () => {
        made = true;
        return ok({ value: "made" });
      });
      expect(await asked("x.broken", {}, { handlers: [call] })).toMatch(/^EINVAL: .*schema of x\.broken is broken/);
      expect(made).toBe(false);
    }
  });

  test("KRN-4.3 a call that is not offered is made, and stands in no model's list", async () => {
    const quiet = handler({ name: "x.quiet", offered: false }, () => ok({ value: "made" }));
    const machine = rig({ handlers: [quiet, put] });
    expect(machine.kernel.calls.tools(() => true).map(({ name }) => name)).not.toContain("x.quiet");
    expect(await asked("x.quiet", {}, { handlers: [quiet] })).toBe("made");
  });

  test("KRN-5.5 a call beyond the budget of its process or a group above parks and asks; task.done is always affordable", async () => {
    const options = {
      handlers: [put],
      script: (_: unknown, step: number) => ok(step < 3 ? calls(["x.put", { paths: ["a"] }]) : finish("reported")),
    };
    const machine = rig(options);
    const pid = machine.spawn({ limits: { ...noLimits, calls: 2 } });
    await settled(machine, pid, "parked");
    expect(machine.kernel.processes()[0]).toMatchObject({ step: 3, park: { type: "budget", limit: "calls", group: pid } });
    answer(machine.kernel, pid, { raise: { calls: 3 } });
    expect(await machine.kernel.wait(pid)).toEqual({ ok: true, value: "reported" });
  });

  test("TRP-2.2 a call no rule permits is refused", async () => {
    expect(await asked("x.put", { paths: ["a"] }, { decide: deny })).toMatch(/no rule permits this write call/);
  });

  test("TRP-2.3 of several questions the worst answer counts", async () => {
    const verbs = fc.array(fc.constantFrom<Verb>("allow", "ask", "deny"), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(verbs, async (list) => {
        const decide = (request: PolicyRequest): Decision => {
          const verb = request.action.id === "x.put" ? (list[Number(request.resource.id)] ?? "deny") : "allow";
          return { verb, rules: [`r-${verb}`] };
        };
        const machine: Rig = rig({
          handlers: [put],
          decide,
          script: (_, step) => ok(step === 0 ? calls(["x.put", { paths: list.map((_one, n) => String(n)) }]) : finish(1)),
        });
        const pid = machine.spawn({});
        await settled(machine, pid, list.includes("ask") && !list.includes("deny") ? "parked" : "zombie");
        expect(machine.kernel.processes()[0]?.refused).toBe(list.includes("deny") ? 1 : 0);
        await machine.kernel.close();
      }),
      { numRuns: 40 },
    );
  });

  test("TRP-2.3 a read that needs a yes waits for it, also behind reads that need none", async () => {
    const made: string[] = [];
    const read = (name: string) => handler({ name }, () => ok({ value: made.push(name) }));
    const machine = rig({
      handlers: [read("x.free"), read("x.asked")],
      decide: (request) => ({ verb: request.action.id === "x.asked" ? "ask" : "allow", rules: ["r"] }),
      script: (_, step) => ok(step === 0 ? calls(["x.free", {}], ["x.asked", {}], ["x.free", {}]) : finish("end")),
    });
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    expect([machine.kernel.processes()[0]?.park, made]).toMatchObject([{ type: "approval", call: "1.0.1" }, ["x.free"]]);
    answer(machine.kernel, pid);
    expect(await machine.kernel.wait(pid)).toEqual(ok("end"));
    expect(made).toEqual(["x.free", "x.asked", "x.free"]);
  });

  test("TRP-2.4 a refusal says which stage refused, why, and what else may be done", async () => {
    expect(await asked("x.nowhere", {})).toMatch(/^ENOSYS: there is no call "x\.nowhere"; yours are ask, mem\.note/);
    expect(await asked("x.put", "text")).toMatch(/^EINVAL: x\.put takes an object of arguments/);
    expect(await asked("x.put", { paths: ["../a"] })).toMatch(/^EINVAL: .*leaves its folder/);
    const forbidden = await asked(
      "x.put",
      { paths: ["a"] },
      {
        decide: (request) => (request.action.id === "x.put" ? { verb: "deny", rules: ["test#7"] } : { verb: "allow", rules: [] }),
      },
    );
    expect(forbidden).toMatch(/rule test#7 of the project policy forbids it; go on without it/);
  });

  test("arguments nested beyond the bound are refused, however deep", async () => {
    let deep: Json = 1;
    for (let level = 0; level < 5_000; level += 1) deep = { deep };
    expect(await asked("x.put", { paths: [], deep })).toMatch(
      /^EINVAL: x\.put takes an object of arguments, not "arguments nested too deeply"/,
    );
    const read = handler({ name: "x.deep" }, () => ok({ value: deep }));
    expect(await asked("x.deep", {}, { handlers: [read] })).toMatch(/^EPROTO: x\.deep gave a value nested deeper/);
  });

  test("calls beyond the bound of one reply are refused, the others made", async () => {
    const machine = rig({
      handlers: [put],
      script: (_, step) =>
        ok(
          step === 0
            ? calls(...Array.from({ length: limits.callsPerTurnMax + 2 }, () => ["x.put", { paths: ["a"] }] as const))
            : finish(1),
        ),
    });
    await machine.run({});
    expect(machine.kernel.processes()[0]).toMatchObject({ refused: 2 });
  });

  test("KRN-4.2 a schema that cannot be compiled refuses its call when it is made, and nothing else", async () => {
    const broken = handler({ name: "x.broken", input: { type: "nonsense" } }, () => ok({ value: 1 }));
    const options = { handlers: [broken, put] };
    expect(await asked("x.put", { paths: [] }, options)).toBe("put");
    expect(await asked("x.broken", {}, options)).toMatch(/^EINVAL: x\.broken: the schema of x\.broken is broken/);
  });
});
