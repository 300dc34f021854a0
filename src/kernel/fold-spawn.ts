/** Fold, spawn: the entries that make a process, or make it another. */
import type { CallId } from "../abi/call.ts";
import type { ExecEntry, SpawnEntry } from "../abi/entry.ts";
import type { Message } from "../abi/message.ts";
import { assert } from "../lib/assert.ts";
import type { FoldInput } from "./fold.ts";
import { procOf, type Table, type Taped } from "./table.ts";
import { render } from "./window.ts";

export function applySpawn(table: Table, entry: SpawnEntry, input: FoldInput): void {
  assert(entry.pid === table.nextPid, "pids are given in order");
  const manifest = input.manifest(entry.manifest);
  table.nextPid = entry.pid + 1;
  table.procs.set(entry.pid, {
    pid: entry.pid,
    parent: entry.parent,
    call: entry.call,
    manifestDigest: entry.manifest,
    manifest,
    cpu: entry.cpu,
    goal: entry.goal,
    session: entry.session,
    windowTokensMax: entry.windowTokensMax,
    startedAt: entry.at,
    limits: manifest.limits,
    label: entry.label,
    weight: entry.weight,
    state: "ready",
    park: null,
    parks: 0,
    ending: null,
    exit: null,
    exitDigest: null,
    endedAt: null,
    step: 0,
    messages: manifest.kind === "agent" ? [goalMessage(entry)] : [],
    pages: [],
    windowTokens: entry.headTokens,
    pagesEvicted: 0,
    turnsEvicted: 0,
    pending: [],
    tape: manifest.kind === "body" ? new Map<CallId, Taped>() : null,
    result: null,
    refused: 0,
    trouble: null,
    unpricedTokens: 0,
    finished: null,
    firstStep: 0,
    runningSince: entry.at,
    waits: 0,
    spend: { costUsd: 0, tokens: 0, calls: 0, timeMs: 0 },
    reserved: { costUsd: 0, tokens: 0, calls: 0, timeMs: 0 },
    held: [],
    children: [],
    swapped: null,
  });
  table.live += 1;
  table.procs.get(entry.parent)?.children.push(entry.pid);
}

export function applyExec(table: Table, entry: ExecEntry, input: FoldInput): void {
  const proc = procOf(table, entry.pid);
  const manifest = input.manifest(entry.manifest);
  proc.manifest = manifest;
  proc.manifestDigest = entry.manifest;
  proc.cpu = entry.cpu;
  proc.goal = entry.goal;
  proc.limits = manifest.limits;
  proc.windowTokensMax = entry.windowTokensMax;
  proc.windowTokens = entry.headTokens;
  proc.messages = [goalMessage(entry)];
  proc.pages = [];
  proc.turnsEvicted = 0;
  proc.pending = [];
  proc.result = null;
  proc.finished = null;
  proc.firstStep = proc.step;
}

function goalMessage(entry: SpawnEntry | ExecEntry): Message {
  return { role: "user", parts: [{ type: "text", text: render(entry.goal) }], tokens: entry.headTokens };
}
