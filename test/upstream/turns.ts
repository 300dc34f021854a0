/** Turns: what a test wants the next request to the upstream server to meet. */
import type { Json } from "../../src/lib/json.ts";

export interface ReplyTurn {
  readonly kind: "reply";
  readonly text?: string;
  readonly calls?: readonly {
    readonly name: string;
    readonly args: Json | { readonly raw: string };
    /** For a conversation of several turns, in which no two calls have one id. */
    readonly id?: string;
  }[];
  /** A block only the provider understands. */
  readonly thinking?: string;
  readonly refusal?: string;
  readonly stop?: "end" | "length" | "refusal";
  readonly usage?: {
    readonly input: number;
    readonly output: number;
    readonly cacheRead?: number;
    readonly cacheWrite?: number;
  } | null;
  readonly model?: string;
  /** Write the body in pieces of so many bytes. */
  readonly pieceBytes?: number;
  readonly encoding?: "gzip" | "br" | "zstd";
  /** Break the connection after so many bytes of the body. */
  readonly cutAfterBytes?: number;
  /** Stop writing after so many bytes, and keep the connection open. */
  readonly stallAfterBytes?: number;
  /** Leave out what closes the reply. */
  readonly unfinished?: boolean;
}

export type Turn =
  | ReplyTurn
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Status 200, an event stream, then an error event in the provider's form. */
  | { readonly kind: "stream-error"; readonly type: string; readonly message: string; readonly text?: string }
  | { readonly kind: "hang" }
  | { readonly kind: "reset" }
  | { readonly kind: "garbage"; readonly type: string; readonly body: string };

export interface Seen {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** What a wire format makes of a turn. */
export interface WireFormat {
  /** What the provider would refuse in this request; null when it is in order. */
  refuse(body: Record<string, unknown>, headers: Readonly<Record<string, string>>): { status: number; body: Json } | null;
  whole(turn: ReplyTurn, body: Record<string, unknown>, n: number): Json;
  /** Events in order; `event` names are sent where the provider names them. */
  events(turn: ReplyTurn, body: Record<string, unknown>, n: number): { event: string | null; data: Json | "[DONE]" }[];
  errorEvent(type: string, message: string): { event: string | null; data: Json };
}

export function rawArgs(args: Json | { readonly raw: string }): string {
  const isRaw = typeof args === "object" && args !== null && "raw" in args && typeof args.raw === "string";
  return isRaw ? String(args.raw) : JSON.stringify(args);
}

export function pieces(text: string, size: number): string[] {
  const letters = [...text];
  return Array.from({ length: Math.ceil(letters.length / size) }, (_, n) => letters.slice(n * size, (n + 1) * size).join(""));
}
