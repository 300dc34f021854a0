/** Guests: the doors' side of a program that is not ours, on a whole kernel. */
import { expect, test } from "vitest";
import type { ModelReply } from "../../src/abi/model.ts";
import type { GuestProcess } from "../../src/kernel/guest.ts";
import { replay } from "../../src/kernel/replay.ts";
import type { Proc } from "../../src/kernel/table.ts";
import { sysError } from "../../src/abi/errno.ts";
import { noLimits } from "../../src/abi/budget.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { ok } from "../../src/lib/result.ts";
import { answer } from "./answer.ts";
import { all, calls, handler, reborn, rig, say, type Rig, type RigOptions } from "./rig.ts";
import { settled } from "./settled.ts";

const shell = handler({ name: "shell.run", effect: "write", recovery: "once" }, () =>
  ok({ value: "never performed by the kernel" }),
);

const asking = { model: { model: "m", cost: () => 0.001 }, windowTokens: 100, outputTokensMax: 50 };

function guestOn(
  options: RigOptions & { readonly calls?: readonly string[] } = {},
  limits = noLimits,
): { machine: Rig; guest: GuestProcess; proc: Proc } {
  const machine = rig({ handlers: [shell], ...options });
  const pid = machine.spawn({ kind: "guest", name: "claude", instructions: "{}", calls: options.calls ?? ["shell.run"], limits });
  const found = machine.kernel.guest(pid, (name, args) =>
    name === "Bash" ? [{ name: "shell.run", args: args as JsonObject }] : [],
  );
  const proc = machine.kernel.recorder.table.procs.get(pid);
  if (!found.ok || proc === undefined) throw new Error("no guest");
  return { machine, guest: found.value, proc };
}

function billed(reply: ModelReply): ModelReply {
  return { ...reply, usage: { ...reply.usage, inputTokens: 90, outputTokens: 10 } };
}

async function admitted(guest: GuestProcess) {
  const ticket = await guest.admit(asking);
  if (!ticket.ok) throw new Error(ticket.error.message);
  return ticket.value;
}

test("GST-1.1 a request beyond the budget waits, goes on when it is raised, and ends with the guest", async () => {
  const { machine, guest, proc } = guestOn({}, { ...noLimits, tokens: 120 });
  const waiting = guest.admit(asking);
  await settled(machine, guest.pid, "parked");
  expect(proc.park).toMatchObject({ type: "budget", limit: "tokens" });
  answer(machine.kernel, guest.pid, { raise: { tokens: 1_000 } });
  expect(await waiting).toMatchObject({ ok: true, value: { step: 0 } });
  const other = guestOn({}, { ...noLimits, tokens: 120 });
  const lost = other.guest.admit(asking);
  await settled(other.machine, other.guest.pid, "parked");
  other.machine.kernel.signal(other.guest.pid, "kill", "test");
  expect(await lost).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
});

test("GST-1.2 several requests are under way, each with its own reservation, settled by its own reply", async () => {
  const { guest, proc } = guestOn();
  const [first, second] = [await admitted(guest), await admitted(guest)];
  expect([first.step, second.step]).toEqual([0, 1]);
  expect(proc.reserved.tokens).toBe(300);
  await guest.settle(second, billed(say("title")));
  expect(proc.reserved.tokens).toBe(150);
  await guest.settle(first, billed(say("answer")));
  expect(proc.reserved.tokens).toBe(0);
  expect(proc.spend).toMatchObject({ tokens: 200, calls: 0 });
});

test("GST-1.3 calls are decided by what they stand for: one is allowed, one refused, one asked about", async () => {
  const { machine, guest } = guestOn({
    decide: ({ resource }) => {
      if (resource.id.includes("rm")) return { verb: "deny", rules: ["no#1"] };
      return { verb: resource.id.includes("push") ? "ask" : "allow", rules: ["test#1"] };
    },
    handlers: [
      handler({ name: "shell.run", effect: "write", recovery: "once", roles: { command: "command" } }, () => ok({ value: 1 })),
    ],
  });
  const reply = calls(
    ["Bash", { command: "ls" }],
    ["Bash", { command: "rm -rf x" }],
    ["Bash", { command: "git push" }],
    ["TodoWrite", {}],
  );
  const deciding = guest.settle(await admitted(guest), billed(reply));
  await settled(machine, guest.pid, "parked");
  answer(machine.kernel, guest.pid, { allow: false, text: "not today" });
  const verdicts = await deciding;
  expect(verdicts.ok && verdicts.value.map(({ refused }) => refused?.errno ?? null)).toEqual([null, "EPERM", "EPERM", null]);
  expect(verdicts.ok && verdicts.value[2]?.refused?.message).toContain("not today");
});

test("GST-1.4 what an allowed call gave is believed once, taints the guest, and replays", async () => {
  const { machine, guest, proc } = guestOn();
  const reply = calls(["Bash", { command: "ls" }]);
  await guest.settle(await admitted(guest), billed(reply));
  const id = reply.parts.flatMap((part) => (part.type === "call" ? [part.id] : []))[0] ?? "";
  expect(guest.awaits(id)).toBe(true);
  guest.gave("another", { ok: true, text: "x" });
  guest.gave(id, { ok: true, text: "a.md" });
  guest.gave(id, { ok: true, text: "again" });
  expect(guest.awaits(id)).toBe(false);
  expect(proc.pending).toEqual([]);
  expect(proc.label.integrity).toBe("untrusted");
  guest.ended({ ok: true, value: 0 });
  expect(await machine.kernel.wait(guest.pid)).toEqual({ ok: true, value: 0 });
  expect(replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null })).toMatchObject({
    ok: true,
    value: { findings: [] },
  });
  expect(machine.log.crash(all).texts.filter((text) => text.includes('"outcome"'))).toHaveLength(1);
});

test("GST-1.5 a guest that was ended asks and acts no more, and neither does one whose kernel leaves", async () => {
  const { machine, guest } = guestOn();
  const ticket = await admitted(guest);
  machine.kernel.signal(guest.pid, "kill", "test");
  expect(await guest.settle(ticket, billed(calls(["Bash", { command: "ls" }])))).toMatchObject({ ok: false });
  expect(await guest.admit(asking)).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
  const other = guestOn();
  await other.machine.kernel.close();
  expect(await other.guest.admit(asking)).toMatchObject({ ok: false, error: { errno: "EAGAIN" } });
  const again = reborn(other.machine, { handlers: [shell] });
  expect(again.kernel.guest(other.guest.pid, () => []).ok).toBe(true);
});

test("GST-1.6 a request that failed gives its reservation back and costs what was generated", async () => {
  const { machine, guest, proc } = guestOn();
  const [refused, cut] = [await admitted(guest), await admitted(guest)];
  guest.lost(refused, sysError("EAGAIN", "overloaded"), false, 0);
  expect(proc.spend.tokens).toBe(0);
  guest.lost(cut, sysError("EPROTO", "cut off"), true, 7);
  expect(proc.spend.tokens).toBe(107);
  expect(proc.reserved.tokens).toBe(0);
  const told = (): unknown => machine.kernel.processes().find(({ pid }) => pid === guest.pid)?.trouble;
  expect(told()).toMatchObject({ errno: "EPROTO", message: "cut off" });
  await guest.settle(await admitted(guest), billed(say("again")));
  expect(told()).toBe(null);
});

test("GST-1.6 a reply that comes when the guest has ended is paid for by it and by the groups above, and the log replays", async () => {
  const { machine, guest, proc } = guestOn();
  const [late, cut] = [await admitted(guest), await admitted(guest)];
  guest.ended({ ok: true, value: 0 });
  expect(await guest.settle(late, billed(calls(["Bash", { command: "ls" }])))).toMatchObject({ ok: false });
  guest.lost(cut, sysError("ECANCELED", "gone"), true, 5);
  expect(proc.spend.tokens).toBe(100 + 105);
  expect([proc.reserved.tokens, proc.pending]).toEqual([0, []]);
  expect(replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null })).toMatchObject({
    ok: true,
    value: { findings: [] },
  });
});

test("GST-1.7 a call of the tool door is decided, performed and recorded, and a person's no is its answer", async () => {
  const { machine, guest, proc } = guestOn({
    decide: ({ action }) => ({
      verb: action.id === "fs.commit" ? "ask" : action.id.endsWith(".read") ? "allow" : "deny",
      rules: ["test#1"],
    }),
    handlers: [
      handler({ name: "fs.read", effect: "read" }, () => ok({ value: { lines: 1, text: "x".repeat(20_000) } })),
      handler({ name: "fs.commit", effect: "write", recovery: "idempotent" }, () => ok({ value: "done" })),
      handler({ name: "fs.rm", effect: "write", recovery: "idempotent" }, () => ok({ value: "done" })),
    ],
    calls: ["fs.*", "mem.*"],
  });
  const read = await guest.call("fs.read", {});
  expect(read.ok && read.value.text).toMatch(
    /^lines: 1\nx+\n\[cut: \d+ more characters; mem\.read \{"page":"1\.0\.0","from":\d+\} reads on\]$/,
  );
  const more = await guest.call("mem.read", { page: "1.0.0", from: 19_000 });
  expect(more.ok && more.value.text).toContain("xxx");
  expect(await guest.call("fs.rm", {})).toMatchObject({ ok: false, error: { errno: "EPERM" } });
  expect(await guest.call("fs.none", {})).toMatchObject({ ok: false, error: { errno: "ENOSYS" } });
  const [first, second] = [guest.call("fs.commit", {}), guest.call("fs.commit", {})];
  await settled(machine, guest.pid, "parked");
  answer(machine.kernel, guest.pid, { allow: false, text: "not yet" });
  expect(await first).toMatchObject({
    ok: false,
    error: { errno: "EPERM", message: expect.stringContaining("not yet") as string },
  });
  await settled(machine, guest.pid, "parked");
  answer(machine.kernel, guest.pid, { allow: true });
  expect(await second).toEqual({ ok: true, value: { value: "done", text: "done" } });
  expect(proc.pending).toEqual([]);
  guest.ended({ ok: true, value: 0 });
  expect(replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null })).toMatchObject({
    ok: true,
    value: { findings: [] },
  });
});

test("GST-1.8 a guest that goes round in a circle waits for a person, and goes on when they say so", async () => {
  const { machine, guest, proc } = guestOn();
  for (let n = 0; n < 32; n += 1) await guest.settle(await admitted(guest), billed(say(n % 2 === 0 ? "compacting" : "going on")));
  const waiting = guest.admit(asking);
  await settled(machine, guest.pid, "parked");
  expect(proc.park).toMatchObject({ type: "degraded", error: { errno: "EDEADLK" } });
  answer(machine.kernel, guest.pid, { allow: true });
  expect((await waiting).ok).toBe(true);
  const other = guestOn();
  for (let n = 0; n < 64; n += 1) {
    const reply = calls(["Bash", { command: "cat log" }]);
    await other.guest.settle(await admitted(other.guest), billed(reply));
    const id = reply.parts.flatMap((part) => (part.type === "call" ? [part.id] : []))[0] ?? "";
    other.guest.gave(id, { ok: true, text: `line ${n}` });
  }
  expect((await other.guest.admit(asking)).ok).toBe(true);
});

const connect = handler({ name: "net.connect", effect: "external", recovery: "once" }, () => ok({ value: "way" }));

test("GST-1.9 what would be decided is told without a record, also while the guest waits, and not when it has ended", async () => {
  const verb = { now: "allow" as "allow" | "ask" | "deny" };
  const rules = (): string[] => (verb.now === "deny" ? [] : ["test#1"]);
  const { machine, guest } = guestOn({
    handlers: [connect],
    calls: ["net.*"],
    decide: () => ({ verb: verb.now, rules: rules() }),
  });
  const entries: string[] = [];
  machine.kernel.on(({ kind }) => entries.push(kind));
  for (const now of ["allow", "ask", "deny"] as const) {
    verb.now = now;
    expect(guest.weigh("net.connect", {})).toMatchObject({
      ok: true,
      value: { verb: now, rules: rules(), label: { integrity: "user" } },
    });
  }
  expect(entries).toEqual([]);
  verb.now = "ask";
  const waiting = guest.call("net.connect", {});
  await settled(machine, guest.pid, "parked");
  expect(guest.weigh("net.connect", {})).toMatchObject({ ok: true, value: { verb: "ask" } });
  machine.kernel.signal(guest.pid, "kill", "test");
  expect(await waiting).toMatchObject({ ok: false });
  expect(guest.weigh("net.connect", {})).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
});

test("GST-1.10 what a door refuses is a refused call that nobody was asked about, and the journal replays", () => {
  const { machine, guest, proc } = guestOn({
    handlers: [connect],
    calls: ["net.*"],
    decide: () => ({ verb: "ask", rules: ["test#1"] }),
  });
  guest.refused("net.connect", { url: "https://a.test" }, sysError("EPERM", "its address is private"));
  expect(proc).toMatchObject({ state: "ready", refused: 1, pending: [] });
  guest.ended({ ok: true, value: 0 });
  guest.refused("net.connect", { url: "https://a.test" }, sysError("EPERM", "too late"));
  expect(proc.refused).toBe(1);
  expect(replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null })).toMatchObject({
    ok: true,
    value: { findings: [] },
  });
});
