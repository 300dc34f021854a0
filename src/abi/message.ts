/** Message: the one internal form of a conversation; every wire format is translated to and from it at a driver or a door. */
import type { Json, JsonSchema } from "../lib/json.ts";
import type { PageId } from "./page.ts";

export type Role = "user" | "assistant" | "tool";

export interface TextPart {
  readonly type: "text";
  readonly text: string;
}

/** The model asks for a call. `id` is the model's own id for it, echoed in the result. */
export interface CallPart {
  readonly type: "call";
  readonly id: string;
  readonly name: string;
  readonly args: Json;
}

/** What a call gave. `text` is what the model sees; `page` names it in the page table. */
export interface ResultPart {
  readonly type: "result";
  readonly id: string;
  readonly name: string;
  readonly ok: boolean;
  readonly text: string;
  readonly page: PageId;
}

/** A block only its own provider understands (signed thinking, encrypted reasoning): kept and sent back verbatim. */
export interface OpaquePart {
  readonly type: "opaque";
  readonly dialect: string;
  readonly value: Json;
}

/** A picture that a guest shows its model: its bytes as base64, or an address from which the provider fetches it. */
export interface ImagePart {
  readonly type: "image";
  readonly source: { readonly mediaType: string; readonly data: string } | { readonly url: string };
}

export type Part = ImagePart | TextPart | CallPart | ResultPart | OpaquePart;

/** Immutable: a driver may cache a message's wire bytes under the object itself. */
export interface Message {
  readonly role: Role;
  readonly parts: readonly Part[];
  readonly tokens: number;
}

/** A call as a model sees it. */
export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  readonly input: JsonSchema;
}
