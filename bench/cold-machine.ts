/** One boot and one step of the embedded CPU, as a program that embeds daimon would do it. */
import { noLimits } from "../src/abi/budget.ts";
import { boot } from "../src/boot/boot.ts";
import { systemClock } from "../src/drivers/clock/system.ts";

export async function firstStep(cwd: string): Promise<void> {
  const world = { cwd, env: {}, home: cwd, uid: process.getuid?.() ?? 0 };
  const booted = await boot({ world, clock: systemClock(), cpu: "reflex", policyEngine: "compiled" });
  if (!booted.ok) throw new Error(booted.error.message);
  const { kernel, close } = booted.value;
  const manifest = {
    name: "first",
    version: "1",
    kind: "agent",
    instructions: "Note the goal.",
    cpu: null,
    calls: ["mem.note", "task.done"],
    output: null,
    limits: noLimits,
    windowTokens: null,
    stepsMax: 1,
    outputs: [],
  } as const;
  const pid = kernel.spawn({ manifest, goal: "The first step is the longest.", parent: 0, call: null });
  if (!pid.ok) throw new Error(pid.error.message);
  await kernel.wait(pid.value);
  if ((kernel.processes()[0]?.step ?? 0) < 1) throw new Error("the process took a step");
  await close();
}
