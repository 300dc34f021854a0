/** Page: a piece of context with a source, a label and a size; the unit of eviction and recall. */
import type { Label } from "./label.ts";
import type { Digest } from "../lib/hash.ts";

/** The id of the call that brought the page in, `PID.STEP.N`: short enough for a model to repeat, and unique for all time. */
export type PageId = string;

export type PageKind = "goal" | "input" | "result" | "note" | "reply";
export type Pin = "none" | "fact" | "goal";

export interface Page {
  readonly id: PageId;
  /** Where the text came from: `inbox/a.md#L1-L80`, `call 3.2.0`, `user`, `note`. */
  readonly source: string;
  readonly kind: PageKind;
  readonly tokens: number;
  readonly label: Label;
  readonly pin: Pin;
  readonly resident: boolean;
  /** The step that brought it in. */
  readonly bornStep: number;
  /** Where the full text lies once it is evicted. */
  readonly blob: Digest | null;
}
