/**
 * Prng: a seeded source of chance (xoshiro128**, Blackman and Vigna 2018) for tests, simulation and jitter. Not for secrets.
 *   LIB-2.1  Equal seeds give equal sequences on every machine.
 */

export interface Prng {
  /** 0 to 2^32 − 1. */
  uint32(): number;
  /** 0 ≤ n < bound; bound is at most 2^32. */
  below(bound: number): number;
  /** 0 ≤ x < 1, in steps of 2^-32. */
  unit(): number;
  chance(probability: number): boolean;
  /** An element of a list that is not empty. */
  pick<T>(items: readonly T[]): T;
}

export function prng(seed: number): Prng {
  let [a, b, c, d] = seeds(seed);
  const uint32 = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result;
  };
  const unit = (): number => uint32() / 0x1_0000_0000;
  const below = (bound: number): number => Math.floor(unit() * bound);
  const pick = <T>(items: readonly T[]): T => {
    const item = items[below(items.length)];
    if (item === undefined && items.length === 0) throw new RangeError("pick() needs a list that is not empty");
    return item as T;
  };
  return { uint32, below, unit, chance: (probability) => unit() < probability, pick };
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** SplitMix32 spreads a small seed over the state, which is never all zero. */
function seeds(seed: number): [number, number, number, number] {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e37_79b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return z ^ (z >>> 15);
  };
  return [next(), next(), next(), next() | 1];
}
