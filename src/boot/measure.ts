/**
 * Measure: what the kernel trusts, hashed in the order in which it was loaded.
 *   BOO-4.1  The boot digest depends on every step's name, content and place, and on nothing else: not on the time it took.
 *   BOO-4.2  Two steps of one name are a bug in the load order and panic.
 *   BOO-4.3  compareBoots() names each step that came, went or changed, with its digests, in load order.
 */
import { assert } from "../lib/assert.ts";
import { canonical } from "../lib/json.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import type { BootStep } from "../abi/entry.ts";

export interface BootMeasure {
  readonly digest: Digest;
  readonly steps: readonly BootStep[];
}

export interface BootChange {
  readonly name: string;
  readonly kind: "added" | "changed" | "removed";
  readonly before: Digest | null;
  readonly after: Digest | null;
}

/** One step: the digest is of the bytes as they lie on the disk; `since` is the monotonic clock when its loading began, in milliseconds. */
export function bootStep(name: string, digest: Digest, since: number, now: number): BootStep {
  return { name, digest, ms: Math.max(0, Math.round((now - since) * 1000) / 1000) };
}

export function measureBoot(steps: readonly BootStep[]): BootMeasure {
  assert(new Set(steps.map((step) => step.name)).size === steps.length, "every boot step has its own name");
  return { digest: sha256(canonical(steps.map((step) => [step.name, step.digest]))), steps };
}

export function compareBoots(before: readonly BootStep[], after: readonly BootStep[]): readonly BootChange[] {
  const old = new Map(before.map((step) => [step.name, step.digest]));
  const changes: BootChange[] = [];
  for (const { name, digest } of after) {
    const was = old.get(name) ?? null;
    old.delete(name);
    if (was !== digest) changes.push({ name, kind: was === null ? "added" : "changed", before: was, after: digest });
  }
  for (const [name, digest] of old) changes.push({ name, kind: "removed", before: digest, after: null });
  return changes;
}
