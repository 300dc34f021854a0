/**
 * The long differential trial: `node bench/cedar-differential.ts [--decisions 10000000] [--from SEED]`.
 * Prints one JSON object; exits 1 on the first difference, with what is needed to repeat it.
 */
import { parseArgs } from "node:util";
import { compareOnce, emptyTally } from "../test/security/policy/differential.ts";

const { values } = parseArgs({
  options: { decisions: { type: "string", default: "10000000" }, from: { type: "string", default: "1000000" } },
});
const decisions = Number(values.decisions);
const requestsPerSet = 200;
const tally = emptyTally();
const started = performance.now();
let seed = Number(values.from);
let reported = 0;

while (tally.decisions < decisions) {
  const difference = compareOnce(seed, Math.min(requestsPerSet, decisions - tally.decisions), tally);
  if (difference !== null) {
    console.log(JSON.stringify({ trial: "policy", differences: 1, ...difference }, null, 2));
    process.exit(1);
  }
  seed += 1;
  if (tally.decisions - reported < 100_000) continue;
  reported = tally.decisions;
  process.stderr.write(
    `${tally.decisions} decisions, ${Math.round(tally.decisions / ((performance.now() - started) / 1_000))}/s, seed ${seed}\n`,
  );
}
const seconds = (performance.now() - started) / 1_000;
console.log(JSON.stringify({ trial: "policy", differences: 0, sets: seed - Number(values.from), seconds, ...tally }));
