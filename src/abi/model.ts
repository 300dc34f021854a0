/**
 * Model: the CPU's driver interface. One contract suite holds every driver to it.
 *   MOD-0.1  A reply that calls stops with `calls`, and one that does not never does; `length` and `refusal` outrank both.
 *   MOD-0.2  The text deltas since the last `restart` are together the reply's text, and each call is shown once, by its name.
 *   MOD-0.3  Usage is whole and not negative, and the cache figures are parts of the input.
 *   MOD-0.4  A cancelled request is ECANCELED, before it starts, while it is under way, and whatever the model is doing.
 *   MOD-0.5  A request and its messages are never changed, and parts of other dialects are passed over.
 *   MOD-0.6  The text of a final reply under a contract is JSON that fits it, whatever the contract's root.
 *   MOD-0.7  Calls of one reply have distinct ids, the call's own name and its arguments as JSON; their results go back under the ids.
 *   MOD-0.8  A failure is a value with an errno and a message that names the driver, and holds no key.
 */
import type { Awaitable, Result } from "../lib/result.ts";
import type { JsonSchema } from "../lib/json.ts";
import type { SysError } from "./errno.ts";
import type { Message, Part, ToolDefinition } from "./message.ts";

export interface ModelRequest {
  readonly model: string;
  /** Frozen per process: the stable head of the provider's prefix cache. */
  readonly system: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  readonly outputTokensMax: number;
  /** Set when the final reply must be JSON of this shape. */
  readonly output: JsonSchema | null;
  /** The same for every retry of one step. */
  readonly idempotencyKey: string;
  /** What a guest set of the calls in the reply; without it the model chooses. */
  readonly calls?: CallControl;
}

/** `choice`: whether and what the model is to call. `several`: whether it may make more than one call in a reply. */
export interface CallControl {
  readonly choice: "auto" | "none" | "any" | { readonly tool: string };
  readonly several: boolean;
}

/** Tokens as the provider counted them; `reported: false` means we estimated. Cache figures are parts of the input. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly reported: boolean;
}

export type StopReason = "end" | "calls" | "length" | "refusal";

export interface ModelReply {
  readonly parts: readonly Part[];
  readonly stop: StopReason;
  readonly usage: Usage;
  /** The id of what really answered, as the provider reports it. */
  readonly model: string;
  /** The stop sequence that ended it, where one did. */
  readonly stopSequence?: string;
}

/**
 * A piece of a reply while it streams, for display only: the reply is what counts.
 * `restart`: the connection broke and the request was sent again; forget what was shown of this reply.
 */
export type Delta =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "call"; readonly name: string }
  | { readonly type: "restart" };

export interface ThinkIo {
  readonly signal: AbortSignal | null;
  readonly onDelta: ((delta: Delta) => void) | null;
}

export interface ModelDriver {
  /** `reflex`, `anthropic`, `openai`, … */
  readonly name: string;
  /** A remote driver's request leaves the machine, so its intent is made durable first. */
  readonly remote: boolean;
  /** It sees no images: a request that shows one must not reach it. */
  readonly textOnly?: true;
  /** The context window of a model, in tokens. */
  windowTokens(model: string): number;
  think(request: ModelRequest, io: ThinkIo): Awaitable<Result<ModelReply, SysError>>;
  close(): Awaitable<void>;
}

/** Dollars per million tokens. */
export interface Price {
  readonly inputUsd: number;
  readonly outputUsd: number;
  readonly cacheReadUsd: number;
  readonly cacheWriteUsd: number;
  /** What a request costs whose input, cached or not, is longer. */
  readonly long?: { readonly overInputTokens: number; readonly price: Omit<Price, "long"> };
}
