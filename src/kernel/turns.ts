/** Turns: the replies in a window, each with the message of its results. */
import type { Message } from "../abi/message.ts";
import type { TurnSize } from "../memory/reclaim.ts";
import { estimateTokens } from "../lib/tokens.ts";
import type { Proc } from "./table.ts";

export interface Turn {
  readonly step: number;
  readonly reply: Message;
  readonly results: Message;
}

/** Complete turns only, oldest first. The step stands in the page ids of the results, `PID.STEP.N`. */
export function turnsIn(messages: readonly Message[]): readonly Turn[] {
  const found: Turn[] = [];
  for (const [at, results] of messages.entries()) {
    const first = results.role === "tool" ? results.parts[0] : undefined;
    const reply = messages[at - 1];
    if (first?.type !== "result" || reply === undefined) continue;
    found.push({ step: Number(first.page.split(".")[1]), reply, results });
  }
  return found;
}

/** What the reclaim decider weighs. */
export function turnSizes(proc: Proc): readonly TurnSize[] {
  const pages = new Set(proc.pages.map((page) => page.id));
  return turnsIn(proc.messages).map(({ step, reply, results }) => {
    let tokens = reply.tokens;
    for (const part of results.parts) {
      if (part.type === "result" && !pages.has(part.page)) tokens += estimateTokens(part.text);
    }
    return { step, tokens, noted: reply.parts.some((part) => part.type === "call" && part.name === "mem.note") };
  });
}

/** A reply's words and calls, for reading them again after they left. */
export function replyText(reply: Message): string {
  const lines = reply.parts.flatMap((part) => {
    if (part.type === "text") return [part.text];
    return part.type === "call" ? [`called ${part.name} ${JSON.stringify(part.args)}`] : [];
  });
  return lines.join("\n");
}
