/** Conversation: how the model door asks a model for a guest, whatever lies between: bytes that pass, or a translation. */
import type { SysError } from "../../abi/errno.ts";
import type { Part } from "../../abi/message.ts";
import type { ModelReply } from "../../abi/model.ts";
import type { Ticket } from "../../kernel/guest.ts";
import type { CallAnswer } from "../../wire/guest-format.ts";
import type { HeadFields, Telling } from "./telling.ts";

export interface Said {
  readonly reply: ModelReply;
  /** The reply as the guest's format writes it. */
  readonly parts: readonly Part[];
  /** What the guest has not heard of it yet, as it came; null: nothing of it was told, and it has to be written. */
  readonly held: readonly Uint8Array[] | null;
}

export interface Unsaid {
  readonly trouble: SysError;
  /** The provider's own answer, where it gave one. */
  readonly answer: { readonly status: number; readonly headers: HeadFields; readonly body: Buffer } | null;
  /** The guest has read of it already. */
  readonly told: boolean;
}

export interface Conversation {
  /** `atOnce`: the guest may hear the reply while it comes, and not only when it was decided on. */
  ask(ticket: Ticket, telling: Telling, atOnce: boolean): Promise<Said | Unsaid>;
  /** What the model is told of its calls before it is asked again; false: it cannot be. */
  answer(said: Said, answers: readonly CallAnswer[]): boolean;
  /** The guest is gone. */
  abort(): void;
}
