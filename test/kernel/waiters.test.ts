import { expect, test } from "vitest";
import { Waiters } from "../../src/kernel/waiters.ts";

test("KRN-14.1 everybody who waits is told once, in the order of asking", async () => {
  const waiters = new Waiters<number>();
  const told: string[] = [];
  const ask = (name: string, pid: number): Promise<void> => waiters.wait(pid).then((value) => void told.push(`${name}:${value}`));
  const all = [ask("a", 1), ask("b", 1), ask("c", 2)];
  waiters.tell(1, 7);
  waiters.tell(1, 8);
  waiters.tellAll(9);
  await Promise.all(all);
  expect(told).toEqual(["a:7", "b:7", "c:9"]);
});
