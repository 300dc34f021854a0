import { expect, test } from "vitest";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";

test("CLK-1.1 advance() wakes what falls due in order of time and then of asking, each at its own time", () => {
  const clock = new FakeClock(1_000);
  const seen: string[] = [];
  const wake = (name: string) => (): void => void seen.push(`${name}@${clock.now()}`);
  clock.after(20, wake("c"));
  clock.after(10, wake("a"));
  clock.after(10, wake("b"));
  const cancel = clock.after(15, wake("never"));
  clock.after(5, () => clock.after(5, wake("later")));
  cancel();
  clock.advance(19);
  expect(seen).toEqual(["a@1010", "b@1010", "later@1010"]);
  clock.advance(1);
  expect(seen.at(-1)).toBe("c@1020");
});
