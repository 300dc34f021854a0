import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { boot } from "../../src/boot/boot.ts";
import { answerAtKeyboard } from "../../src/cli/answer.ts";
import type { Io } from "../../src/cli/io.ts";
import type { Keyboard } from "../../src/cli/term/approval.ts";
import { palette } from "../../src/cli/term/screen.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { must, parked } from "../boot/machine.ts";
import { place, spawnProbe, withProbe } from "./shell.ts";
import { recorder } from "./term/screen.ts";

it("CLI-9.3  an answer that comes after its question is over is told, and the next question is not answered by it", async () => {
  const here = place();
  withProbe(here);
  const world = { cwd: here.folder, env: {}, home: here.home, uid: process.getuid?.() ?? 0 };
  const machine = must(await boot({ world, clock: systemClock(), cpu: "reflex", policyEngine: "compiled" }));
  const pid = await spawnProbe(machine, "hello");
  await parked(machine, pid);
  const screen = recorder({ isTTY: true, columns: 80, rows: 40 });
  const colours = palette(screen, {}, false);
  const input = Object.assign(new EventEmitter(), { resume: () => {}, pause: () => {} });
  const host = Object.assign(new EventEmitter(), { pid: 7, kill: () => {} });
  const io: Io = {
    world,
    out: screen,
    err: screen,
    input,
    clock: systemClock(),
    host,
    colours,
    errColours: colours,
    json: false,
    quiet: false,
  };
  /** While this person reads, another one refuses the call elsewhere, and the process asks its next question. */
  const slow: Keyboard = {
    isTTY: true,
    drain: async () => {},
    readLine: async () => {
      must(machine.kernel.answer(pid, { park: 1, allow: false, text: "", by: "another", raise: null }));
      await parked(machine, pid);
      return /Type ([0-9a-f]{6}) to allow/.exec(screen.text())?.[1] ?? null;
    },
  };
  expect(await answerAtKeyboard(machine, pid, slow, io)).toBe("answered");
  expect(screen.text()).toContain(`question ${pid}:1`);
  expect(machine.kernel.processes()).toMatchObject([{ state: "parked", parks: 2, park: { type: "question" } }]);
  expect(here.has("notes/a.txt")).toBe(false);
  await machine.close();
});
