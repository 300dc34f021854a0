/**
 * Reflex: the embedded CPU, a deterministic, extractive language engine. It reads what the goal names, notes what it finds, and finishes
 * with quotes in the shape of the contract. It quotes, selects, classifies and orders; it never invents, and it costs nothing.
 *   CPU-1.1  The same request gives the same reply: no clock, no chance, no memory but the request.
 *   CPU-1.2  Instructions are the system prompt and the goal. No text in a result changes what it does next.
 *   CPU-1.3  It asks only for calls that it is offered.
 *   CPU-1.4  What it read is noted before it reads on, so eviction loses no fact.
 *   CPU-1.5  A refused call is remembered and reported; the rest of the work goes on.
 *   CPU-1.6  A contract it cannot fill is not faked: it says which part is missing and ends without task.done.
 */
import type { CallPart, Part } from "../../abi/message.ts";
import { fail, type SysError } from "../../abi/errno.ts";
import type { ModelDriver, ModelReply, ModelRequest, StopReason, ThinkIo } from "../../abi/model.ts";
import { isObject, type Json, type JsonSchema } from "../../lib/json.ts";
import { ok, type Result } from "../../lib/result.ts";
import { sentencesOf, readBlocks, noCarry, linesOf } from "../../lib/text-blocks.ts";
import { factKind, isQuotable } from "../../lib/text-facts.ts";
import { rankFacts, bySource, type Fact } from "../../lib/text-rank.ts";
import { estimateTokens } from "../../lib/tokens.ts";
import { build, type Material } from "./reflex/build.ts";
import { noteOf } from "./reflex/chunk.ts";
import { carryOf, conversationOf, nextLine, type Conversation, type NoteMemo, type Progress } from "./reflex/conversation.ts";
import { goalOf, type Goal, type GoalMemo } from "./reflex/goal.ts";
import { formatNote, noteKey, type Note } from "./reflex/notes.ts";

/** Documents that are read side by side in one step. */
const readsPerStepMax = 4;
const windowTokensDefault = 32_000;

/** What was read from the messages of live windows. It holds nothing that the messages do not say. */
export interface ReflexMemo {
  readonly goals: GoalMemo;
  readonly notes: NoteMemo;
}

export function reflexMemo(): ReflexMemo {
  return { goals: new WeakMap(), notes: new WeakMap() };
}

export function reflexDriver(): ModelDriver {
  const memo = reflexMemo();
  return {
    name: "reflex",
    remote: false,
    textOnly: true,
    windowTokens: () => windowTokensDefault,
    think: (request, io) => answer(request, io, (asked) => reflexParts(asked, memo), "reflex"),
    close: () => {},
  };
}

/** A reply with its usage by the token estimate. There is nothing to wait for, so it streams as whole parts. */
export function answer(
  request: ModelRequest,
  io: ThinkIo,
  think: (request: ModelRequest) => readonly Part[],
  model: string,
): Result<ModelReply, SysError> {
  if (io.signal?.aborted === true) return fail("ECANCELED", `the request to ${model} was cancelled before it began; ask again`);
  const parts = think(request);
  for (const part of parts) {
    if (part.type === "text") io.onDelta?.({ type: "text", text: part.text });
    if (part.type === "call") io.onDelta?.({ type: "call", name: part.name });
  }
  return ok(replyOf(request, parts, model));
}

function replyOf(request: ModelRequest, parts: readonly Part[], model: string): ModelReply {
  const stop: StopReason = parts.some((part) => part.type === "call") ? "calls" : "end";
  let inputTokens = estimateTokens(request.system);
  for (const message of request.messages) inputTokens += message.tokens;
  let outputTokens = 0;
  for (const part of parts) outputTokens += estimateTokens(part.type === "text" ? part.text : JSON.stringify(part));
  return {
    parts,
    stop,
    usage: { inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true },
    model,
  };
}

/** What reflex says next. */
export function reflexParts(request: ModelRequest, memo: ReflexMemo): readonly Part[] {
  const goal = goalOf(request.messages, memo.goals);
  const offered = new Set(request.tools.map((tool) => tool.name));
  const found = conversationOf(request.messages, goal, memo.notes);
  if (found.misfit !== null) return [text(`The result was refused and nothing else was found that fits: ${found.misfit}`)];
  const reading = offered.has("fs.read") ? readOn(request, goal, found, offered) : [];
  return reading.some((part) => part.type === "call") ? reading : finish(request, goal, found, offered);
}

function text(words: string): Part {
  return { type: "text", text: words };
}

/** Unique in the window, which can lose turns but never makes a step twice; in the letters every provider takes. */
export function callIdOf(request: ModelRequest, letter: string, n: number): string {
  return `${letter}${request.idempotencyKey.replaceAll(".", "_")}_${n}`;
}

function caller(request: ModelRequest): (name: string, args: Json) => CallPart {
  let count = 0;
  return (name, args) => ({ type: "call", id: callIdOf(request, "r", count++), name, args });
}

/** Note what is fresh and ask for what is left; no call among the parts when all is read. */
function readOn(request: ModelRequest, goal: Goal, found: Conversation, offered: ReadonlySet<string>): Part[] {
  const call = caller(request);
  const notes: Part[] = [];
  const reads: Part[] = [];
  for (const folder of goal.documents.length > 0 || !offered.has("fs.list") ? [] : goal.folders) {
    if (!found.listings.has(folder)) reads.push(call("fs.list", { path: folder }));
  }
  for (const progress of found.documents) {
    if (progress.refused !== null) continue;
    const note = noteOfFresh(progress, false);
    const after: Progress = note === null ? progress : { ...progress, notes: [...progress.notes, note], fresh: null };
    if (note !== null) notes.push(noted(call, note, offered.has("mem.note") && !found.notesRefused));
    if (reads.length >= readsPerStepMax) continue;
    const from = nextLine(after);
    if (progress.lost !== null && offered.has("mem.read")) reads.push(call("mem.read", { page: progress.lost }));
    else if (from !== null) {
      const { path, to, linesPerRead } = progress.document;
      const until = Math.min(from + linesPerRead - 1, to ?? Number.POSITIVE_INFINITY);
      reads.push(call("fs.read", { path, from, to: until }));
    }
  }
  return reads.length === 0 ? [] : [...notes, ...reads];
}

function noteOfFresh(progress: Progress, whole: boolean): Note | null {
  return progress.fresh === null ? null : noteOf(progress.fresh, carryOf(progress), whole);
}

function noted(call: (name: string, args: Json) => CallPart, note: Note, held: boolean): Part {
  const words = formatNote(note);
  return held ? call("mem.note", { key: noteKey(note), text: words, source: note.path }) : text(words);
}

function finish(request: ModelRequest, goal: Goal, found: Conversation, offered: ReadonlySet<string>): readonly Part[] {
  const material = materialOf(goal, found);
  const schema = offered.has("task.done") ? contractOf(request) : request.output;
  if (schema === null) {
    const words = plainAnswer(material);
    if (!offered.has("task.done")) return [text(words)];
    return [caller(request)("task.done", { value: words })];
  }
  const built = build(schema, material, "");
  if ("missing" in built) {
    const why = found.refusals.length === 0 ? "" : ` Refused on the way: ${found.refusals.join("; ")}`;
    return [text(`Nothing in what I read or was given fills ${JSON.stringify(built.missing)}, so there is no result.${why}`)];
  }
  return [offered.has("task.done") ? caller(request)("task.done", { value: built.value }) : text(JSON.stringify(built.value))];
}

/** The process's contract stands in the definition of task.done. */
function contractOf(request: ModelRequest): JsonSchema | null {
  const properties = request.tools.find((tool) => tool.name === "task.done")?.input["properties"];
  const value = isObject(properties) ? properties["value"] : undefined;
  return isObject(value) && Object.keys(value).length > 0 ? value : request.output;
}

function materialOf(goal: Goal, found: Conversation): Material {
  const facts: Fact[] = [];
  const flagged: Material["flagged"][number][] = [];
  const titles: { path: string; title: string }[] = [];
  for (const progress of found.documents) {
    const { path } = progress.document;
    const last = noteOfFresh(progress, true);
    const notes = last === null ? progress.notes : [...progress.notes, last];
    for (const note of notes) {
      for (const fact of note.facts) facts.push({ ...fact, path });
      for (const flag of note.flagged) flagged.push({ ...flag, path });
    }
    titles.push({ path, title: notes.find((note) => note.title !== "")?.title ?? path });
  }
  const given = facts.length > 0 ? [] : factsOfGoal(goal);
  const focus = typeof goal.input["focus"] === "string" ? goal.input["focus"] : "";
  return { facts: [...facts, ...given], flagged, titles, refusals: found.refusals, input: goal.input, focus };
}

/** Long texts in the goal itself are material as well. */
const ownTextCharsMin = 80;

function factsOfGoal(goal: Goal): Fact[] {
  const plain = Object.keys(goal.input).length === 0;
  /** A plain goal that names no document is its own material, however short. */
  if (plain && (goal.documents.length > 0 || goal.folders.length > 0)) return [];
  const texts = plain ? [["goal", goal.text] as const] : Object.entries(goal.input);
  const facts: Fact[] = [];
  for (const [path, value] of texts) {
    if (typeof value !== "string" || (!plain && value.length < ownTextCharsMin)) continue;
    for (const block of readBlocks("goal.md", linesOf(value), noCarry, true).blocks) {
      for (const sentence of sentencesOf(block)) {
        const { line, to, section } = sentence;
        if (isQuotable(sentence)) facts.push({ text: sentence.text, path, line, to, section, kind: factKind(sentence) });
      }
    }
  }
  return facts;
}

function plainAnswer(material: Material): string {
  const best = rankFacts(material.facts, { max: 3, focus: material.focus, alikeMax: 0.7 }).toSorted(bySource);
  if (best.length > 0) return best.map((fact) => fact.text).join(" ");
  const why = material.refusals.length === 0 ? "" : ` Refused on the way: ${material.refusals.join("; ")}`;
  return `I found nothing to quote: I am extractive and work from the documents a goal names.${why}`;
}
