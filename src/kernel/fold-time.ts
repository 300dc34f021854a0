/**
 * Fold, time: how long a process ran. Its clock stands still while it or anything below it waits for a person, and while no kernel runs.
 *   KRN-16.1  The time a process waits for a person counts for nobody, and the time between two kernels neither.
 */
import { assert } from "../lib/assert.ts";
import { ancestry, type Proc, type Table } from "./table.ts";

/** The process begins to wait for a person: every group above waits with it. */
export function standStill(table: Table, proc: Proc, at: number): void {
  for (const group of ancestry(table, proc)) {
    group.waits += 1;
    halt(group, at);
  }
}

export function goOn(table: Table, proc: Proc, at: number): void {
  for (const group of ancestry(table, proc)) {
    group.waits -= 1;
    assert(group.waits >= 0, "who goes on has waited");
    if (group.waits === 0 && group.state !== "zombie") group.runningSince = at;
  }
}

/** It has ended: its clock stops for good, and whoever waited because of it goes on. */
export function stopTime(table: Table, proc: Proc, at: number): void {
  if (proc.state === "parked") goOn(table, proc, at);
  halt(proc, at);
}

/** A kernel came after another: nothing ran between the last entry of the one and the first of the other. */
export function newKernel(table: Table, at: number): void {
  for (const proc of table.procs.values()) {
    if (proc.runningSince === null) continue;
    halt(proc, table.at);
    proc.runningSince = at;
  }
}

/** Milliseconds at `now`. */
export function timeOf(proc: Proc, now: number): number {
  return proc.spend.timeMs + (proc.runningSince === null ? 0 : Math.max(0, now - proc.runningSince));
}

function halt(proc: Proc, at: number): void {
  proc.spend.timeMs = timeOf(proc, at);
  proc.runningSince = null;
}
