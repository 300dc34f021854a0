/**
 * Skips: a vitest reporter that says why each skipped test was skipped, so that no gap goes unseen.
 *   TOOL-2.4  Every skipped test is listed with its reason, the tests of one reason together.
 */
import type { Reporter, TestModule } from "vitest/node";

export default class Skips implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped: Skipped[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const result = test.result();
        skipped.push({
          title: test.fullName,
          reason: (result.state === "skipped" ? result.note : undefined) ?? "no reason given",
        });
      }
    }
    for (const line of skipLines(skipped)) process.stdout.write(`${line}\n`);
  }
}

export interface Skipped {
  readonly title: string;
  readonly reason: string;
}

export function skipLines(skipped: readonly Skipped[]): readonly string[] {
  const groups = Map.groupBy(skipped, (test) => test.reason);
  return [...groups].map(([reason, tests]) => `Skipped, ${reason}: ${tests.map((test) => test.title).join(" · ")}`);
}
