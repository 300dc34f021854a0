/**
 * Room: what the agents of each pass have left of their windows for work, asked of the kernel before anything runs.
 *   PRG-9.1  Work is split by the window that a process really gets, the least of what program, option, configuration and model say, less its
 *            instructions, calls and contract.
 *   PRG-9.2  Where a window holds no useful piece beside them nothing is started, and the error names the smallest window that works.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Pass, Program } from "../abi/program.ts";
import type { Sys } from "../abi/sys.ts";
import { ok, type Result } from "../lib/result.ts";
import { measure } from "./agents.ts";

/** Pass → the tokens that are free in a window of its agents before it gets its input. */
export type Rooms = ReadonlyMap<string, number>;

/** No piece of work grows beyond what this holds, however large the model's window. */
const freeTokensMax = 32_000;
/** The least that a piece of work takes: some lines of a document with what is said about them, or a few facts. */
const pieceTokensMin = 400;
/** The smallest window is named in steps of this. */
const windowStep = 50;

export async function roomsOf(sys: Sys, program: Program): Promise<Result<Rooms, SysError>> {
  const rooms = new Map<string, number>();
  let needed = 0;
  let short = "";
  for (const pass of program.passes.filter(({ by }) => by === "agent")) {
    const measured = await measure(sys, program.name, pass);
    if (!measured.ok) return measured;
    const { windowTokens, headTokens } = measured.value;
    const least = leastFree(pass);
    if (headTokens + least > windowTokens && headTokens + least > needed)
      short = `pass ${pass.name} of ${program.name} cannot work in a window of ${windowTokens} tokens: its instructions, calls and contract take ${headTokens}, and it needs ${least} more at least`;
    needed = Math.max(needed, headTokens + least);
    rooms.set(pass.name, Math.min(windowTokens - headTokens, freeTokensMax));
  }
  if (short === "") return ok(rooms);
  const smallest = Math.ceil(needed / windowStep) * windowStep;
  return fail(
    "ENOMEM",
    `${short}; the smallest window that works is ${smallest} tokens: raise what bounds it: --window, window in daimon.yaml, windowTokens of the program, or the model`,
  );
}

/** What is reduced needs room for two pieces, of which one is kept. */
function leastFree(pass: Pass): number {
  return pass.reduce === null ? pieceTokensMin : 2 * pieceTokensMin;
}

/** What a pass may take at once: the result has to fit beside it, should it be refused and tried again. */
export function inputTokensMax(freeTokens: number): number {
  return Math.floor(freeTokens / 2);
}

/** How one agent reads its part of a document. */
export interface ReadPlan {
  readonly tokensPerRead: number;
  readonly readsPerPart: number;
}

const readShare = 0.25;
const readTokensMin = 240;
/** The line above a read's text: path, lines and digest. */
const readHeadTokens = 120;
/** What stays of a read once its text has left the window: the note, its call, the stub; and that a paragraph cut short is read again. */
const noteTokens = 420;
/** How many times its free window one agent reads through. */
const windowsPerPart = 1.5;

/** The newest text that was read and the notes of all before it fit the window of every pass that reads documents. */
export function readPlanOf(program: Program, rooms: Rooms): ReadPlan {
  const readers = program.passes.filter(({ each }) => each?.of === "documents");
  const free = Math.min(freeTokensMax, ...readers.flatMap(({ name }) => rooms.get(name) ?? []));
  const most = limits.resultTokensMax - readHeadTokens;
  const tokensPerRead = Math.floor(Math.min(Math.max(free * readShare, readTokensMin), most));
  const notes = Math.floor((free - tokensPerRead - readHeadTokens) / noteTokens);
  const through = Math.ceil((free * windowsPerPart) / tokensPerRead);
  return { tokensPerRead, readsPerPart: Math.max(1, Math.min(1 + notes, through)) };
}
