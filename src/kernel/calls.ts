/**
 * Calls: the one call table. Native calls and tools of MCP servers are entries of the same kind.
 *   KRN-4.1  Two calls of one name are refused when the table is made.
 *   KRN-4.2  Schemas compile when a call is first used, so that a boot does not pay for calls nobody makes. A call of which one is broken is not made.
 *   KRN-4.3  A call that only programs have a use for is made like any other, and no model is offered it.
 */
import type { CallHandler, CallSpec } from "../abi/call.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { ToolDefinition } from "../abi/message.ts";
import type { PolicyEntity } from "../abi/policy.ts";
import { ok, type Result } from "../lib/result.ts";
import { schemaCompiler, type Check, type Compile } from "../lib/schema.ts";
import { actionOf } from "../security/question.ts";

export class Registered {
  readonly spec: CallSpec;
  readonly handler: CallHandler;
  readonly action: PolicyEntity;
  readonly #compile: Compile;
  #checks: { readonly input: Check; readonly output: Check } | null = null;

  constructor(handler: CallHandler, compile: Compile) {
    this.spec = handler.spec;
    this.handler = handler;
    this.action = actionOf(handler.spec);
    this.#compile = compile;
  }

  /** null when the arguments fit; otherwise what is wrong with them. */
  get check(): Check {
    this.#checks ??= this.#compiled();
    return this.#checks.input;
  }

  /** null when what the call gave has the form it declares; otherwise what is wrong with it. */
  get checkOutput(): Check {
    this.#checks ??= this.#compiled();
    return this.#checks.output;
  }

  #compiled(): { readonly input: Check; readonly output: Check } {
    const input = this.#compile(this.spec.input);
    const output = this.#compile(this.spec.output);
    if (input.ok && output.ok) return { input: input.value, output: output.value };
    const why = input.ok ? (output.ok ? "" : output.error) : input.error;
    const refuse = (): string =>
      `the schema of ${this.spec.name} is broken (${why}); the call cannot be checked, so it is not made`;
    return { input: refuse, output: refuse };
  }
}

export interface CallTable {
  readonly compile: Compile;
  get(name: string): Registered | undefined;
  all(): Iterable<Registered>;
  /** The calls a process may see, as tools, sorted by name so that the prompt's head is stable. */
  tools(holds: (name: string) => boolean): readonly ToolDefinition[];
}

export function callTable(handlers: readonly CallHandler[]): Result<CallTable, SysError> {
  const compile = schemaCompiler();
  const entries = new Map<string, Registered>();
  for (const handler of handlers.toSorted((a, b) => (a.spec.name < b.spec.name ? -1 : 1))) {
    if (entries.has(handler.spec.name)) return fail("EEXIST", `two calls are named ${handler.spec.name}; rename one of them`);
    entries.set(handler.spec.name, new Registered(handler, compile));
  }
  return ok({
    compile,
    get: (name) => entries.get(name),
    all: () => entries.values(),
    tools: (holds) =>
      [...entries.values()]
        .filter(({ spec }) => spec.offered !== false && holds(spec.name))
        .map(({ spec }) => ({ name: spec.name, description: spec.summary, input: spec.input })),
  });
}
