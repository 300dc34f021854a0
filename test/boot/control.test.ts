import * as fs from "node:fs";
import { createConnection } from "node:net";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { askKernel, serveControl, type ControlRequest } from "../../src/boot/control.ts";
import { parseJson } from "../../src/lib/json.ts";
import { ok } from "../../src/lib/result.ts";
import { calls, rig } from "../kernel/rig.ts";
import { settled } from "../kernel/settled.ts";
import { down, must, outcomes, parked, start, up, workspace } from "./machine.ts";

/** Sends the pieces one by one, each when the other side has taken the one before, and gives all that came back. */
function send(socketPath: string, pieces: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    const socket = createConnection(socketPath);
    const next = ([piece, ...rest]: readonly string[]): void => {
      if (piece !== undefined) socket.write(piece, () => setImmediate(() => next(rest)));
    };
    socket.on("connect", () => next(pieces));
    socket.on("data", (piece) => (received += piece.toString()));
    socket.on("error", () => resolve(received));
    socket.on("close", () => resolve(received));
  });
}

describe("control", () => {
  it("BOO-11.1  the socket is private, and a dead kernel's is replaced", async () => {
    const where = workspace();
    const first = await up(where);
    expect(fs.statSync(where.layout.socket).mode & 0o777).toBe(0o600);
    expect(fs.statSync(path.dirname(where.layout.socket)).mode & 0o777).toBe(0o700);
    await down(first);
    expect(fs.existsSync(where.layout.socket)).toBe(false);
    /** What a killed kernel leaves: a name with nobody behind it. */
    fs.writeFileSync(where.layout.socket, "", { mode: 0o666 });
    await up(where);
    expect(fs.statSync(where.layout.socket).mode & 0o777).toBe(0o600);
    expect(await askKernel(where.layout.socket, { op: "ping" })).toEqual({ ok: true, value: "pong" });
  });

  it("BOO-11.2  whatever else is asked is EINVAL or the kernel's own refusal, and the kernel goes on", async () => {
    const where = workspace();
    const machine = await up(where);
    const pid = await start(machine, [["ask", { question: "?" }]]);
    await parked(machine, pid);
    const { socket } = where.layout;
    const requests: readonly (readonly [string, string])[] = [
      ["", "EINVAL"],
      ["nonsense", "EINVAL"],
      ["[1]", "EINVAL"],
      ['{"op":"signal","pid":"1","signal":"kill"}', "EINVAL"],
      ['{"op":"signal","pid":1,"signal":"explode"}', "EINVAL"],
      ['{"op":"nice","pid":1,"weight":"heavy"}', "EINVAL"],
      ['{"op":"nice","pid":1,"weight":-5}', "EINVAL"],
      ['{"op":"answer","pid":1,"answer":true}', "EINVAL"],
      ['{"op":"answer","pid":1,"answer":{"allow":true}}', "EINVAL"],
      ['{"op":"answer","pid":1,"answer":{"allow":true,"park":"1"}}', "EINVAL"],
      ['{"op":"answer","pid":1,"answer":{"allow":true,"park":2}}', "ESTALE"],
      ['{"op":"answer","pid":1,"answer":{"allow":true,"park":1.5}}', "ESTALE"],
      ['{"op":"reboot","pid":1}', "EINVAL"],
      ['{"op":"signal","pid":99,"signal":"kill"}', "ENOENT"],
      ['{"op":"signal","pid":1.5,"signal":"kill"}', "ENOENT"],
      [`{"op":"ping","filler":"${"x".repeat(70_000)}"}`, "EINVAL"],
    ];
    for (const [request, errno] of requests) {
      expect(parseJson(await send(socket, [`${request}\n`])), request.slice(0, 60)).toMatchObject({
        ok: false,
        error: { errno },
      });
    }
    expect(parseJson(await send(socket, ["x".repeat(70_000)]))).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    expect(await askKernel(socket, { op: "ping" })).toEqual({ ok: true, value: "pong" });
    expect(machine.kernel.processes()).toMatchObject([{ pid, state: "parked" }]);
  });

  it("BOO-11.2  a request does what it says: nice, answer, kill", async () => {
    const where = workspace();
    const machine = await up(where);
    const pids = [await start(machine, [["ask", { question: "?" }]]), await start(machine, [["ask", { question: "?" }]])];
    const [first = 0, second = 0] = pids;
    for (const pid of pids) await parked(machine, pid);
    const ask = async (request: ControlRequest): Promise<unknown> => must(await askKernel(where.layout.socket, request));
    await ask({ op: "nice", pid: first, weight: 300 });
    expect(machine.kernel.processes()[0]).toMatchObject({ weight: 300 });
    await ask({ op: "answer", pid: first, answer: { park: 1, allow: true, text: "blue", by: "person", raise: null } });
    expect(outcomes(await machine.kernel.wait(first))).toEqual([{ ok: true, value: "blue" }]);
    await ask({ op: "signal", pid: second, signal: "kill", by: "person" });
    expect(await machine.kernel.wait(second)).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
  });

  it("BOO-11.3  no kernel behind the socket is ENOENT, whether or not its name is there", async () => {
    const where = workspace();
    await down(await up(where));
    expect(await askKernel(where.layout.socket, { op: "ping" })).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
    fs.writeFileSync(where.layout.socket, "");
    expect(await askKernel(where.layout.socket, { op: "ping" })).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
  });

  it("BOO-11.4  a request that comes in pieces, or with more behind it, is carried out once", async () => {
    const where = workspace();
    const machine = await up(where);
    const pid = await start(machine, [["ask", { question: "?" }]]);
    await parked(machine, pid);
    const weights: number[] = [];
    machine.kernel.on((entry) => entry.kind === "weight" && weights.push(entry.weight));
    const request = `{"op":"nice","pid":${pid},"weight":7}\n`;
    const answers = [
      await send(where.layout.socket, [request.slice(0, 9), request.slice(9)]),
      await send(where.layout.socket, [request, "more", request, "and more\n"]),
      await send(where.layout.socket, [request + request]),
    ];
    for (const answer of answers) expect(answer).toBe('{"ok":true,"value":null}\n');
    expect(weights).toEqual([7, 7, 7]);
  });

  it("BOO-11.5  an answer that could not be written is an error, and not acknowledged", async () => {
    const asks = () => ok(calls(["ask", { question: "?" }]));
    const where = workspace();
    const { guests } = await up(where);
    const file = path.join(where.folder, "socket");
    for (const [failWrite, told] of [
      [100, { ok: true, value: null }],
      [4, { ok: false, error: { errno: "ENOSPC" } }],
    ] as const) {
      const machine = rig({ script: asks, log: { failWrite } });
      const { kernel } = machine;
      const pid = machine.spawn({});
      await settled(machine, pid, "parked");
      expect(machine.log.next).toBe(4);
      const control = must(await serveControl(file, kernel, guests));
      const answer = { park: 1, allow: true, text: "blue", by: "test", raise: null };
      expect(await askKernel(file, { op: "answer", pid, answer })).toMatchObject(told);
      await control.close();
      await kernel.close();
    }
  });
});
