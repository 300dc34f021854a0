/** What the tests of the guest formats share: streams in any cut, and what becomes of them. */
import type { Result } from "../../src/lib/result.ts";
import type { Heard, Hearing, HeardTrouble, Question } from "../../src/wire/guest-format.ts";

export const asked: Question = {
  model: "m",
  stream: true,
  windowTokens: 100,
  echo: { stream_options: { include_usage: true } },
};

/** The bytes in the chunks that the cuts make; a cut may lie anywhere, and several at one place are one. */
export function chunks(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted((a, b) => a - b);
  return places.slice(1).map((to, n) => bytes.subarray(places[n], to));
}

export interface Passed {
  readonly out: string;
  readonly end: Result<Heard, HeardTrouble>;
}

export function pass(hearing: Hearing, pieces: readonly Uint8Array[]): Passed {
  const out: Uint8Array[] = [];
  for (const piece of pieces) out.push(...hearing.push(piece));
  return { out: Buffer.concat(out).toString(), end: hearing.end() };
}

export function textOf(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString();
}

export function heardOf(passed: Passed): Heard {
  if (!passed.end.ok) throw new Error(passed.end.error.trouble.message);
  return passed.end.value;
}
