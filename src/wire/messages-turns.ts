/** Anthropic turns: a conversation as the Messages API takes it, with the marks of the cache. Rules: anthropic.ts, wire.ts. */
import type { Message } from "../abi/message.ts";
import { Bytes, foldCache } from "./parts.ts";

/** A block that carries it ends a piece the provider keeps. */
export const cacheMark = `"cache_control":{"type":"ephemeral"}`;

/** Turns that are over, and the one that may still grow: neighbours of one wire role are one turn. */
interface Turns {
  readonly done: { readonly length: number; add(text: string): void };
  role: string;
  open: string;
}

/** Neighbours become one message, so results stand first in the turn that follows their calls. */
function addMessage(turns: Turns, role: string, text: string, marked: boolean): void {
  if (text === "") return;
  if (role === turns.role) turns.open += `,${text}`;
  else {
    closeTurn(turns, marked);
    turns.role = role;
    turns.open = text;
  }
}

/** `marked`: the cache ends a piece after a turn of the user's side. */
function closeTurn(turns: Turns, marked: boolean): void {
  const { done, role, open } = turns;
  if (role === "") return;
  const content = marked && role === "user" ? `${open.slice(0, -1)},${cacheMark}}` : open;
  done.add(`${done.length === 0 ? "" : ","}{"role":"${role}","content":[${content}]}`);
}

export interface Conversation {
  readonly settled: Uint8Array;
  readonly tail: string;
}

/** What comes before the last two turns of the user's side never changes, and is put together only once. */
export function conversationOf(blocks: (message: Message) => string): (messages: readonly Message[]) => Conversation {
  const settle = foldCache(
    () => ({ done: new Bytes(), role: "", open: "" }),
    (turns, message) => addMessage(turns, roleOf(message), blocks(message), false),
  );
  return (messages) => {
    const from = tailOf(messages, blocks);
    const settled = settle(messages, from);
    const tail = new Text(settled.done.length);
    const turns: Turns = { done: tail, role: settled.role, open: settled.open };
    for (let n = from; n < messages.length; n += 1) {
      const message = messages[n];
      if (message !== undefined) addMessage(turns, roleOf(message), blocks(message), true);
    }
    closeTurn(turns, true);
    return { settled: settled.done.view(), tail: tail.text };
  };
}

/** Text that follows on bytes written before it. */
class Text {
  readonly #before: number;
  #text = "";

  constructor(before: number) {
    this.#before = before;
  }

  get length(): number {
    return this.#before + this.#text.length;
  }

  get text(): string {
    return this.#text;
  }

  add(text: string): void {
    this.#text += text;
  }
}

/** Where the last but one turn of the user's side begins. */
function tailOf(messages: readonly Message[], blocks: (message: Message) => string): number {
  let users = 0;
  let last = "";
  for (let n = messages.length - 1; n >= 0; n -= 1) {
    const message = messages[n];
    if (message === undefined || blocks(message) === "") continue;
    const role = roleOf(message);
    if (role !== last && last === "user" && users === 2) return n + 1;
    if (role !== last && role === "user") users += 1;
    last = role;
  }
  return 0;
}

function roleOf(message: Message): string {
  return message.role === "assistant" ? "assistant" : "user";
}
