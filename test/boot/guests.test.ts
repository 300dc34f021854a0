/** Guests as processes of a whole machine, with real programs in real sandboxes. */
import { Client } from "undici";
import { createConnection } from "node:net";
import { afterAll, describe, expect } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { GuestPlan } from "../../src/abi/sandbox.ts";
import type { Machine } from "../../src/boot/boot.ts";
import { askForGuest } from "../../src/boot/guest-line.ts";
import type { GuestAsk, HeldGuest, Order } from "../../src/boot/guests.ts";
import { ok } from "../../src/lib/result.ts";
import { launchGuest } from "../../src/drivers/sandbox/guest-launch.ts";
import { replay } from "../../src/kernel/replay.ts";
import { rule } from "../drivers/sandbox/sandboxed.ts";
import { down, must, up, workspace, type Workspace } from "./machine.ts";

const ask: GuestAsk = { name: "bash", command: ["bash", "-c", "true"], cwd: "/", limits: noLimits };

function planOf(where: Workspace, script: string): GuestPlan {
  return {
    argv: ["/bin/bash", "-c", script],
    root: where.root,
    cwd: where.root,
    home: where.home,
    env: { PATH: "/usr/bin:/bin" },
    files: [],
    shown: [],
    links: [],
    doors: [],
    memoryBytesMax: 256 * 1024 * 1024,
    processesMax: 100,
  };
}

/** Starts the program and carries out what the kernel orders, as a launcher does; gives every order as it comes. */
async function launched(where: Workspace, held: HeldGuest, script: string) {
  const running = must(
    await launchGuest({
      plan: planOf(where, script),
      stage: held.open.stage,
      streams: ["ignore", "pipe", "ignore"],
      graceMs: 100,
    }),
  );
  const orders: Order[] = [];
  const waiting = new Map<Order, () => void>();
  held.orders((order) => {
    orders.push(order);
    if (order === "end") running.end();
    else running.hold(order === "hold");
    waiting.get(order)?.();
  });
  const ordered = (order: Order): Promise<void> =>
    new Promise((resolve) => (orders.includes(order) ? resolve() : waiting.set(order, resolve)));
  return { running, orders, ordered };
}

const procOf = (machine: Machine, pid: number) => machine.kernel.processes().find((proc) => proc.pid === pid);

describe("guests", () => {
  rule("BOO-40.1  a guest is a process with a session before it runs; its command is in the journal, shortened", async () => {
    const where = workspace();
    const machine = await up(where);
    const long = { ...ask, command: ["bash", "-c", "x".repeat(20_000), "more"] };
    const held = must(await machine.guests.open(long));
    expect(procOf(machine, held.open.pid)).toMatchObject({ name: "bash", kind: "guest", state: "ready" });
    const goal = machine.kernel.recorder.table.procs.get(held.open.pid)?.goal;
    expect(goal).toEqual({ command: ["bash", "-c", expect.stringMatching(/^x{7000,8000}…$/)] });
    expect(held.open.stage.root).toContain("/view");
    expect(machine.guests.running).toEqual([held.open.pid]);
  });

  rule("BOO-40.4  BOO-40.5  how it ended and what it changed is told and journaled, and the journal replays", async () => {
    const where = workspace({ "a.txt": "one\n" });
    const machine = await up(where);
    const held = must(await machine.guests.open(ask));
    const { running } = await launched(where, held, "echo two > a.txt; echo new > b.txt; exit 5");
    const report = must(await held.ended(await running.ended));
    expect(report).toMatchObject({ changes: 2, summary: { exit: { ok: true, value: { exitCode: 5 } } } });
    expect(machine.guests.running).toEqual([]);
    const { log, blobs } = machine;
    expect(replay({ log, blobs, until: null, pid: null })).toMatchObject({ ok: true, value: { findings: [] } });
    expect(where.read("a.txt")).toBe("one\n");
  });

  rule(
    "BOO-40.5  what it changed is looked at at once: a file that the workspace changes later is a conflict and is not lost",
    async () => {
      const where = workspace({ "a.txt": "one\n" });
      const machine = await up(where);
      const held = must(await machine.guests.open(ask));
      const { running } = await launched(where, held, "echo two > a.txt");
      must(await held.ended(await running.ended));
      where.put("a.txt", "somebody else's\n");
      const session = must(await machine.sessions.open(held.open.pid));
      const [change] = must(await session.changes());
      const base = machine.blobs.get(change?.base ?? "");
      expect(base.ok && Buffer.from(base.value).toString()).toBe("one\n");
    },
  );

  rule("BOO-40.6  each guest has a credential of its own at the model door, and it ends with the guest", async () => {
    const machine = await up(workspace());
    const [one, two] = [must(await machine.guests.open(ask)), must(await machine.guests.open(ask))];
    const door = one.open.doors.model;
    expect(one.open.credential).not.toBe(two.open.credential);
    const status = async (credential: string): Promise<number> => {
      const client = new Client("http://localhost", { socketPath: door?.socket ?? "" });
      const answer = await client.request({
        method: "POST",
        path: "/v1/messages",
        headers: { "x-api-key": credential },
        body: "{}",
      });
      await answer.body.dump();
      await client.destroy();
      return answer.statusCode;
    };
    /** A request that names no model is refused as such; one of nobody's before it is read. */
    expect(await status(one.open.credential)).toBe(400);
    must(await one.ended(ok({ exitCode: 0, full: null })));
    expect(await status(one.open.credential)).toBe(403);
    expect(await status(two.open.credential)).toBe(400);
    machine.guests.lost(two.open.pid);
    expect(await status(two.open.credential)).toBe(403);
  });

  rule("BOO-40.2  stop, continue and kill reach the program", async () => {
    const where = workspace();
    const machine = await up(where);
    const held = must(await machine.guests.open(ask));
    const { running, orders, ordered } = await launched(where, held, "sleep 971");
    const { pid } = held.open;
    must(machine.kernel.signal(pid, "stop", "test"));
    await ordered("hold");
    must(machine.kernel.signal(pid, "continue", "test"));
    await ordered("go");
    must(machine.kernel.signal(pid, "kill", "test"));
    const end = must(await running.ended);
    expect(end.exitCode).toBeGreaterThan(128);
    expect(orders).toEqual(["hold", "go", "end"]);
    const report = must(await held.ended({ ok: true, value: end }));
    expect(report.summary.exit).toMatchObject({ ok: false, error: { errno: "ECANCELED", message: "killed by test" } });
  });

  rule("BOO-40.2  one that was killed before its launcher listened is told so at once", async () => {
    const where = workspace();
    const machine = await up(where);
    const held = must(await machine.guests.open(ask));
    must(machine.kernel.signal(held.open.pid, "kill", "test"));
    const told = await new Promise<Order>((resolve) => held.orders(resolve));
    expect(told).toBe("end");
  });

  rule("BOO-40.3  when its time is spent it is ended, with that as the reason; while it is stopped no time passes", async () => {
    const where = workspace();
    const machine = await up(where);
    const held = must(await machine.guests.open({ ...ask, limits: { ...noLimits, timeMs: 400 } }));
    const { pid } = held.open;
    const { running, ordered } = await launched(where, held, "sleep 972");
    must(machine.kernel.signal(pid, "stop", "test"));
    await ordered("hold");
    expect(machine.kernel.recorder.table.procs.get(pid)?.runningSince).toBeNull();
    must(machine.kernel.signal(pid, "continue", "test"));
    const report = must(await held.ended(await running.ended));
    expect(report.summary.exit).toMatchObject({ ok: false, error: { errno: "ETIMEDOUT" } });
  });

  rule("BOO-40.4  a full session and a program that was never run are the reason", async () => {
    const machine = await up(workspace());
    const full = must(await machine.guests.open(ask));
    const report = must(await full.ended({ ok: true, value: { exitCode: 143, full: "session" } }));
    expect(report.summary.exit).toMatchObject({ ok: false, error: { errno: "EDQUOT" } });
    const never = must(await machine.guests.open(ask));
    const error = { errno: "EIO", message: "no sandbox" } as const;
    expect(must(await never.ended({ ok: false, error })).summary.exit).toEqual({ ok: false, error });
  });

  rule("BOO-40.4  the next kernel ends a guest whose kernel and launcher are gone", async () => {
    const where = workspace();
    const first = await up(where);
    const held = must(await first.guests.open(ask));
    await down(first);
    const second = await up(where, { processes: "leave" });
    const proc = procOf(second, held.open.pid);
    expect(proc?.exit).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
    expect(proc?.exit?.ok === false && proc.exit.error.message).toContain("its launcher ended");
  });
});

describe("guests of other launchers", () => {
  const sockets: { destroy(): void }[] = [];
  afterAll(() => sockets.forEach((socket) => socket.destroy()));

  rule("BOO-41.1  two launchers work side by side on one kernel, each in a session of its own", async () => {
    const where = workspace();
    const machine = await up(where);
    const [one, two] = [must(await machine.guests.open(ask)), must(await askForGuest(where.layout.socket, ask, null))];
    expect(machine.guests.running).toEqual([one.open.pid, two.open.pid]);
    const guests = [await launched(where, one, "echo 1 > one"), await launched(where, two, "sleep 973")];
    must(machine.kernel.signal(two.open.pid, "stop", "test"));
    await guests[1]?.ordered("hold");
    must(machine.kernel.signal(two.open.pid, "kill", "test"));
    const idle = machine.guests.idle();
    for (const [index, held] of [one, two].entries()) {
      const guest = guests[index];
      if (guest === undefined) throw new Error("no guest");
      const report = must(await held.ended(await guest.running.ended));
      expect(report.changes).toBe(index === 0 ? 1 : 0);
    }
    await idle;
    expect(procOf(machine, two.open.pid)?.exit).toMatchObject({ ok: false, error: { message: "killed by test" } });
  });

  rule("BOO-41.1  a launcher that is gone ends its guest in the journal", async () => {
    const where = workspace();
    const machine = await up(where);
    const socket = createConnection(where.layout.socket);
    socket.write(`${JSON.stringify({ op: "guest", ...ask })}\n`);
    const answer = await new Promise<string>((resolve) => socket.once("data", (piece) => resolve(piece.toString())));
    const { pid } = JSON.parse(answer).value;
    const ended = Promise.resolve(machine.kernel.wait(pid));
    socket.destroy();
    expect(await ended).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
    await machine.guests.idle();
  });

  rule("BOO-41.2  an ask that is no ask opens nothing", async () => {
    const where = workspace();
    const machine = await up(where);
    for (const wrong of [
      { name: "" },
      { name: 7 },
      { name: "x".repeat(300) },
      { command: [] },
      { command: ["a", 1] },
      { limits: { costUsd: -1 } },
      { limits: { more: 1 } },
      { limits: [] },
    ]) {
      const refused = await askForGuest(where.layout.socket, { ...ask, ...wrong } as unknown as GuestAsk, null);
      expect(refused, JSON.stringify(wrong)).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    }
    expect(machine.kernel.processes()).toEqual([]);
    expect(await askForGuest(`${where.layout.socket}-none`, ask, null)).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
  });

  rule("BOO-41.4  a launcher that chooses a CPU is refused before anything is opened", async () => {
    const where = workspace();
    const machine = await up(where);
    expect(await askForGuest(where.layout.socket, ask, "ollama/qwen3")).toMatchObject({ ok: false, error: { errno: "EBUSY" } });
    expect(machine.kernel.processes()).toEqual([]);
    expect(machine.guests.running).toEqual([]);
  });

  rule("BOO-41.3  when the kernel goes its launcher is told to end, and that nothing could be reported", async () => {
    const where = workspace();
    const machine = await up(where);
    const held = must(await askForGuest(where.layout.socket, ask, null));
    const { running } = await launched(where, held, "sleep 974");
    await down(machine);
    const end = await running.ended;
    expect(end).toMatchObject({ ok: true, value: { full: null } });
    expect(await held.ended(end)).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
  });
});
