/**
 * Work: what reading a text costs, counted and not timed: blocks of code that were run, steps back in regular expressions, characters that
 * strings were searched for. The same on every machine and under every load.
 */
import { Session } from "node:inspector";
import { setFlagsFromString } from "node:v8";
import { runInThisContext } from "node:vm";

// V8's own way to make an expression that gives up after so many steps back; on in this test process alone.
setFlagsFromString("--allow-natives-syntax");
type MakeLimited = (source: string, flags: string, stepsBackMax: number) => RegExp;
const makeLimited = runInThisContext("(source, flags, max) => %NewRegExpWithBacktrackLimit(source, flags, max)") as MakeLimited;

/** Steps of all kinds that `act` took; it ends early, with what it had come to, where it takes more than `most`. */
export function workOf(act: () => void, most: number): number {
  const counted = { work: 0 };
  const undo = [...meterStrings(counted), meterExpressions(counted, most)];
  try {
    const blocks = blocksRun(act);
    counted.work += blocks;
  } catch (thrown) {
    if (!(thrown instanceof TooMuch)) throw thrown;
  } finally {
    for (const restore of undo) restore();
  }
  return counted.work;
}

class TooMuch extends Error {}

interface Counted {
  work: number;
}

/** Times that a block of JavaScript was entered, of this project's and its libraries' own. */
function blocksRun(act: () => void): number {
  const session = new Session();
  session.connect();
  const coverage = (): number => {
    let entered = 0;
    session.post("Profiler.takePreciseCoverage", (_error, { result }) => {
      for (const script of result.filter(({ url }) => url !== import.meta.url))
        for (const { ranges } of script.functions) for (const { count } of ranges) entered += count;
    });
    return entered;
  };
  try {
    session.post("Profiler.enable");
    session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    coverage();
    act();
    return coverage();
  } finally {
    session.disconnect();
  }
}

/** How far the strings' own searches go. */
function meterStrings(counted: Counted): readonly (() => void)[] {
  return (["indexOf", "lastIndexOf", "includes", "trim", "trimStart", "trimEnd", "toLowerCase", "normalize"] as const).map(
    (name) => {
      const kept = Object.getOwnPropertyDescriptor(String.prototype, name) ?? {};
      const own = kept.value as (...args: unknown[]) => unknown;
      const metered = function (this: string, ...args: unknown[]): unknown {
        const found = Reflect.apply(own, this, args);
        const from = typeof args[1] === "number" ? args[1] : 0;
        counted.work += typeof found === "number" && found >= from ? found - from : Math.max(0, this.length - from);
        return found;
      };
      Object.defineProperty(String.prototype, name, { ...kept, value: metered });
      return () => Object.defineProperty(String.prototype, name, kept);
    },
  );
}

/** Every use of an expression goes through its exec, which asks first how many steps back the search takes, to a power of two. */
function meterExpressions(counted: Counted, most: number): () => void {
  const kept = Object.getOwnPropertyDescriptor(RegExp.prototype, "exec") ?? {};
  const own = kept.value as RegExp["exec"];
  const probes = new Map<string, RegExp>();
  const probe = ({ source, flags, sticky }: RegExp, max: number): RegExp => {
    const own = [...flags].filter((flag) => flag !== "g" && flag !== "y").join("");
    const key = `${max} ${flags} ${source}`;
    // The empty alternative at the end always matches: no match means that the steps were spent.
    const known = probes.get(key) ?? makeLimited(`(?:${sticky ? "" : "[^]*?"}(?:${countable(source)}))|`, `${own}y`, max);
    probes.set(key, known);
    return known;
  };
  const metered = function (this: RegExp, text: string): RegExpExecArray | null {
    const { lastIndex } = this;
    for (let max = 16; ; max *= 2) {
      const limited = probe(this, max);
      limited.lastIndex = this.global || this.sticky ? lastIndex : 0;
      if (Reflect.apply(own, limited, [text]) === null && limited.source !== "") {
        if (counted.work + max > most) {
          counted.work += max;
          throw new TooMuch();
        }
        continue;
      }
      counted.work += max;
      break;
    }
    this.lastIndex = lastIndex;
    return Reflect.apply(own, this, [text]);
  };
  Object.defineProperty(RegExp.prototype, "exec", { ...kept, value: metered });
  return () => Object.defineProperty(RegExp.prototype, "exec", kept);
}

/**
 * The same expression with each repeated character as a group: V8 walks back through a run of single characters without counting, and quadratic
 * work hides there.
 */
function countable(source: string): string {
  let out = "";
  for (let at = 0; at < source.length;) {
    const end = endOfAtom(source, at);
    const atom = source.slice(at, end);
    const repeated = atom.length > 0 && "*+{".includes(source[end] ?? "-") && !"()|^$*+?{}".includes(atom);
    out += repeated ? `(?:${atom}(?=))` : atom;
    at = end;
  }
  return out;
}

/** A class, an escape with its braces, or one character. */
function endOfAtom(source: string, at: number): number {
  if (source[at] === "\\") {
    const braced = "pPu".includes(source[at + 1] ?? "-") && source[at + 2] === "{";
    if (braced) return source.indexOf("}", at) + 1;
    return at + ({ u: 6, x: 4 }[source[at + 1] ?? ""] ?? 2);
  }
  if (source[at] !== "[") return at + 1;
  let end = at + 1;
  while (source[end] !== "]") end += source[end] === "\\" ? 2 : 1;
  return end + 1;
}
