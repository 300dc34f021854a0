/**
 * Destinations: the places that a guest has asked for, and what was decided about each.
 * A destination is a host, a port and a method, CONNECT for a tunnel. It is decided on when the guest first asks for it, by the call `net.connect`, and
 * the answer holds for as long as the guest lives. An installation opens hundreds of connections to one host: a person who is asked about each learns to
 * say yes to all, and a journal with a line for each hides the one that matters. What could have changed the answer is looked at every time.
 *   DRN-4.1  A destination is one call in the journal, however often and from how many connections at once the guest asks for it.
 *   DRN-4.2  An answer is forgotten when policy would now decide otherwise; a person's also when the guest's label is no longer the one it left.
 *   DRN-4.3  A name is looked up again for each connection; when an address is not public any more, that connection is refused, and once in the journal.
 *   DRN-4.4  A host that could not be found is not looked up again for a while, and in that time adds nothing to the journal.
 *   DRN-4.5  A guest has so many destinations; what is beyond is refused without a call.
 */
import type { Clock } from "../../abi/clock.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { sysError, type Errno, type SysError } from "../../abi/errno.ts";
import type { Label } from "../../abi/label.ts";
import type { Outside } from "../../abi/outside.ts";
import type { GuestProcess, Weighed } from "../../kernel/guest.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Bounds } from "./bounds.ts";
import { originOf, type Destination } from "./targets.ts";

export type Guest = Pick<GuestProcess, "call" | "weigh" | "refused">;

export interface DestinationDeps {
  readonly guest: Guest;
  readonly clock: Clock;
  readonly bounds: Bounds;
  readonly locate: Outside["locate"];
}

/** Why a destination is refused, and the entry that a person could add to their `policy.allow`; null where that would not help. */
export interface Refusal {
  readonly error: SysError;
  readonly entry: string | null;
}

/** What was decided; the call may be under way. */
interface Known {
  readonly verb: Weighed["verb"];
  readonly answer: Promise<Result<readonly string[], SysError>>;
  /** null: the call is under way. */
  left: Left | null;
}

/** What a call gave, when, and the label that it left the guest with. */
interface Left {
  readonly errno: Errno | null;
  readonly at: number;
  readonly label: Label | null;
}

const call = "net.connect";

export class Destinations {
  readonly #deps: DestinationDeps;
  readonly #known = new Map<string, Known>();
  /** What the door refused by itself: each once in the journal. */
  readonly #told = new Set<string>();

  constructor(deps: DestinationDeps) {
    this.#deps = deps;
  }

  /** The addresses to connect to, all of them checked just now. */
  async addresses(place: Destination): Promise<Result<readonly string[], Refusal>> {
    const { guest, clock, bounds, locate } = this.#deps;
    const weighed = guest.weigh(call, argsOf(place));
    if (!weighed.ok) return no(weighed.error);
    const key = `${place.method} ${originOf(place)}`;
    const known = this.#known.get(key);
    if (known !== undefined && this.#holds(known, weighed.value)) {
      const answer = await known.answer;
      if (!answer.ok) return no(answer.error, entryFor(place, weighed.value));
      const again = await locate(place.url);
      if (again.ok) return again;
      return again.error.errno === "EPERM" ? this.refuse(place, again.error) : no(again.error);
    }
    if (known === undefined && this.#known.size >= bounds.destinationsMax) {
      const most = `a guest may ask for ${bounds.destinationsMax} destinations, and this one has; use those`;
      return no(sysError("EDQUOT", most));
    }
    const next: Known = { verb: weighed.value.verb, answer: this.#ask(place), left: null };
    this.#known.set(key, next);
    const answer = await next.answer;
    const after = guest.weigh(call, argsOf(place));
    next.left = {
      errno: answer.ok ? null : answer.error.errno,
      at: clock.now(),
      label: after.ok ? after.value.label : null,
    };
    return answer.ok ? answer : no(answer.error, entryFor(place, weighed.value));
  }

  /** A refusal of the door's own. */
  refuse(place: Destination, error: SysError): Result<never, Refusal> {
    const what = `${place.method} ${originOf(place)} ${error.message}`;
    if (!this.#told.has(what) && this.#told.size < this.#deps.bounds.destinationsMax) {
      this.#told.add(what);
      this.#deps.guest.refused(call, argsOf(place), error);
    }
    return no(error);
  }

  async #ask(place: Destination): Promise<Result<readonly string[], SysError>> {
    const given = await this.#deps.guest.call(call, argsOf(place));
    if (!given.ok) return given;
    const { value } = given.value;
    const listed = isObject(value) ? value["addresses"] : null;
    return ok(Array.isArray(listed) ? listed.filter((each) => typeof each === "string") : []);
  }

  #holds({ verb, left }: Known, now: Weighed): boolean {
    if (verb !== now.verb) return false;
    if (left === null) return true;
    if (verb === "ask" && !same(left.label, now.label)) return false;
    if (left.errno === null || left.errno === "EPERM") return true;
    return this.#deps.clock.now() - left.at < this.#deps.bounds.retryMs;
  }
}

function argsOf(place: Destination): JsonObject {
  return { url: originOf(place), method: place.method };
}

/** Where a rule forbids it, another that permits it changes nothing. */
function entryFor({ url, port }: Destination, { verb, rules }: Weighed): string | null {
  if (verb !== "deny" || rules.length > 0) return null;
  return `${call}(${url.hostname}${port === 443 || port === 80 ? "" : `:${port}`})`;
}

function same(one: Label | null, other: Label): boolean {
  return one !== null && one.integrity === other.integrity && one.confidentiality === other.confidentiality;
}

function no(error: SysError, entry: string | null = null): Result<never, Refusal> {
  return err({ error, entry });
}
