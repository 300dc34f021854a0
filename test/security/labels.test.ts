import fc from "fast-check";
import { expect, test } from "vitest";
import { confidentialities, integrities } from "../../src/abi/label.ts";
import { join, label } from "../../src/security/labels.ts";

const labels = fc.tuple(fc.constantFrom(...integrities), fc.constantFrom(...confidentialities)).map(([a, b]) => label(a, b));

test("LAB-1.1 a join is never better than either side", () => {
  fc.assert(
    fc.property(labels, labels, (a, b) => {
      const joined = join(a, b);
      for (const side of [a, b]) {
        expect(integrities.indexOf(joined.integrity)).toBeGreaterThanOrEqual(integrities.indexOf(side.integrity));
        expect(confidentialities.indexOf(joined.confidentiality)).toBeGreaterThanOrEqual(
          confidentialities.indexOf(side.confidentiality),
        );
      }
    }),
  );
});

test("LAB-1.2 joining is associative, commutative and idempotent, and equal labels are one object", () => {
  fc.assert(
    fc.property(labels, labels, labels, (a, b, c) => {
      expect(join(a, join(b, c))).toBe(join(join(a, b), c));
      expect(join(a, b)).toBe(join(b, a));
      expect(join(a, a)).toBe(a);
      expect(join({ ...a }, { ...b })).toBe(join(a, b));
    }),
  );
});
