/** What leaves a window, and how it comes back. */
import { expect, test } from "vitest";
import type { Message } from "../../src/abi/message.ts";
import type { ModelReply } from "../../src/abi/model.ts";
import { decode } from "../../src/kernel/codec.ts";
import { replay } from "../../src/kernel/replay.ts";
import type { Proc } from "../../src/kernel/table.ts";
import { ok } from "../../src/lib/result.ts";
import { estimateTokens } from "../../src/lib/tokens.ts";
import { calls, finish, handler, rig, say, type Rig } from "./rig.ts";

const write = handler({ name: "x.write", effect: "write", recovery: "idempotent" }, () => ok({ value: "written" }));

/** Writes a long text at each step, reads its third reply again at the end, and says what it got. */
function writer(steps: number, seen: { windows: (readonly Message[])[]; back: string }): Rig {
  let step = -1;
  return rig({
    handlers: [write],
    windowTokens: 4_000,
    script: (request) => {
      step += 1;
      seen.windows.push(request.messages);
      if (step === 1) return ok(calls(["mem.note", { key: "name", text: "the note that stays" }]));
      if (step < steps) return ok(sized(calls(["x.write", { text: `${step}: ${"word ".repeat(60)}` }])));
      if (step === steps) return ok(calls(["mem.read", { page: "1.3" }]));
      const last = request.messages.at(-1)?.parts[0];
      seen.back = last?.type === "result" ? last.text : "";
      return ok(finish("done"));
    },
  });
}

test("KRN-15.1 a task of many times its window goes on: whole turns leave, notes stay, and a reply comes back by its number", async () => {
  const seen = { windows: [] as (readonly Message[])[], back: "" };
  const machine = writer(200, seen);
  expect((await machine.run({ stepsMax: 1_000 })).status).toEqual({ ok: true, value: "done" });
  expect(seen.back).toBe(`called x.write ${JSON.stringify({ text: `3: ${"word ".repeat(60)}` })}`);
  const last = seen.windows.at(-1) ?? [];
  expect(last.length).toBeLessThan(60);
  expect(JSON.stringify(last)).toContain("the note that stays");
  const roles = last.filter((message, n) => n === 0 || message.role !== "user").map((message) => message.role);
  expect(roles).toEqual(["user", ...roles.slice(1).map((_, n) => (n % 2 === 0 ? "assistant" : "tool"))]);
  const evictions = entriesOf(machine).flatMap((entry) => (entry?.kind === "evict" ? [entry] : []));
  const gone = evictions.flatMap((entry) => (entry.turns ?? []).map((turn) => turn.step));
  expect(gone).toEqual(gone.toSorted((a, b) => a - b));
  expect(gone).not.toContain(1);
  expect(replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null })).toMatchObject({
    ok: true,
    value: { findings: [] },
  });
});

test("KRN-15.2 a memo says how many turns left, what each of their calls was and gave, and how to bring one back", async () => {
  const seen = { windows: [] as (readonly Message[])[], back: "" };
  const machine = writer(60, seen);
  let batches = 0;
  machine.kernel.on((entry) => {
    const proc = machine.kernel.recorder.table.procs.get(1);
    if (entry.kind !== "evict" || proc === undefined) return;
    batches += 1;
    expect(proc.windowTokens).toBe(counted(proc));
    expect(proc.windowTokens).toBeLessThan(proc.windowTokensMax * 0.8);
  });
  await machine.run({ stepsMax: 1_000 });
  const memo = memoIn(seen.windows.at(-1) ?? []);
  expect(memo).toMatch(/^\[\d\d earlier turns left .* \{"page":"1\.\d+"\}/);
  expect(memo).toMatch(/\nx\.write \{"text":"\d+: word .*… → \d+ tokens \(1\.\d+\.0\)$/);
  expect(batches).toBeGreaterThan(2);
});

test("KRN-15.2 a call made again and again, and refused each time, is one line with a count", async () => {
  let step = -1;
  const { run } = rig({
    handlers: [write],
    windowTokens: 4_000,
    script: (request) => {
      step += 1;
      if (step === 80) return ok(finish(memoIn(request.messages)));
      const what = step % 2 === 0 ? "fs.secret" : "x.write";
      return ok(sized(calls([what, { path: "same", ...(what === "x.write" ? { text: "word ".repeat(80 + (step % 3)) } : {}) }])));
    },
  });
  const { status } = await run({ stepsMax: 1_000 });
  const memo = status.ok ? String(status.value) : "";
  expect(memo).toMatch(/\nfs\.secret \{"path":"same"\} → E\w+ \(\d+ times, last 1\.\d+\.0\)/);
  expect(memo.match(/fs\.secret/g)).toHaveLength(1);
});

test("KRN-15.3 what was sent before the first turn that left is sent again as it was", async () => {
  const seen = { windows: [] as (readonly Message[])[], back: "" };
  const machine = writer(120, seen);
  await machine.run({ stepsMax: 1_000 });
  let batches = 0;
  for (const [n, after] of seen.windows.entries()) {
    const before = seen.windows[n - 1];
    const at = after.findIndex((message, place) => place > 0 && message.role === "user");
    if (before === undefined || memoIn(before) === "") continue;
    batches += memoIn(before) === memoIn(after) ? 0 : 1;
    /** The goal and the turn that holds the note: the very objects, whose wire bytes are cached. */
    expect(at).toBe(3);
    expect(after.slice(0, at).every((message, place) => message === before[place])).toBe(true);
  }
  expect(batches).toBeGreaterThan(1);
});

test("KRN-15.4 the memo stays within its share of the window, and says that older lines left", async () => {
  const seen = { windows: [] as (readonly Message[])[], back: "" };
  const machine = writer(300, seen);
  await machine.run({ stepsMax: 1_000 });
  const memo = memoIn(seen.windows.at(-1) ?? []);
  expect(memo.split("\n")[1]).toBe("[older lines left too]");
  expect(memo.split("\n").length).toBeGreaterThan(3);
  expect(estimateTokens(memo)).toBeLessThan(4_000 * 0.1 + 10);
});

test("KRN-13.5 the calls a process is offered count into its window", async () => {
  const wide = handler({ name: "x.wide", input: { type: "object", description: "d".repeat(4_000) } }, () => ok({ value: 1 }));
  const { kernel, run } = rig({ handlers: [wide], script: () => ok(say("done")) });
  const size = async (offered: readonly string[]): Promise<number> => {
    const { pid } = await run({ calls: offered });
    return kernel.recorder.table.procs.get(pid)?.windowTokens ?? 0;
  };
  const [bare, offered] = [await size([]), await size(["x.wide"])];
  expect(offered - bare).toBeGreaterThan(400);
});

/** The text that stands for the turns that left. */
function memoIn(messages: readonly Message[]): string {
  const part = messages.find((message, n) => n > 0 && message.role === "user")?.parts[0];
  return part?.type === "text" ? part.text : "";
}

/** A reply that was billed for what it says. */
function sized(reply: ModelReply): ModelReply {
  return { ...reply, usage: { ...reply.usage, outputTokens: estimateTokens(JSON.stringify(reply.parts)) } };
}

/** The window counted anew from what stands in it. */
function counted(proc: Proc): number {
  const pages = new Map(proc.pages.map((page) => [page.id, page]));
  let tokens = 0;
  for (const message of proc.messages) {
    if (message.role !== "tool") tokens += message.tokens;
    for (const part of message.parts) {
      if (part.type !== "result") continue;
      const page = pages.get(part.page);
      tokens += page?.resident === true ? page.tokens : estimateTokens(part.text);
    }
  }
  return tokens;
}

function entriesOf(machine: Rig) {
  return [...machine.log.read(0)].flatMap((record) => (record.ok ? [decode(record.value.text)] : []));
}
