/**
 * Upstream: a provider's own interface, to which a guest's request goes as it is and from which the answer comes as it is.
 */
import type { Result } from "../lib/result.ts";
import type { SysError } from "./errno.ts";

/** The formats that guests and providers speak. */
export const formats = ["messages", "responses", "chat", "gemini"] as const;
export type Format = (typeof formats)[number];

export interface UpstreamRequest {
  readonly method: "GET" | "POST";
  /** Below the provider's version: `/messages?beta=true`. */
  readonly path: string;
  /** Name, value, name, value: the guest's own that may go on; no credential is among them. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | null;
  readonly bytes: number;
}

/** Takes the answer while it comes. */
export interface UpstreamSink {
  head(status: number, headers: Readonly<Record<string, string | readonly string[]>>): void;
  /** The body, decoded; that of an error in one piece, cut at guestErrorBytesMax. False: no more until the exchange's resume(). */
  data(chunk: Uint8Array): boolean;
  /** That was all; at once after the last of it, and before the exchange has ended. */
  end?(): void;
}

export interface UpstreamExchange {
  /** ok at the end of the answer, whatever its status; else why there is none, or not a whole one: ETIMEDOUT, EIO, EPROTO, ECANCELED. */
  readonly ended: Promise<Result<void, SysError>>;
  resume(): void;
  /** Nobody wants it any more: it ends with ECANCELED, unless it has ended. */
  abort(): void;
}

export interface Upstream {
  /** `anthropic`, `openai`, or what the configuration calls it. */
  readonly name: string;
  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange;
}
