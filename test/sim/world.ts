/**
 * World: what lies outside the kernel, and keeps count. Each call of the simulated world is told here: what it does, how it fails, and
 * what a look at the world shows afterwards.
 */
import type { CallContext, CallHandler, CallSpec, EffectClass, Recovery, Verdict } from "../../src/abi/call.ts";
import { fail, type SysError } from "../../src/abi/errno.ts";
import type { Decision, PolicyRequest } from "../../src/abi/policy.ts";
import type { Digest } from "../../src/lib/hash.ts";
import type { Json } from "../../src/lib/json.ts";
import type { Prng } from "../../src/lib/prng.ts";
import { ok, type Result } from "../../src/lib/result.ts";

/** Effects by call id, which is unique for all time; a call that happened twice has two. */
export class World {
  readonly happened = new Map<string, string[]>();
  /** Its files: contents by path. */
  readonly workspace = new Map<string, string>();
  /** What a deal would be now; it moves on while somebody is asked. */
  terms = 0;

  act(id: string, name: string): void {
    const times = this.happened.get(id) ?? [];
    times.push(name);
    this.happened.set(id, times);
  }
}

/** What the kernel of one life has to do with: its power, and how long things take. */
export interface Surroundings {
  readonly chance: Prng;
  /** Counts down to the cut. False once the power is off: then nothing of this life has an effect any more. */
  tick(): boolean;
  pause(): Promise<void>;
  /** Puts a text into the blob store. */
  keep(text: string): Digest;
  /** A call is about to be performed. */
  performing(call: Performed): void;
}

export interface Performed {
  readonly name: string;
  readonly effect: EffectClass;
  readonly args: { readonly n?: unknown };
  readonly context: CallContext;
}

interface Deed {
  readonly name: string;
  readonly effect: EffectClass;
  readonly recovery: Recovery;
  readonly gives?: (args: Args) => { readonly value: Json; readonly label?: typeof dirt };
  readonly fails?: "value" | "throw" | "throw in a look";
}

interface Args {
  readonly n: number;
}

const dirt = { integrity: "untrusted", confidentiality: "secret" } as const;

const deeds: readonly Deed[] = [
  { name: "w.read", effect: "read", recovery: "pure" },
  { name: "w.large", effect: "read", recovery: "pure", gives: ({ n }) => ({ value: large(n) }) },
  { name: "w.dirty", effect: "read", recovery: "pure", gives: ({ n }) => ({ value: { text: `dirty ${n}`, n }, label: dirt }) },
  { name: "w.deep", effect: "read", recovery: "pure", gives: () => ({ value: deep }) },
  { name: "w.fails", effect: "read", recovery: "pure", fails: "value" },
  { name: "w.throws", effect: "read", recovery: "pure", fails: "throw" },
  { name: "w.peek", effect: "read", recovery: "pure" },
  { name: "w.append", effect: "write", recovery: "verify" },
  { name: "w.put", effect: "external", recovery: "idempotent" },
  { name: "w.sign", effect: "external", recovery: "verify" },
  { name: "w.deal", effect: "external", recovery: "verify" },
  { name: "w.mail", effect: "irreversible", recovery: "once" },
  { name: "w.blind", effect: "write", recovery: "verify", fails: "value" },
  { name: "w.riddle", effect: "write", recovery: "verify", fails: "throw in a look" },
  { name: "w.never", effect: "irreversible", recovery: "once" },
];

/** Deeper than a value may be. */
const deep = Array.from({ length: 70 }).reduce<Json>((inner) => [inner], 1);

/** Too large for an entry, and for one page. */
function large(n: number): string {
  return `large ${n} `.repeat(450 + (n % 400));
}

/** The call that no policy permits. */
export const forbidden = "w.never";

const asking: ReadonlySet<string> = new Set(["w.sign", "w.deal", "w.peek"]);

/** What policy says of each: some need a person, what is never done is forbidden. */
export function decide(request: PolicyRequest): Decision {
  const call = request.action.id;
  if (call === forbidden) return { verb: "deny", rules: ["simulation#1"] };
  return { verb: asking.has(call) ? "ask" : "allow", rules: ["simulation#2"] };
}

/** Calls that a limit on calls does not count against: KRN-5.5. */
export const unmetered: ReadonlySet<string> = new Set(["task.done", "proc.wait", "ask"]);

export function hands(world: World, around: Surroundings): readonly CallHandler[] {
  return deeds.map((deed): CallHandler => {
    const handler = {
      spec: specOf(deed),
      perform: (args: Args, context: CallContext) => perform(deed, args, context, world, around),
    };
    if (deed.recovery !== "verify") return handler;
    const looking = { ...handler, verify: (args: Args, context: CallContext) => look(deed, args, context, world, around) };
    return deed.name === "w.deal" ? { ...looking, freeze: async (args: Args) => await terms(args, world, around) } : looking;
  });
}

async function perform(
  deed: Deed,
  args: Args,
  context: CallContext,
  world: World,
  around: Surroundings,
): Promise<Result<{ value: Json }, SysError>> {
  const { name, effect, recovery } = deed;
  const { id } = context;
  if (!around.tick()) return await never();
  around.performing({ name, effect, args, context });
  if (deed.fails === "throw") throw new Error("as drivers do");
  if (around.chance.chance(0.3)) await around.pause();
  if (!around.tick()) return await never();
  if (effect !== "read" && !(recovery === "idempotent" && world.happened.has(id))) world.act(id, name);
  if (!around.tick()) return await never();
  if (around.chance.chance(0.3)) await around.pause();
  if (!around.tick()) return await never();
  if (deed.fails === "value" && effect === "read") return fail("EIO", "as asked");
  return ok(given(deed, args));
}

function given(deed: Deed, args: Args): { value: Json } {
  return deed.gives?.(args) ?? { value: `${deed.name} ${args.n}` };
}

async function look(deed: Deed, args: Args, context: CallContext, world: World, around: Surroundings): Promise<Verdict> {
  if (!around.tick()) return await never();
  if (around.chance.chance(0.5)) await around.pause();
  if (!around.tick()) return await never();
  if (deed.fails === "throw in a look") throw new Error("as drivers do");
  if (deed.fails === "value") return { verdict: "unknown", why: "nobody can see it" };
  return world.happened.has(context.id) ? { verdict: "happened", value: given(deed, args) } : { verdict: "did-not-happen" };
}

/** What a deal would be, kept where a person can see it. Some deals cannot be worked out. */
async function terms({ n }: Args, world: World, around: Surroundings): Promise<Result<Digest, SysError>> {
  if (!around.tick()) return await never();
  if (around.chance.chance(0.3)) await around.pause();
  if (n % 7 === 0) return fail("ESTALE", "there is nothing to deal with");
  if (around.chance.chance(0.1)) world.terms += 1;
  return ok(around.keep(`deal ${n} at ${world.terms}`));
}

/** What becomes of a promise whose machine has lost power. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}

/** One object for all, so that it is compiled once in each kernel. */
const input = {
  type: "object",
  properties: { n: { type: "integer", minimum: 0 } },
  required: ["n"],
  additionalProperties: false,
};

export function specOf({ name, effect, recovery }: Pick<Deed, "name" | "effect" | "recovery">): CallSpec {
  return {
    name,
    summary: name,
    input,
    output: {},
    effect,
    reversible: effect === "read",
    recovery,
    roles: {},
  };
}
