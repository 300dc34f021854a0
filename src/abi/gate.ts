/**
 * Gate: what the tool door needs of the kernel for one process, and what a call sees of the client that asked for it. A client speaks the Model
 * Context Protocol in one of two eras: with sessions (to 2025-11-25), where a server may ask the client while a request is under way, or
 * stateless (from 2026-07-28), where a result says what is needed and the client asks again with it.
 */
import type { CallSpec } from "./call.ts";
import type { SysError } from "./errno.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import type { Result } from "../lib/result.ts";

/** One request of a client, for as long as it is under way. */
export interface Exchange {
  readonly era: "sessions" | "stateless";
  /** Whose request it is, the same for all requests of one client; it aborts when the client is gone. */
  readonly session: AbortSignal;
  /** Of this request alone. */
  readonly signal: AbortSignal;
  /** What the client declared that it can be asked. */
  readonly capabilities: JsonObject;
  /** Stateless: what the client brings because an earlier result said that it was needed. Written by the client. */
  readonly resume: { readonly inputResponses?: Json; readonly requestState?: Json };
  /** A notification of the server behind; one that cannot be delivered is lost. */
  tell(method: string, params: JsonObject): void;
  /** A request of the server behind. Rejects where the client cannot be asked, or refuses. */
  ask(method: string, params: JsonObject): Promise<JsonObject>;
}

/** The only way from a client to a call. */
export interface Gate {
  /** The calls that the process may hold, in a stable order: the same array for as long as they are the same. */
  specs(): readonly CallSpec[];
  /** Decided, journaled and performed as any call of the process; what it gave, or why it was not made. */
  call(name: string, args: Json, exchange: Exchange): Promise<Result<Json, SysError>>;
  /** Told when a server behind says that what it offers has changed: `tools`, `resources`, `prompts`. */
  watch(listener: (kind: ChangeKind) => void): () => void;
}

export type ChangeKind = "tools" | "resources" | "prompts";
