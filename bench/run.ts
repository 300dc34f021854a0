/**
 * Run: `npm run bench -- NAME [--json] [--data DIR] [FLAGS]` measures one thing; without NAME all that fit ten minutes, each in a process of its own.
 *   TOOL-7.3  A bench prints one JSON object with its measures, the machine and the commit, and a table without --json.
 *   TOOL-7.4  The exit code is 1 where a bound is not met or a bench fails, and an unknown name lists the known ones.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { isObject, parseJson } from "../src/lib/json.ts";
import type { BenchModule, Measure } from "./measure.ts";

export interface Report {
  readonly bench: string;
  readonly measures: readonly Measure[];
  readonly machine: Machine;
  readonly commit: string;
}

interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
}

const folder = import.meta.dirname;
const secondsMax = 600;
const secondsUsual = 60;

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals, tokens } = parseArgs({
    args: [...argv],
    options: { json: { type: "boolean", default: false }, data: { type: "string" } },
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const name = positionals[0];
  const json = values.json === true;
  const data = typeof values.data === "string" ? resolve(values.data) : null;
  if (data !== null) mkdirSync(data, { recursive: true });
  if (name === undefined) return runAll(json, data);
  if (!benches().includes(name)) {
    process.stderr.write(`There is no bench ${name}. There are: ${benches().join(", ")}.\n`);
    return 64;
  }
  const skip = new Set(
    tokens.flatMap((token) =>
      token.kind === "option" && token.name === "data" ? [token.index, token.inlineValue === true ? -1 : token.index + 1] : [],
    ),
  );
  const args = argv.filter((arg, index) => !skip.has(index) && arg !== "--json" && arg !== name);
  const module = (await import(pathToFileURL(join(folder, `${name}.ts`)).href)) as BenchModule;
  const report: Report = { bench: name, measures: await module.run({ data, args }), machine: machine(), commit: commit() };
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : table(report));
  return isMet(report) ? 0 : 1;
}

/** Each bench gets a fresh process, so that one's heap and compiled code do not weigh on the next. */
async function runAll(json: boolean, data: string | null): Promise<number> {
  const started = Date.now();
  const reports: Report[] = [];
  const left: string[] = [];
  const failed: string[] = [];
  for (const name of benches()) {
    const { seconds = secondsUsual } = (await import(pathToFileURL(join(folder, `${name}.ts`)).href)) as BenchModule;
    const remainingMs = secondsMax * 1_000 - (Date.now() - started);
    if (seconds * 1_000 > remainingMs) {
      left.push(name);
      continue;
    }
    const args = [join(folder, "run.ts"), name, "--json", ...(data === null ? [] : ["--data", data])];
    const child = spawnSync(process.execPath, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      timeout: remainingMs,
      maxBuffer: 64 << 20,
    });
    const report = reportOf(child.stdout);
    if (report === null) failed.push(name);
    else reports.push(report);
    if (!json) process.stdout.write(report === null ? `${name} failed; run it alone: npm run bench -- ${name}\n` : table(report));
  }
  if (json) process.stdout.write(`${JSON.stringify({ benches: reports, failed, left }, null, 2)}\n`);
  else if (left.length > 0) process.stdout.write(`Left out, for want of time: ${left.join(", ")}\n`);
  return failed.length === 0 && reports.every(isMet) ? 0 : 1;
}

export function isMet(report: Pick<Report, "measures">): boolean {
  return report.measures.length > 0 && report.measures.every((measure) => measure.met !== false);
}

/** Aligned columns: name, value with unit, bound, verdict. */
export function table(report: Report): string {
  const rows = report.measures.map((measure) => [
    measure.name,
    `${amount(measure.value)} ${measure.unit}`.trim(),
    measure.must === null ? "" : `must ${measure.must}`,
    measure.met === null ? "" : measure.met ? "met" : "NOT MET",
    measure.aim === undefined ? "" : `aim ${measure.aim}`,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd());
  const { cpu, cores, memoryGiB, node } = report.machine;
  return `${report.bench} · ${cpu}, ${cores} cores, ${memoryGiB} GiB, Node ${node} · ${report.commit}\n${lines.join("\n")}\n`;
}

function amount(value: number): string {
  if (!Number.isFinite(value)) return "no figure";
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

function benches(): readonly string[] {
  const names = readdirSync(folder).flatMap((file) => /^([\w-]+)\.ts$/.exec(file)?.[1] ?? []);
  // What a bench is made of may lie beside it; a bench is what can be run.
  return names
    .filter((name) => /^export (?:async )?function run\b/m.test(readFileSync(join(folder, `${name}.ts`), "utf8")))
    .sort();
}

function reportOf(text: string): Report | null {
  const value = parseJson(text);
  return isObject(value) && Array.isArray(value["measures"]) ? (value as unknown as Report) : null;
}

function machine(): Machine {
  const all = cpus();
  const memoryGiB = Math.round(totalmem() / 1024 ** 3);
  return {
    cpu: all[0]?.model ?? "unknown",
    cores: all.length,
    memoryGiB,
    system: `${type()} ${release()}`,
    node: process.versions.node,
  };
}

/** The commit measured; a plus sign says that the tree differed from it. */
function commit(): string {
  const root = dirname(folder);
  if (!existsSync(join(root, ".git"))) return "unknown";
  try {
    const git = (...args: string[]): string =>
      execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    return git("rev-parse", "--short=12", "HEAD") + (git("status", "--porcelain") === "" ? "" : "+");
  } catch {
    return "unknown";
  }
}
