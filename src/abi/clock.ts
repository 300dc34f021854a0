/** Clock: time comes in as a parameter; tests use the fake one. */

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `wake` once after `ms`; returns how to cancel it. */
  after(ms: number, wake: () => void): () => void;
}
