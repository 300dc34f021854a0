/**
 * Proposed: what is known of the calls that a guest's model proposed, while they are open. Not state: a guest does not outlive its kernel.
 *   GST-2.1  A call that the model proposes and the guest makes through the tool door is decided on as that call both times, and counts once. What a
 *            person allowed when it was proposed they are not asked again: it holds for one call with these arguments, until the guest says what it gave.
 *   GST-2.2  What a guest's hook says it is about to call is compared with what was proposed and allowed, by its meaning to policy. A call that touches
 *            something and was not is refused, and stands in the journal as a refused call; one that was is marked so in what it gave.
 */
import type { CallId, StandsFor } from "../abi/call.ts";
import type { Intent } from "../abi/entry.ts";
import { canonical, type Json } from "../lib/json.ts";
import type { PendingCall } from "./table.ts";

export class Proposed {
  readonly #allowed = new Map<CallId, { readonly name: string; readonly args: string }>();
  readonly #hooked = new Set<CallId>();

  /** A person allowed it as this call of the table. */
  allow(id: CallId, name: string, args: Json): void {
    this.#allowed.set(id, { name, args: canonical(args) });
  }

  /** The intent of a call that is made now: a question that was answered already is none, once. */
  settled(intent: Intent, name: string, args: Json): Intent {
    if (intent.verb !== "ask") return intent;
    const text = canonical(args);
    const found = [...this.#allowed].find(([, made]) => made.name === name && made.args === text);
    if (found === undefined) return intent;
    const [answered] = found;
    this.#allowed.delete(answered);
    return { ...intent, verb: "allow", answered };
  }

  /** Whether one of these open calls means what the guest's hook tells of. Where it gives the model's id of one, that is the one it has to be. */
  tells(
    open: readonly PendingCall[],
    meaning: (call: PendingCall) => readonly StandsFor[],
    as: readonly StandsFor[],
    modelId: string | null,
  ): boolean {
    const named = open.filter((call) => call.modelId === modelId);
    const text = canonical(as);
    const same = (named.length > 0 ? named : open).filter((call) => canonical(meaning(call)) === text);
    const known = same.find(({ id }) => !this.#hooked.has(id)) ?? same[0];
    if (known !== undefined) this.#hooked.add(known.id);
    return known !== undefined;
  }

  /** The call is over. */
  close(id: CallId): { readonly hooked?: true } {
    this.#allowed.delete(id);
    return this.#hooked.delete(id) ? { hooked: true } : {};
  }
}
