/** Effects that were under way when a kernel ended: none is made twice, whatever came between. */
import { describe, expect, test } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { Verdict } from "../../src/abi/call.ts";
import type { ModelRequest } from "../../src/abi/model.ts";
import type { Body } from "../../src/abi/sys.ts";
import { ok } from "../../src/lib/result.ts";
import { answer } from "./answer.ts";
import { all, calls, finish, handler, reborn, rig, stepOf, type Rig, type RigOptions, type Script } from "./rig.ts";
import { settled } from "./settled.ts";

/** An effect that is begun and never comes back. */
function mailer() {
  const mails: string[] = [];
  const mail = handler({ name: "x.mail", effect: "irreversible", recovery: "once" }, (_, id) => {
    mails.push(id);
    return new Promise(() => {});
  });
  return { mails, mail };
}

const sends = (request: ModelRequest): ReturnType<typeof calls> =>
  stepOf(request) === 0 ? calls(["x.mail", {}]) : finish("end");

describe("an effect that was under way", () => {
  test("KRN-5.3 is looked at before its budget is asked for: others of the group may have spent the rest since", async () => {
    const { mails, mail } = mailer();
    const b: Body = async (sys) => {
      const manifest = { name: "c", instructions: "c", calls: ["x.*"] };
      const first = await sys.call("proc.spawn", { manifest, goal: "mails" });
      await sys.call("proc.spawn", { manifest, goal: "reads" });
      return first.ok ? await sys.call("proc.wait", first.value) : first;
    };
    const read = handler({ name: "x.read" }, () => ok({ value: 1 }));
    const script: Script = (request) =>
      ok(
        request.messages[0]?.parts[0]?.type === "text" && request.messages[0].parts[0].text === "mails"
          ? sends(request)
          : calls(["x.read", {}], ["x.read", {}], ["x.read", {}]),
      );
    const options: RigOptions = { handlers: [mail, read], bodies: { b }, script };
    const machine = rig(options);
    machine.spawn({ kind: "body", instructions: "b", limits: { ...noLimits, calls: 4 } });
    await settled(machine, 3, "parked");
    expect([mails, machine.kernel.processes()[2]?.park?.type]).toEqual([["2.0.0"], "budget"]);
    const next = reborn(machine, options);
    await settled(next, 2, "parked");
    expect(next.kernel.processes()[1]?.park).toMatchObject({ type: "uncertain", call: "2.0.0" });
    expect(mails).toEqual(["2.0.0"]);
  });

  test("KRN-5.3 is looked at when its program is back, however often the kernel started without it", async () => {
    const { mails, mail } = mailer();
    const b: Body = async (sys) => await sys.call("x.mail", {});
    const machine = rig({ handlers: [mail], bodies: { b } });
    const pid = machine.spawn({ kind: "body", instructions: "b" });
    await new Promise(setImmediate);
    const without = reborn(machine, { handlers: [mail] });
    await settled(without, pid, "parked");
    const next = reborn(without, { handlers: [mail], bodies: { b } });
    answer(next.kernel, pid);
    await settled(next, pid, "parked");
    expect(next.kernel.processes()[0]?.park).toMatchObject({ type: "uncertain", call: `${pid}.0.0` });
    expect(mails).toEqual([`${pid}.0.0`]);
  });

  test("KRN-9.7 is not made by a kernel that leaves the processes where they are, whatever it is told about them", async () => {
    const { mails, mail } = mailer();
    const options: RigOptions = { handlers: [mail], script: (request) => ok(sends(request)) };
    const machine = rig(options);
    const pid = machine.spawn({});
    await new Promise(setImmediate);
    machine.kernel.signal(pid, "stop", "test");
    const aside = reborn(machine, { ...options, leave: true });
    expect(aside.kernel.signal(pid, "continue", "test").ok).toBe(true);
    await new Promise(setImmediate);
    expect([mails, aside.kernel.processes()[0]?.state]).toEqual([[`${pid}.0.0`], "ready"]);
    const next = reborn(aside, options);
    await settled(next, pid, "parked");
    expect(next.kernel.processes()[0]?.park).toMatchObject({ type: "uncertain" });
    expect(mails).toHaveLength(1);
  });

  test("KRN-5.3 was not under way when a person had yet to be asked: they are asked as at first", async () => {
    const { mails, mail } = mailer();
    const options: RigOptions = {
      handlers: [mail],
      decide: (request) => ({ verb: request.action.id === "x.mail" ? "ask" : "allow", rules: ["r"] }),
      script: (request) => ok(sends(request)),
    };
    const machine = rig(options);
    const pid = machine.spawn({});
    await settled(machine, pid, "parked");
    /** The power cut takes the park. */
    const image = machine.log.crash(all);
    const log = { image: { ...image, texts: image.texts.slice(0, -1) } };
    const next = rig({ ...options, log, blobs: { image: machine.blobs.crash(() => 0) } });
    await settled(next, pid, "parked");
    expect([next.kernel.processes()[0]?.park?.type, mails]).toEqual(["approval", []]);
  });

  const looks: readonly (readonly [look: string, verify: () => Verdict, parks: boolean, made: number])[] = [
    ["shows that it happened", () => ({ verdict: "happened", value: { value: "seen" } }), false, 1],
    ["shows that it did not happen", () => ({ verdict: "did-not-happen" }), false, 2],
    ["shows nothing", () => ({ verdict: "unknown", why: "nobody can see it" }), true, 1],
    [
      "fails",
      () => {
        throw new Error("no light");
      },
      true,
      1,
    ],
  ];

  test.each(looks)(
    "KRN-5.3 is made again, or not, or asked about, as a look at the world says: %s",
    async (_, verify, parks, made) => {
      const mails: string[] = [];
      const spec = { name: "x.mail", effect: "external", recovery: "verify" } as const;
      const mail = handler(spec, (_args, id) => (mails.push(id) === 1 ? new Promise(() => {}) : ok({ value: "sent" })), verify);
      const options: RigOptions = { handlers: [mail], script: (request) => ok(sends(request)) };
      const machine = rig(options);
      const pid = machine.spawn({});
      await new Promise(setImmediate);
      const next = reborn(machine, options);
      await settled(next, pid, parks ? "parked" : "zombie");
      expect([mails.length, next.kernel.processes()[0]?.park?.type]).toEqual([made, parks ? "uncertain" : undefined]);
    },
  );

  test("KRN-5.6 a stop during the look changes nothing about it: it is looked at again", async () => {
    let seen = 0;
    const spec = { name: "x.mail", effect: "external", recovery: "verify" } as const;
    const mails: string[] = [];
    const mail = handler(
      spec,
      (_args, id) => (mails.push(id), new Promise(() => {})),
      async () => {
        await Promise.resolve();
        seen += 1;
        if (seen === 1) next.kernel.signal(1, "stop", "test");
        return { verdict: "happened", value: { value: "seen" } };
      },
    );
    const options: RigOptions = { handlers: [mail], script: (request) => ok(sends(request)) };
    const machine = rig(options);
    const pid = machine.spawn({});
    await new Promise(setImmediate);
    const next: Rig = reborn(machine, options);
    await settled(next, pid, "parked");
    next.kernel.signal(pid, "continue", "test");
    expect(await next.kernel.wait(pid)).toEqual(ok("end"));
    expect([seen, mails.length]).toEqual([2, 1]);
  });
});
