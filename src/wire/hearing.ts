/**
 * Hearing: a reply passes from the provider to a guest and is read on the way, whatever its format.
 * push() gives out what the guest may see; end() gives the reply and what was held back, or says what is wrong with it.
 *   HRD-1.1  What is given out and what is held are together the bytes of the body, however they were cut.
 *   HRD-1.2  From the first event that begins a call nothing is given out; without a call every whole event is given out with the chunk that ends it.
 *   HRD-1.3  What one chunk passes on is one view of it, besides the pieces that waited for it.
 *   HRD-1.4  A stream whose events are no JSON, are told in a way that readers differ on, end early or never is trouble, and never a shorter reply.
 *   HRD-1.5  The provider's own error is given out where no call is held, and is told so; behind it, and behind anything malformed, nothing is.
 *   HRD-1.9  An event that is an error and a call is not given out; one that is nested too deeply, or whose keys change what an object is, is trouble.
 *   HRD-1.6  A body in one piece is held to its end, and is the same reply as its stream.
 *   HRD-1.7  What a broken reply had generated is counted.
 *   HRD-1.8  A provider that reports no usage, or none to speak of, is not believed: our own count of the request and the reply stands.
 */
import { limits } from "../abi/limits.ts";
import type { OpaquePart, Part } from "../abi/message.ts";
import type { ModelReply, ModelRequest } from "../abi/model.ts";
import { parsePlainJson, tooDeep, type Json, type JsonObject } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { troubleOf, type Trouble } from "./dialect.ts";
import { likeness } from "./alike.ts";
import { frameReader } from "./frames.ts";
import type { Heard, Hearing, HeardTrouble, Question, ReplyWriter } from "./guest-format.ts";
import { tokensOf } from "./parts.ts";

/** What an event is to the one who lets it pass: harmless, the beginning of a call, the provider's error, or nothing a reader can rely on. */
export type Meaning = "pass" | "call" | { readonly error: Trouble; readonly call: boolean } | { readonly broken: string };

/** What an event means that a reader took: readers differ on whether an error is heeded before what stands beside it. */
export function withError(meaning: "pass" | "call", error: Trouble | null): Meaning {
  return error === null ? meaning : { error, call: meaning === "call" };
}

/** Text that the guest reads as well; undefined where it is none that all readers read alike. */
function readJson(text: string): Json | undefined {
  const body = parsePlainJson(text);
  /** Each level takes two characters. */
  const deep = text.length >= 2 * limits.jsonDepthMax && body !== undefined && tooDeep(body, limits.jsonDepthMax);
  return deep ? undefined : body;
}

export interface Reply {
  readonly reply: ModelReply;
  readonly said: readonly OpaquePart[];
}

/** Some readers go by the name of an event and some by the type in its data: where both are said they have to agree. */
export function namedAs(event: string, data: JsonObject): boolean {
  return event === "message" || event === data.type;
}

export const misnamed: Meaning = { broken: "the name and the type of an event of its stream differ" };

/** What a format makes of the events of one reply. */
export interface Listener {
  event(event: string, data: Json): Meaning;
  /** The guest has got this event. */
  passed(data: Json): void;
  finish(): Result<Reply, string>;
  /** A reply in one piece. */
  whole(body: Json): Result<Reply, string>;
  /** What of a stream there is so far. */
  sofar(): readonly Part[];
  /** Goes on where the passed events stopped. */
  writer(id: string): ReplyWriter;
}

/** Names of calls, as the guest is to read them. */
export function verbatim(name: string): string {
  return name;
}

/** Of a body that cannot be read nothing better is known. */
const bytesPerToken = 4;

/** The request as far as the reading of its reply needs it. */
export function askedOf(question: Question): ModelRequest {
  return {
    model: question.model,
    system: "",
    messages: [{ role: "user", parts: [], tokens: question.windowTokens }],
    tools: [],
    outputTokensMax: 0,
    output: null,
    idempotencyKey: "",
  };
}

export function hearing(question: Question, listener: Listener): Hearing {
  return question.stream ? streamHearing(listener) : wholeHearing(listener);
}

function streamHearing(listener: Listener): Hearing {
  /** Behind the last whole event. */
  let waiting: Uint8Array[] = [];
  let held: Uint8Array[] = [];
  let holding = false;
  let trouble: Trouble | null = null;
  let told = false;
  let bytes = 0;
  /** Up to where the current chunk may pass. */
  let passTo = 0;

  function read(event: string, data: string): Meaning {
    if (data === "" || data === "[DONE]") return "pass";
    const body = readJson(data);
    return body === undefined
      ? { broken: "an event of its stream is not JSON that is read alike everywhere" }
      : hear(event, body);
  }

  function hear(event: string, body: Json): Meaning {
    const meaning = listener.event(event, body);
    if (meaning === "pass" && !holding) listener.passed(body);
    return meaning;
  }

  function take(meaning: Meaning, end: number): void {
    if (meaning === "call") holding = true;
    else if (meaning !== "pass" && "broken" in meaning) trouble = broken(meaning.broken);
    else {
      if (meaning !== "pass") {
        trouble = meaning.error;
        holding ||= meaning.call;
        told = !holding;
      }
      if (!holding) passTo = end;
    }
  }

  const alike = likeness(limits.sseBytesMax);
  /** Where in the chunk begins what the frames are cut from. */
  let base = 0;
  const frames = frameReader(limits.sseBytesMax, (frame) => {
    if (trouble !== null) return;
    const { event, data, odd, end } = frame;
    take(odd ? { broken: "a line of its stream is none that an event stream has" } : read(event, data ?? ""), base + end);
    alike.saw(frame);
  });

  /** Events like the ones before; gives how far they go. */
  function skim(chunk: Uint8Array): number {
    let at = 0;
    while (trouble === null && at < chunk.length) {
      const next = alike.at(chunk, at);
      if (next === null) break;
      take(hear(next.event, next.data), next.end);
      at = next.end;
    }
    return at;
  }

  /** What of a chunk may pass, with what waited for it; the rest waits or is held. */
  function pass(chunk: Uint8Array): Uint8Array[] {
    const out = passTo === 0 ? [] : [...waiting, chunk.subarray(0, passTo)];
    const rest = chunk.subarray(passTo);
    if (passTo > 0) waiting = [];
    if (rest.length > 0) waiting.push(rest);
    if (trouble !== null) waiting = held = [];
    else if (holding && waiting.length > 0) {
      held.push(...waiting);
      waiting = [];
    }
    return out;
  }

  return {
    push(chunk) {
      if (trouble !== null) return [];
      bytes += chunk.length;
      passTo = 0;
      if (bytes > limits.modelReplyBytesMax) trouble = broken("it is longer than any reply may be");
      else {
        base = frames.between ? skim(chunk) : 0;
        const whole = base === chunk.length || frames.push(base === 0 ? chunk : chunk.subarray(base));
        if (!whole) trouble ??= broken("an event of its stream is longer than any may be");
      }
      return pass(chunk);
    },
    failed: () => trouble !== null,
    end() {
      // The guest has not got an event that the server did not close.
      holding = true;
      if (trouble === null) frames.end();
      const reply = trouble === null ? listener.finish() : null;
      if (reply?.ok === true) return ok({ ...reply.value, held: [...held, ...waiting] } satisfies Heard);
      trouble ??= broken(reply?.ok === false ? reply.error : "");
      return err({ trouble, told, outputTokens: tokensOf(listener.sofar()) } satisfies HeardTrouble);
    },
    writer: (id) => listener.writer(id),
  };
}

function wholeHearing(listener: Listener): Hearing {
  let held: Uint8Array[] = [];
  let bytes = 0;
  return {
    push(chunk) {
      bytes += chunk.length;
      if (bytes > limits.modelReplyBytesMax) held = [];
      else held.push(chunk);
      return [];
    },
    failed: () => bytes > limits.modelReplyBytesMax,
    end() {
      const reply = bytes > limits.modelReplyBytesMax ? err("it is longer than any reply may be") : readWhole(listener, held);
      if (reply.ok) return ok({ ...reply.value, held });
      const trouble = typeof reply.error === "string" ? broken(reply.error) : reply.error;
      return err({ trouble, told: false, outputTokens: typeof reply.error === "string" ? Math.ceil(bytes / bytesPerToken) : 0 });
    },
    writer: (id) => listener.writer(id),
  };
}

function readWhole(listener: Listener, pieces: readonly Uint8Array[]): Result<Reply, string | Trouble> {
  const body = readJson(Buffer.concat(pieces).toString("utf8"));
  if (body === undefined) return err("its body is not JSON that is read alike everywhere");
  const said = troubleOf(body);
  return said === undefined ? listener.whole(body) : err({ ...said, status: null, retryAfterMs: null, retry: null });
}

function broken(message: string): Trouble {
  return { status: null, type: "", message, retryAfterMs: null, retry: null };
}
