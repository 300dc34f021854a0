/**
 * Peers: the step of bench/step.ts beside frameworks that govern nothing and write nothing down, in one run and in turn. They are installed
 * into `.cache/peers` for this bench alone; one that cannot be installed is left out, and the run says so.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, parseJson } from "../src/lib/json.ts";
import { atMost, median, told, type Measure } from "./measure.ts";
import { once } from "./step.ts";

export const seconds = 120;

const folder = join(import.meta.dirname, "../.cache/peers");

const peers = [
  { name: "ai", title: "AI SDK 7.0.173 generateText", packages: { ai: "7.0.173", zod: "4.6.7" } },
  {
    name: "langgraph",
    title: "LangGraph 1.4.17 createReactAgent, no saver",
    packages: { "@langchain/langgraph": "1.4.17", "@langchain/core": "1.4.0", zod: "4.6.7" },
  },
] as const;

export async function run(): Promise<readonly Measure[]> {
  const present = peers.filter((peer) => installed(peer.packages));
  const ours: number[] = [];
  const theirs = new Map<string, number[]>(present.map((peer) => [peer.name, []]));
  for (let warm = 0; warm < 3; warm += 1) await once({ agents: 100, steps: 20, driver: null });
  for (let round = 0; round < 3; round += 1) {
    for (let part = 0; part < 3; part += 1) ours.push((await once({ agents: 100, steps: 20, driver: null })).cpuUs);
    for (const peer of present) theirs.get(peer.name)?.push(...peerRound(peer.name));
  }
  const own = median(ours);
  return [
    told("daimon, governed and durable, cpu per step", own, "µs"),
    ...present.flatMap(({ name, title }) => {
      const figure = median(theirs.get(name) ?? []);
      return [told(`${title}, cpu per step`, figure, "µs"), atMost(`daimon over ${title}`, own / figure, "×", 1)];
    }),
  ];
}

function peerRound(name: string): readonly number[] {
  const output = execFileSync(process.execPath, [join(import.meta.dirname, "peers.mjs"), name, "3"], {
    cwd: folder,
    encoding: "utf8",
  });
  const samples = parseJson(output);
  if (!Array.isArray(samples)) throw new Error(`${name} printed no samples`);
  return samples as readonly number[];
}

/** Without the packages' own install scripts. */
function installed(packages: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(packages);
  if (names.every((name) => existsSync(join(folder, "node_modules", name)))) return true;
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, "package.json"))) writeFileSync(join(folder, "package.json"), '{ "private": true }');
  try {
    const wanted = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
    execFileSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...wanted], { cwd: folder, stdio: "ignore" });
    return true;
  } catch (error) {
    const why = isObject(error) && typeof error["code"] === "string" ? error["code"] : "npm could not install it";
    process.stderr.write(`left out ${names[0]}: ${why}\n`);
    return false;
  }
}
