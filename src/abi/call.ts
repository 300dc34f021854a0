/** Call: the system calls' types. One table of specs, one trap, whoever the caller is. */
import type { Digest } from "../lib/hash.ts";
import type { Awaitable, Result } from "../lib/result.ts";
import type { Json, JsonObject, JsonSchema } from "../lib/json.ts";
import type { SysError } from "./errno.ts";
import type { Exchange } from "./gate.ts";
import type { Label } from "./label.ts";
import type { Pid } from "./process.ts";

/** From harmless to final. Two reads run side by side; anything above runs alone within its process. */
export type EffectClass = "pure" | "read" | "write" | "external" | "irreversible";

/**
 * What recovery may do with a call that has an intent and no outcome:
 * pure: perform again · idempotent: perform again under the same key · verify: look at the world first · once: park, a person decides.
 */
export type Recovery = "pure" | "idempotent" | "verify" | "once";

/** What an argument means to policy. `path`, `command`, `host` and the like are privileged; `content` and `option` are not. */
export type ArgRole =
  | "path"
  | "command"
  | "host"
  | "destination"
  | "object"
  | "principal"
  | "amount"
  | "credential"
  | "identity"
  | "content"
  | "option";

export interface CallSpec {
  /** `fs.read`; a tool of an MCP server is `mcp.SERVER.TOOL`. */
  readonly name: string;
  /** One sentence for a model: what it does, what it returns. */
  readonly summary: string;
  readonly input: JsonSchema;
  readonly output: JsonSchema;
  readonly effect: EffectClass;
  readonly reversible: boolean;
  readonly recovery: Recovery;
  readonly roles: Readonly<Record<string, ArgRole>>;
  /** No model is offered it: only a program that speaks MCP itself has a use for it, or only a door makes it. */
  readonly offered?: false;
  /** Of a call that an MCP server performs: which of its methods it is, and what it declares of the tool, freed of hidden text. */
  readonly mcp?: { readonly server: string; readonly method: string; readonly definition: JsonObject | null };
}

/** `PID.STEP.N`: unique for all time, the same after a restart, and the idempotency key. */
export type CallId = string;

export interface CallContext {
  readonly pid: Pid;
  readonly id: CallId;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970, from the kernel's clock. */
  readonly now: number;
  /** The plan that a person allowed, as freeze() named it, and no other may be performed; null where the arguments say it all. */
  readonly frozen: Digest | null;
  /** The client's request that it answers; absent where an agent or a body calls. */
  readonly exchange?: Exchange;
}

/**
 * What a call gives. A model sees a string as it is; of an object with a `text` field a line of the other fields, then the text;
 * anything else as JSON.
 */
export interface CallValue {
  readonly value: Json;

  /** Where the text came from, for the page table. */
  readonly source?: string;
  readonly label?: Label;
}

/** What a look at the world showed. An effect that happened gives the value that performing it would have given. */
export type Verdict =
  | { readonly verdict: "happened"; readonly value: CallValue }
  | { readonly verdict: "did-not-happen" }
  | { readonly verdict: "unknown"; readonly why: string };

/** A call with its behaviour. Handlers that need the world get their drivers when they are made. */
export interface CallHandler {
  readonly spec: CallSpec;
  perform(args: never, context: CallContext): Awaitable<Result<CallValue, SysError>>;
  /**
   * For a call whose arguments do not say all that would happen: works out the plan and keeps it in the blob store, durable, under the digest it
   * returns. Asked before a person is, who is shown that plan, and again before the effect: another plan asks again. An error is the
   * call's outcome, and nobody is asked.
   */
  freeze?(args: never, context: CallContext): Awaitable<Result<Digest, SysError>>;
  /** Look at the world: did the effect of this intent happen? Required where recovery is `verify`. */
  verify?(args: never, context: CallContext): Awaitable<Verdict>;
}

/** A call that a guest's own tool stands for, with the arguments that policy looks at. */
export interface StandsFor {
  readonly name: string;
  readonly args: JsonObject;
}
