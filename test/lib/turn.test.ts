import { expect, test } from "vitest";
import { Turn } from "../../src/lib/turn.ts";

test("work is done one after the other in the order of asking, and a failure holds up nobody", async () => {
  const turn = new Turn();
  const seen: string[] = [];
  const work = async (name: string): Promise<string> => {
    seen.push(`${name} begins`);
    for (let hop = 0; hop < 3; hop += 1) await Promise.resolve();
    seen.push(`${name} ends`);
    if (name === "b") throw new Error("b failed");
    return name;
  };
  const done = await Promise.allSettled(["a", "b", "c"].map((name) => turn.take(() => work(name))));
  expect(done.map((one) => (one.status === "fulfilled" ? one.value : String(one.reason)))).toEqual(["a", "Error: b failed", "c"]);
  expect(seen).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});
