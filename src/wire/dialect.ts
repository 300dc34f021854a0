/** Dialect: how one wire format says a request, a reply and an error. Each side of a connection reads and writes through it. */
import type { OpaquePart } from "../abi/message.ts";
import type { Delta, ModelReply, ModelRequest } from "../abi/model.ts";
import { isObject, type Json } from "../lib/json.ts";
import type { Result } from "../lib/result.ts";

/** How one wire format looks. A dialect belongs to one connection and may cache. */
export interface Dialect {
  body(request: ModelRequest, stream: boolean): Uint8Array;
  /** A whole reply; the error says what is missing. */
  reply(body: Json, request: ModelRequest): Result<ModelReply, string>;
  reader(request: ModelRequest, onDelta: (delta: Delta) => void): ReplyReader;
}

export interface ReplyReader {
  /** Takes one event. `done` ends the stream early; trouble ends the try. */
  event(event: string, data: Json): Trouble | null;
  /** The reply so far if it is whole; otherwise what is missing. */
  finish(): Result<ModelReply, string>;
}

/** A reader that can say again what it read, whole or not, each block as an opaque part of its format. */
export interface SaidReader extends ReplyReader {
  said(): readonly OpaquePart[];
}

/** What a provider says went wrong, in its own vocabulary. */
export interface Trouble {
  readonly status: number | null;
  readonly type: string;
  readonly message: string;
  readonly retryAfterMs: number | null;
  /** The provider's own word on whether to try again; null when it said nothing. */
  readonly retry: boolean | null;
}

/** The error inside a JSON body, or undefined when there is none. */
export function troubleOf(body: Json | undefined): { readonly type: string; readonly message: string } | undefined {
  if (!isObject(body)) return undefined;
  const error = body.error ?? (body.object === "error" ? body : undefined);
  if (typeof error === "string") return { type: "", message: error };
  if (!isObject(error)) return typeof body.detail === "string" ? { type: "", message: body.detail } : undefined;
  const type = [error.type, error.code, error.status].filter((word): word is string => typeof word === "string").join(" ");
  return { type, message: typeof error.message === "string" ? error.message : "" };
}
