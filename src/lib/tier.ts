/**
 * Tier: the two places besides its own session that a process names files in, by an absolute path.
 *   FIL-17.1  `/platform` and `/shared` name tiers, and nothing else that is absolute does.
 */
export const tierNames = ["platform", "shared"] as const;
export type TierName = (typeof tierNames)[number];

export interface TierPath {
  readonly tier: TierName;
  /** Within the tier, as it was given; `.` for all of it. */
  readonly path: string;
}

/** null where the path names no tier: a session's path is relative. */
export function tierPath(path: string): TierPath | null {
  const shape = /^\/([a-z]+)(?:\/+([^]*))?$/.exec(path);
  const tier = tierNames.find((name) => name === shape?.[1]);
  if (tier === undefined) return null;
  const rest = shape?.[2] ?? "";
  return { tier, path: rest === "" ? "." : rest };
}

/** As a process names it. */
export function inTier(tier: TierName, path: string): string {
  return path === "." ? `/${tier}` : `/${tier}/${path}`;
}
