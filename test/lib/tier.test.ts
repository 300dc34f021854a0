import { expect, test } from "vitest";
import { inTier, tierPath } from "../../src/lib/tier.ts";

test("FIL-17.1  /platform and /shared name tiers, and nothing else that is absolute does", () => {
  expect(tierPath("/shared")).toEqual({ tier: "shared", path: "." });
  expect(tierPath("/shared/")).toEqual({ tier: "shared", path: "." });
  expect(tierPath("/platform/docs/a.md")).toEqual({ tier: "platform", path: "docs/a.md" });
  for (const other of ["shared/a", "./shared", "/sharedx/a", "/etc/passwd", "//shared/a", "/", "", "/Shared/a", "\n/shared/a"]) {
    expect(tierPath(other), other).toBeNull();
  }
  expect(tierPath(inTier("shared", "a/b"))).toEqual({ tier: "shared", path: "a/b" });
  expect(tierPath(inTier("shared", "."))).toEqual({ tier: "shared", path: "." });
});
