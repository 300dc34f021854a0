/** The real command line in a temporary workspace with a home of its own. */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll } from "vitest";
import { noLimits } from "../../src/abi/budget.ts";
import type { ProcessSummary } from "../../src/abi/process.ts";
import type { Machine } from "../../src/boot/boot.ts";

export const bin = path.resolve(import.meta.dirname, "../../bin/daimon.mjs");
const base = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "daimon-cli-"));
afterAll(() => fs.rmSync(base, { recursive: true, force: true }), 60_000);

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What a test looks into field by field, and compares with what it expects. */
export type Loose = ReturnType<typeof JSON.parse>;

/** `daimon ps --json`. */
export interface Processes {
  readonly kernel: string;
  readonly processes: readonly ProcessSummary[];
}

export interface Place {
  readonly folder: string;
  readonly home: string;
  put(file: string, text: string): void;
  read(file: string): string;
  has(file: string): boolean;
  run(...args: string[]): Ran;
  /** The one JSON document that a command prints. */
  json<T = Loose>(...args: string[]): T;
  /** The same beside a kernel in this very process, whose events must go on. */
  start(...args: string[]): Promise<Ran>;
  startJson<T = Loose>(...args: string[]): Promise<T>;
  env(extra?: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
}

const counter = { next: 0 };

/** `under`: not in the temporary folder, for programs that will not have their home there. */
export function place(under = base): Place {
  const folder = path.join(under, String(counter.next++), "work");
  const home = path.join(path.dirname(folder), "home");
  fs.mkdirSync(folder, { recursive: true });
  fs.mkdirSync(home);
  const env = (extra = {}): Readonly<Record<string, string>> => ({ PATH: process.env["PATH"] ?? "", HOME: home, ...extra });
  const run = (...args: string[]): Ran => daimon(folder, args, env());
  return {
    folder,
    home,
    env,
    run,
    put: (file, text) => {
      fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      fs.writeFileSync(path.join(folder, file), text);
    },
    read: (file) => fs.readFileSync(path.join(folder, file), "utf8"),
    has: (file) => fs.existsSync(path.join(folder, file)),
    json: (...args) => onlyDocument(run(...args, "--json")),
    start: (...args) => started(folder, args, env()),
    startJson: async (...args) => onlyDocument(await started(folder, [...args, "--json"], env())),
  };
}

function onlyDocument<T>(ran: Ran): T {
  const lines = ran.out.trim().split("\n");
  if (lines.length !== 1 || lines[0] === "") throw new Error(`expected one document: ${ran.out.slice(0, 500)} ${ran.err}`);
  return JSON.parse(lines[0] ?? "") as T;
}

async function started(cwd: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
  const child = spawn(process.execPath, [bin, ...args], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

export function daimon(cwd: string, args: readonly string[], env: Readonly<Record<string, string>>, input = ""): Ran {
  const ran = spawnSync(process.execPath, [bin, ...args], { cwd, env, input, encoding: "utf8", timeout: 60_000 });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

/** The same on a pseudo-terminal: what is typed, and everything that appeared. `keys` are sent once `after` has appeared. */
export async function onTerminal(
  where: Place,
  args: readonly string[],
  typed: readonly { readonly after: string; readonly keys: string }[],
): Promise<{ readonly code: number | null; readonly screen: string }> {
  const command = [process.execPath, bin, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = spawn("script", ["-qfec", `stty rows 40 cols 100; ${command}`, "/dev/null"], {
    cwd: where.folder,
    env: where.env({ TERM: "xterm" }),
  });
  let screen = "";
  let seen = 0;
  const left = [...typed];
  const look = (): void => {
    const [next] = left;
    if (next === undefined) return;
    const at = screen.indexOf(next.after, seen);
    if (at === -1) return;
    seen = at + next.after.length;
    left.shift();
    child.stdin.write(next.keys);
    look();
  };
  child.stdout.on("data", (chunk: Buffer) => {
    screen += chunk.toString();
    look();
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, screen };
}

/** Documents enough for a brief, one of them with a name and content that a terminal would obey. */
export function documents(where: Place): void {
  where.put("inbox/charter.md", charter);
  where.put("inbox/minutes.md", minutes);
  where.put(
    "inbox/odd\u001b]0;owned\u0007 name.txt",
    `${"The lift was repaired on 3 May 2026 by the contractor. ".repeat(3)}\u001b[2J\n`,
  );
}

const charter = `# Charter of the move

The steering group decided on 4 March 2026 to move the archive to North Dock.
The budget is EUR 120,000, of which EUR 30,000 are a reserve.

## Risks

The roof of the old store leaked twice in 2025.
The finance office will report on the budget by 1 June 2026.
`;

const minutes = `# Minutes of 7 April 2026

Decision: the move starts on 12 October 2026 with the ground floor.
The facilities team will fit a new door alarm by 30 April 2026.
Who pays for the extra transport is not decided yet.
The budget is EUR 125,000 after the approval of the committee.
`;

/** A program as code: it writes, tries the network, commits what needs a person's yes, and asks. */
export const probe = `export default {
  name: "probe", version: "1.0.0", summary: "Write a note, keep it, and ask.",
  input: {
    type: "object",
    properties: { text: { type: "string" }, times: { type: "integer", minimum: 1 } },
    required: ["text"],
    additionalProperties: false,
  },
  calls: ["fs.write", "fs.commit", "net.fetch", "ask"],
  body: async (sys) => {
    const wrote = await sys.call("fs.write", { path: "notes/a.txt", text: sys.goal.text });
    if (!wrote.ok) return wrote;
    const fetched = await sys.call("net.fetch", { url: "https://example.com/x" });
    const kept = await sys.call("fs.commit", { paths: ["notes/a.txt"] });
    const said = await sys.call("ask", { question: "Which colour?" });
    return { ok: true, value: { kept: kept.ok, fetched: fetched.ok, said: said.ok ? said.value : null } };
  },
};
`;

export function withProbe(where: Place): void {
  where.put("programs/probe/program.ts", probe);
  const trusted = where.run("config", "trust", "programs/probe/program.ts");
  if (trusted.code !== 0) throw new Error(trusted.err);
}

/** On a machine of this very process. */
export async function spawnProbe(machine: Machine, text: string): Promise<number> {
  const found = await machine.programs.find("probe");
  if (!found.ok) throw new Error(found.error.message);
  const { program, bodyName } = found.value;
  const { name, version, calls, outputs } = program;
  const manifest = {
    name,
    version,
    kind: "body",
    instructions: bodyName,
    cpu: null,
    calls,
    output: null,
    limits: noLimits,
    windowTokens: null,
    stepsMax: 100,
    outputs,
  } as const;
  const pid = machine.kernel.spawn({ manifest, goal: { text }, parent: 0, call: null });
  if (!pid.ok) throw new Error(pid.error.message);
  return pid.value;
}
