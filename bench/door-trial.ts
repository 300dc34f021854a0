/**
 * The trial of the model door: `npm run trial:doors [-- --json] [--open-responses FILE] [--upstream URL]`. The client libraries and the suites for their formats are
 * run directly against an upstream and through the door: where bytes pass, and where the upstream speaks one format alone and the others are translated.
 * Exit code 1 where the door is below the direct run. What it needs is installed into `.cache/doors`; without a network it says so and ends well.
 * The Open Responses suite is in no package: `--open-responses` gives its command as one file that Node can run.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openStand, upstreamKey, type Speaks } from "./door-stand.ts";
import { packages, suites, type Outcome, type Suite, type Target } from "./door-suites.ts";
import { openUpstream } from "./door-upstream.ts";

const cache = join(import.meta.dirname, "../.cache/doors");
const doors: readonly Speaks[] = ["all", "messages", "responses", "chat"];
const titles: Readonly<Record<Speaks, string>> = {
  all: "door",
  messages: "to Messages",
  responses: "to Responses",
  chat: "to Chat",
};

interface Row {
  readonly suite: string;
  readonly direct: ReadonlyMap<string, Outcome>;
  readonly through: Readonly<Record<Speaks, ReadonlyMap<string, Outcome>>>;
}

const { values } = parseArgs({
  options: { json: { type: "boolean", default: false }, "open-responses": { type: "string" }, upstream: { type: "string" } },
});
if (prepared()) process.exitCode = await trial();
else process.stdout.write("trial:doors skipped: the client libraries cannot be installed\n");

function prepared(): boolean {
  mkdirSync(cache, { recursive: true });
  if (!existsSync(join(cache, "package.json"))) writeFileSync(join(cache, "package.json"), '{"private":true,"type":"module"}\n');
  const names = packages.map((spec) => spec.slice(0, spec.indexOf("@", 1)));
  if (names.every((name) => existsSync(join(cache, "node_modules", name)))) return true;
  const flags = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
  return spawnSync("npm", [...flags, ...packages], { cwd: cache, encoding: "utf8" }).status === 0;
}

async function trial(): Promise<number> {
  const own = values.upstream === undefined ? await openUpstream() : null;
  const upstream = own?.url ?? values.upstream ?? "";
  const file = values["open-responses"];
  const given = file === undefined ? null : resolve(file);
  if (given === null) process.stderr.write("Open Responses compliance is left out: give its file with --open-responses\n");
  const rows: Row[] = [];
  try {
    for (const suite of suites(cache, given)) {
      const direct = await suite.run({ url: upstream, key: upstreamKey, upstream, speaks: "all" });
      const through = { all: new Map(), messages: new Map(), responses: new Map(), chat: new Map() } as Record<
        Speaks,
        Row["direct"]
      >;
      for (const speaks of doors) through[speaks] = await throughDoor(suite, upstream, speaks);
      const row = { suite: suite.name, direct, through };
      rows.push(row);
      if (!values.json) process.stdout.write(told(row));
    }
  } finally {
    await own?.close();
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ rows: rows.map(asJson) })}\n`);
  return rows.every((row) => row.direct.size > 0 && doors.every((speaks) => below(row, speaks).length === 0)) ? 0 : 1;
}

/** A door of its own, so that what one suite asked is nothing to the next. */
async function throughDoor(suite: Suite, upstream: string, speaks: Speaks): Promise<Row["direct"]> {
  const stand = await openStand(upstream, speaks);
  const target: Target = { url: stand.url, key: stand.credential, upstream, speaks };
  try {
    return await suite.run(target);
  } finally {
    await stand.close();
  }
}

/** What went well directly and not through the door. Where bytes pass there is nothing to refuse. */
function below({ direct, through }: Row, speaks: Speaks): readonly string[] {
  return [...direct]
    .filter(([, outcome]) => outcome === "passed")
    .map(([id]) => id)
    .filter((id) => {
      const outcome = through[speaks].get(id) ?? "failed";
      return outcome === "failed" || (outcome === "refused" && speaks === "all");
    });
}

function count(outcomes: Row["direct"], wanted: Outcome): number {
  return [...outcomes.values()].filter((outcome) => outcome === wanted).length;
}

function told(row: Row): string {
  const score = (title: string, outcomes: Row["direct"]): string => {
    const refused = count(outcomes, "refused");
    return `  ${title.padEnd(14)}${count(outcomes, "passed")}/${outcomes.size}${refused === 0 ? "" : `, ${refused} refused by name`}\n`;
  };
  const lines = doors.map((speaks) => {
    const lost = below(row, speaks);
    return score(titles[speaks], row.through[speaks]) + (lost.length === 0 ? "" : `    below: ${lost.join("; ")}\n`);
  });
  return `${row.suite}\n${score("directly", row.direct)}${lines.join("")}`;
}

function asJson(row: Row): object {
  const summed = (outcomes: Row["direct"]): object => ({
    passed: count(outcomes, "passed"),
    failed: count(outcomes, "failed"),
    refused: count(outcomes, "refused"),
  });
  const through = doors.map((speaks) => [speaks, { ...summed(row.through[speaks]), below: below(row, speaks) }]);
  return { suite: row.suite, direct: summed(row.direct), ...(Object.fromEntries(through) as object) };
}
