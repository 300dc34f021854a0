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
  const roles = last.map((message) => message.role);
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

test("KRN-15.2 the first message says how many turns left and how to bring one back, and the window's size is what stands in it", async () => {
  const seen = { windows: [] as (readonly Message[])[], back: "" };
  const machine = writer(60, seen);
  let batches = 0;
  machine.kernel.on((entry) => {
    const proc = machine.kernel.recorder.table.procs.get(1);
    if (entry.kind !== "evict" || proc === undefined) return;
    batches += 1;
    /** Counted when it first stood there; its numbers grow by a digit or two. */
    expect(Math.abs(proc.windowTokens - counted(proc))).toBeLessThanOrEqual(2);
    expect(proc.windowTokens).toBeLessThan(proc.windowTokensMax * 0.8);
  });
  await machine.run({ stepsMax: 1_000 });
  const parts = seen.windows.at(-1)?.[0]?.parts ?? [];
  expect(parts).toHaveLength(2);
  expect(parts[1]).toMatchObject({ text: expect.stringMatching(/^\[\d\d earlier turns left .* mem\.read \{"page":"1\.\d+"\}/) });
  expect(batches).toBeGreaterThan(2);
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
    for (const part of message.parts.slice(message.role === "user" ? 1 : 0)) {
      if (part.type === "text" && message.role === "user") tokens += estimateTokens(part.text);
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
