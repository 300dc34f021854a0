/**
 * Exec bench: a guest from asking a booted machine to the exit of `true`, in a workspace of 10,000 files; and the whole of `daimon exec -- true`
 * beside `daimon ps`, which starts nothing.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noLimits } from "../src/abi/budget.ts";
import type { GuestPlan } from "../src/abi/sandbox.ts";
import { boot, type Machine } from "../src/boot/boot.ts";
import { systemClock } from "../src/drivers/clock/system.ts";
import { launchGuest } from "../src/drivers/sandbox/guest-launch.ts";
import { limits } from "../src/abi/limits.ts";
import { assert } from "../src/lib/assert.ts";
import { atMost, median, quantile, sideBySide, told, type BenchOptions, type Measure } from "./measure.ts";

export const seconds = 60;

const files = 10_000;
const rounds = 40;
const wholeRounds = 10;

export async function run(options: BenchOptions): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(options.data ?? tmpdir(), "daimon-exec-"));
  const [cwd, home] = [join(folder, "work"), join(folder, "home")];
  mkdirSync(home);
  fill(cwd);
  const booted = await boot({
    world: { cwd, env: {}, home, uid: process.getuid?.() ?? 0 },
    clock: systemClock(),
    cpu: "reflex",
    policyEngine: "compiled",
    processes: "leave",
  });
  if (!booted.ok) throw new Error(booted.error.message);
  const machine = booted.value;
  const samples: number[] = [];
  try {
    for (let warm = 0; warm < 3; warm += 1) await guest(machine, planOf(cwd, home));
    for (let round = 0; round < rounds; round += 1) samples.push(await guest(machine, planOf(cwd, home)));
  } finally {
    await machine.close();
  }
  const daimon = (...args: string[]): number => {
    const start = performance.now();
    const door = join(import.meta.dirname, "../bin/daimon.mjs");
    const ran = spawnSync(process.execPath, [door, ...args], { cwd, env: { ...process.env, HOME: home }, stdio: "ignore" });
    assert(ran.status === 0, "the command ended well");
    return performance.now() - start;
  };
  daimon("exec", "--", "true");
  const whole = await sideBySide(wholeRounds, { exec: () => daimon("exec", "--", "true"), ps: () => daimon("ps") });
  rmSync(folder, { recursive: true, force: true });
  return [
    atMost("a guest, from asking a booted machine to the exit of true, p50", median(samples), "ms", 60, "30"),
    told("a guest, p95", quantile(samples, 0.95), "ms"),
    told("the whole of daimon exec -- true, p50", median(whole.exec), "ms"),
    told("daimon ps beside it, p50", median(whole.ps), "ms"),
  ];
}

function fill(root: string): void {
  for (let index = 0; index < files; index += 1) {
    const folder = join(root, `d${index % 100}`);
    if (index < 100) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${index}`), `${index}\n`);
  }
}

function planOf(root: string, home: string): GuestPlan {
  const bounds = { memoryBytesMax: limits.guestMemoryBytesMax, processesMax: limits.guestProcessesMax };
  return {
    argv: ["/bin/true"],
    root,
    cwd: root,
    home,
    env: { PATH: "/bin" },
    files: [],
    shown: [],
    links: [],
    doors: [],
    ...bounds,
  };
}

async function guest({ guests }: Machine, plan: GuestPlan): Promise<number> {
  const start = performance.now();
  const held = await guests.open({ name: "true", command: ["true"], cwd: plan.cwd, limits: noLimits });
  if (!held.ok) throw new Error(held.error.message);
  const running = await launchGuest({ plan, stage: held.value.open.stage, streams: ["ignore", "ignore", "ignore"] });
  if (!running.ok) throw new Error(running.error.message);
  const end = await running.value.ended;
  const ms = performance.now() - start;
  assert(end.ok && end.value.exitCode === 0, "the guest ran");
  await held.value.ended(end);
  return ms;
}
