import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "../../src/lib/heap.ts";

test("items leave a heap in order, whenever they came", () => {
  const steps = fc.array(fc.option(fc.integer({ min: -20, max: 20 }), { nil: null, freq: 3 }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (pushes) => {
      const heap = new Heap<number>((a, b) => a < b);
      let model: number[] = [];
      for (const item of pushes) {
        if (item !== null) {
          heap.push(item);
          model = [...model, item].toSorted((a, b) => a - b);
        } else {
          expect(heap.pop()).toBe(model[0]);
          model = model.slice(1);
        }
        expect(heap.size).toBe(model.length);
      }
    }),
  );
});
