/** Panic: one of our own invariants broke. Boot seals the journal and exits with 70. */

export class Panic extends Error {
  override readonly name = "Panic";
}

export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Panic(invariant);
}

/** The default of an exhaustive switch: a new variant fails to compile here. */
export function unreachable(value: never): never {
  throw new Panic(`unreachable: ${JSON.stringify(value)}`);
}
