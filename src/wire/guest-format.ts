/**
 * Guest format: what the doors need of a wire format when they stand between a guest and its model: to hear a reply while it passes, to write one
 * themselves, to ask again, to fail. One file a format implements it; everything here is text in and text out.
 */
import type { Errno } from "../abi/errno.ts";
import type { OpaquePart, Part } from "../abi/message.ts";
import type { Format } from "../abi/upstream.ts";
import type { ModelReply, ModelRequest, StopReason, Usage } from "../abi/model.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type { Result } from "../lib/result.ts";
import type { Trouble } from "./dialect.ts";

/** What is known of the request that a reply answers. */
export interface Question {
  readonly model: string;
  readonly stream: boolean;
  /** Our own count of the request, for a provider that reports none. */
  readonly windowTokens: number;
  /** The request itself, where it is known: a Responses reply repeats its settings. */
  readonly echo?: JsonObject;
}

/** Listens to one reply. Names of calls and their ids stay as the provider wrote them. */
export interface Hearing {
  /**
   * Takes the next bytes of the body; what the guest may see now comes back, in pieces: the bytes as they came, up to the first event that begins
   * a call. A reply in one piece is held to its end.
   */
  push(chunk: Uint8Array): readonly Uint8Array[];
  /** Whether the reply can no longer become whole, so that there is no use in reading on. */
  failed(): boolean;
  /** At the body's end. */
  end(): Result<Heard, HeardTrouble>;
  /** Goes on with the reply where the guest stopped hearing it. For streams. */
  writer(id: string): ReplyWriter;
}

export interface Heard {
  readonly reply: ModelReply;
  /** The same reply for those who speak its format: each of its blocks verbatim, which a writer, `whole` and `again` take. */
  readonly said: readonly OpaquePart[];
  /** What was held back, as it came: for the guest once every call is allowed. */
  readonly held: readonly Uint8Array[];
}

export interface HeardTrouble {
  readonly trouble: Trouble;
  /** Its own error went on to the guest already. */
  readonly told: boolean;
  /** What was generated until then, by our own count. */
  readonly outputTokens: number;
}

/** Writes a reply, or the rest of one whose beginning a guest has heard. */
export interface ReplyWriter {
  /** The bytes of the next part; the head of the reply comes with the first. A part of another format has none. */
  part(part: Part): Uint8Array;
  end(stop: StopReason, usage: Usage, stopSequence?: string): Uint8Array;
}

/** What a refused or failed request looks like. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The answer to a call that the guest did not get to see. */
export interface CallAnswer {
  readonly id: string;
  readonly name: string;
  readonly text: string;
}

/** A guest's request in the one internal form, and the texts at which its reply is to end. */
export interface GuestRequest extends ModelRequest {
  readonly stopSequences: readonly string[];
}

export interface GuestFormat {
  readonly name: Format;
  hear(question: Question): Hearing;
  /** Writes a reply from its beginning. `id` is the reply's own. For streams. */
  writer(question: Question, id: string): ReplyWriter;
  /** A reply in one piece. */
  whole(
    question: Question,
    parts: readonly Part[],
    stop: StopReason,
    usage: Usage,
    id: string,
    stopSequence?: string,
  ): Uint8Array;
  /** The request with what was said and the answers to all its calls behind it; all else stays. null where the body is none of this format. */
  again(body: Json, said: readonly OpaquePart[], answers: readonly CallAnswer[]): Json | null;
  /** The request in the one internal form, for a model of another format; the error says what cannot be said there. */
  request(body: Json): Result<GuestRequest, string>;
  /** An error in the words of this format. `retry`: whether the guest may try again. */
  refuse(errno: Errno, message: string, retry: boolean): Refusal;
  /** The same in the middle of a stream. */
  refuseEvent(errno: Errno, message: string): Uint8Array;
}
