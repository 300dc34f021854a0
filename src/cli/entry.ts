/**
 * Entry: one entry of the journal as a line for a person.
 *   CLI-17.1  Every kind of entry has a line, and a line holds one entry whatever its values hold.
 */
import type { Entry, EvictEntry } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import { unreachable } from "../lib/assert.ts";
import { callsOf } from "../kernel/table.ts";
import { argsLine, forPerson } from "./refusals.ts";
import { formatCount, formatUsd, many } from "./term/format.ts";
import { neutraliseLine } from "./term/neutralise.ts";
import type { Palette, Tone } from "./term/screen.ts";
import { cut } from "./term/width.ts";

/** `seq  time  pid  kind  what`. `width` null cuts nothing. */
export function entryLine(seq: number, entry: Entry, width: number | null, colours: Palette): string {
  const pid = "pid" in entry ? String(entry.pid) : "";
  const time = new Date(entry.at).toISOString().slice(11, 23);
  const head = `${String(seq).padStart(6)}  ${time}  ${pid.padStart(4)}  `;
  const kind = entry.kind.padEnd(10);
  const text = neutraliseLine(tell(entry));
  const room = width === null ? text : cut(text, Math.max(8, width - head.length - kind.length));
  return `${colours.paint("dim", head)}${colours.paint(toneOf(entry), kind)}${room}`;
}

function toneOf(entry: Entry): Tone {
  switch (entry.kind) {
    case "exit":
      return entry.status.ok ? "good" : "bad";
    case "park":
      return "warn";
    case "turn":
      return entry.intents.some((intent) => intent.error !== undefined) ? "warn" : "name";
    case "call":
      return entry.intent.error === undefined ? "name" : "warn";
    case "outcome":
      return entry.error === undefined ? "dim" : "warn";
    default:
      return "name";
  }
}

/** What the entry says, in words. */
export function tell(entry: Entry): string {
  switch (entry.kind) {
    case "boot":
      return `daimon ${entry.version}, ${entry.steps.length} steps, digest ${entry.digest.slice(0, 12)}`;
    case "spawn":
      return `under ${entry.parent === 0 ? "the kernel" : entry.parent} on ${entry.cpu}: ${JSON.stringify(entry.goal)}`;
    case "exec":
      return `goes on as another program on ${entry.cpu}: ${JSON.stringify(entry.goal)}`;
    case "think":
      return `step ${entry.step} asks the model, reserving ${formatCount(entry.reserveTokens)} tokens, ${formatUsd(entry.reserveUsd)}`;
    case "turn":
      return tellTurn(entry);
    case "call":
      return `${entry.id} ${entry.name} ${argsLine(entry.args)}${verdict(entry.intent)}`;
    case "outcome":
      return `${entry.id} ${entry.error === undefined ? tellValue(entry) : `${entry.error.errno} ${forPerson(entry.error)}`}`;
    case "evict":
      return `${evicted(entry)} left the window: ${entry.pages.map((page) => page.id).join(", ")}`;
    case "park":
      return `${entry.reason.type}: ${entry.reason.question}`;
    case "answer":
      return `${entry.by} ${entry.allow ? "allows it" : "refuses"}${entry.text === "" ? "" : `: ${entry.text}`}`;
    case "signal":
      return `${entry.signal} by ${entry.by}`;
    case "weight":
      return `weight ${entry.weight}`;
    case "exit":
      return entry.status.ok ? `done: ${short(JSON.stringify(entry.status.value))}` : errorWords(entry.status.error);
    case "files":
      return `${entry.act} ${entry.phase}: ${[entry.stash ?? [], entry.changes.map(({ path }) => path)].flat().join(", ") || "nothing"}`;
    case "share":
      return entry.file === null
        ? `/shared/${entry.path} is taken out`
        : `/shared/${entry.path}, ${formatCount(entry.file.bytes)} bytes`;
    case "checkpoint":
      return `state digest ${entry.digest.slice(0, 12)}`;
    default:
      return unreachable(entry);
  }
}

function evicted({ pages, turns = [] }: EvictEntry): string {
  return turns.length === 0
    ? many(pages.length, "page")
    : `${many(pages.length, "page")} and ${many(turns.length, "whole turn")}`;
}

function tellTurn(entry: Extract<Entry, { kind: "turn" }>): string {
  const calls = callsOf(entry.parts).map((part, n) => {
    const intent = entry.intents[n];
    return `${entry.pid}.${entry.step}.${n} ${part.name} ${argsLine(part.args)}${intent === undefined ? "" : verdict(intent)}`;
  });
  const words = entry.parts.flatMap((part) => (part.type === "text" && part.text.trim() !== "" ? [short(part.text)] : []));
  const cost = entry.costUsd === 0 ? "" : ` · ${formatUsd(entry.costUsd)}`;
  return `${[...words, ...calls].join(" · ")}${cost}`;
}

function verdict(intent: { readonly verb: string; readonly error?: SysError }): string {
  if (intent.error !== undefined) return ` → refused, ${intent.error.errno}`;
  return intent.verb === "ask" ? " → asks" : "";
}

function tellValue(entry: Extract<Entry, { kind: "outcome" }>): string {
  const source = entry.source === undefined ? "" : ` (${entry.source})`;
  if (entry.blob !== undefined) return `blob ${entry.blob.slice(0, 12)}${source}`;
  return `${short(JSON.stringify(entry.value ?? null))}${source}`;
}

function errorWords(error: SysError): string {
  return `${error.errno} ${error.message}`;
}

function short(text: string): string {
  return text.length <= 300 ? text : `${text.slice(0, 299)}…`;
}
