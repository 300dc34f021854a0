/**
 * Commands: the table of the command line: names, words and options. Help, completion, the reference page and the dispatcher read it.
 *   CLI-1.1  The table holds words alone: what a command does is loaded when it is called.
 */
import { limits } from "../abi/limits.ts";
import { exec, guests, mcp, up } from "./guest-commands.ts";
import type { Io } from "./io.ts";
import { defineCommand, usageOf, type Command, type OptionTable } from "./term/args.ts";
import { shells } from "./term/completion.ts";

const pid = { name: "pid", summary: "a process's number, as `daimon ps` shows it" } as const;
const paths = {
  name: "path",
  summary: "files or folders; all when none is named",
  optional: true,
  many: true,
  complete: "file",
} as const;

const init = defineCommand({
  name: "init",
  summary: "make a workspace: a commented daimon.yaml and a private .daimon folder",
  details:
    "The file is trusted as it is, and what you permit in it counts once you trust it again. Nothing else is made, and an existing daimon.yaml is left alone.",
  options: {},
  positionals: [{ name: "folder", summary: "where; the working folder when none is named", optional: true, complete: "folder" }],
  run: async (input, io: Io) => (await import("./init.ts")).run(input.positionals[0], io),
});

export const runOptions = {
  cpu: {
    type: "text",
    value: "NAME",
    summary: "run on this CPU: reflex, gullible, anthropic/MODEL, openai/MODEL, ollama/MODEL, …",
  },
  "policy-engine": {
    type: "choice",
    choices: ["compiled", "cedar"],
    summary: "decide with the compiled policy, or with Cedar itself",
  },
  budget: { type: "usd", summary: "spend at most this much" },
  tokens: { type: "count", summary: "use at most this many tokens" },
  calls: { type: "count", summary: "make at most this many calls" },
  time: { type: "duration", summary: "work at most this long" },
  window: { type: "count", min: limits.windowTokensMin, summary: "give it a context window of this many tokens" },
  input: { type: "text", value: "JSON", summary: "the program's inputs by name, as a JSON object" },
  resume: { type: "flag", summary: "start nothing new: go on with what is unfinished, or with process PROGRAM alone" },
} as const satisfies OptionTable;

const run = defineCommand({
  name: "run",
  summary: "run a program on this workspace and deliver what it makes",
  details:
    "`daimon run brief FOLDER` reads the folder's documents and writes BRIEF.md, in which every sentence links to the line it came from.\n" +
    "The workspace is the nearest folder at or above the working folder that holds .daimon or daimon.yaml, else the working folder itself; " +
    "FOLDER must lie inside it. The program's inputs follow its name in the order in which it declares them.\n" +
    "The same program with the same inputs goes on where an unfinished run of it stands. " +
    "Where a call needs a person and there is no terminal, the run is left parked and the exit code is 75.",
  options: runOptions,
  positionals: [
    {
      name: "program",
      summary: "a shipped program (brief), or a program's folder or file in this workspace",
      optional: true,
      complete: "file",
    },
    { name: "input", summary: "the program's inputs, in its own order", optional: true, many: true, complete: "file" },
  ],
  run: async (input, io: Io) => (await import("./run.ts")).run(input, io),
});

export const psOptions = {
  all: { type: "flag", short: "a", summary: "also those that have ended" },
} as const satisfies OptionTable;

const ps = defineCommand({
  name: "ps",
  summary: "list the processes as a tree",
  options: psOptions,
  positionals: [],
  run: async (input, io: Io) => (await import("./ps.ts")).run(input, io),
});

const top = defineCommand({
  name: "top",
  summary: "watch the processes live; q quits",
  details:
    "It reads the journal beside whoever writes it, so it also works while no kernel runs. Without a terminal it prints once.",
  options: {},
  positionals: [],
  run: async (_input, io: Io) => (await import("./top.ts")).run(io),
});

export const killOptions = {
  signal: {
    type: "choice",
    short: "s",
    choices: ["kill", "stop", "continue", "interrupt"],
    summary: "which signal; kill when none is named",
  },
} as const satisfies OptionTable;

const kill = defineCommand({
  name: "kill",
  summary: "end a process and everything below it, or stop it for a while",
  options: killOptions,
  positionals: [pid],
  run: async (input, io: Io) => (await import("./kill.ts")).run(input, io),
});

const nice = defineCommand({
  name: "nice",
  summary: "give a process a larger or smaller share of the CPU",
  options: {},
  positionals: [
    pid,
    { name: "weight", summary: "a whole number from 1 to 10000, where 100 is the default and 200 is twice as much" },
  ],
  run: async (input, io: Io) => (await import("./nice.ts")).run(input.positionals, io),
});

export const approveOptions = {
  yes: { type: "flag", short: "y", summary: "allow it" },
  no: { type: "flag", short: "n", summary: "refuse it" },
  text: { type: "text", value: "TEXT", summary: "the answer to a question, or why it is refused" },
  raise: {
    type: "text",
    value: "LIMIT=VALUE",
    many: true,
    summary: "raise a spent budget: costUsd=2, tokens=2M, calls=500, time=1h",
  },
} as const satisfies OptionTable;

const approve = defineCommand({
  name: "approve",
  summary: "list what waits for a person, or answer it",
  details:
    "Without ID it lists each waiting call with its arguments in full, where their values came from, the rule that asks and the risk. " +
    "With a question's number, PID:N, it takes --yes or --no; with that, a process's or a call's number it asks you. Where no kernel runs it starts one, and goes on until the process ends or waits again.",
  options: approveOptions,
  positionals: [
    { name: "id", summary: "a question's number, PID:N; or a process's or a waiting call's, to be asked", optional: true },
  ],
  run: async (input, io: Io) => (await import("./approve.ts")).run(input, io),
});

export const logOptions = {
  call: { type: "text", value: "NAME", summary: "only this call: its name, or its number PID.STEP.N" },
  kind: {
    type: "text",
    value: "KIND",
    many: true,
    summary: "only entries of this kind: boot, spawn, turn, call, outcome, evict, park, …",
  },
  grep: { type: "text", value: "WORDS", summary: "only entries that hold all these words" },
  follow: { type: "flag", short: "f", summary: "go on with what is written from now on" },
  limit: { type: "count", summary: "the last so many entries" },
} as const satisfies OptionTable;

const log = defineCommand({
  name: "log",
  summary: "read the journal, or verify, index and archive it",
  details:
    "`daimon log` and `daimon log PID` print the entries. `daimon log verify` proves that nothing was changed, cut off or reordered; " +
    "`daimon log reindex` makes the search index anew from the journal; `daimon log archive` compresses its closed segments.",
  options: logOptions,
  positionals: [
    {
      name: "what",
      summary: "a process's number, or verify, reindex, archive; everything when left out",
      optional: true,
      words: ["verify", "reindex", "archive"],
    },
  ],
  run: async (input, io: Io) => (await import("./log.ts")).run(input, io),
});

const why = defineCommand({
  name: "why",
  summary: "tell what decided on a call, by which rule, on what evidence",
  details: "With a process's number it lists the calls that were refused to it.",
  options: {},
  positionals: [{ name: "call", summary: "a call's number PID.STEP.N, or a process's" }],
  run: async (input, io: Io) => (await import("./why.ts")).run(input.positionals[0] ?? "", io),
});

export const replayOptions = {
  until: { type: "count", summary: "stop after the entry with this number" },
  entries: { type: "flag", summary: "print the entries on the way" },
} as const satisfies OptionTable;

const replay = defineCommand({
  name: "replay",
  summary: "run the journal again and prove that it gives what it gave",
  options: replayOptions,
  positionals: [{ ...pid, optional: true }],
  run: async (input, io: Io) => (await import("./replay.ts")).run(input, io),
});

const diff = defineCommand({
  name: "diff",
  summary: "show what a process changed in its own copy of the workspace",
  details:
    "With a question's number, PID:N, it shows all of what a yes would put into the workspace, also while its kernel runs.",
  options: {},
  positionals: [{ name: "pid", summary: "the process's number, or a question's" }, paths],
  run: async (input, io: Io) => (await import("./diff.ts")).run(input.positionals, io),
});

export const commitOptions = {
  ours: {
    type: "text",
    value: "PATH",
    many: true,
    summary: "in a conflict take the process's version of this path",
    complete: "file",
  },
  theirs: {
    type: "text",
    value: "PATH",
    many: true,
    summary: "in a conflict keep the workspace's version of this path",
    complete: "file",
  },
  "dry-run": { type: "flag", summary: "tell what would be written, and write nothing" },
} as const satisfies OptionTable;

const commit = defineCommand({
  name: "commit",
  summary: "put a process's changes into the workspace",
  details:
    "Changes that meet others' changes of the same lines are conflicts: they are named, and nothing is written. `daimon rollback PID` takes a commit back.",
  options: commitOptions,
  positionals: [pid, paths],
  run: async (input, io: Io) => (await import("./commit.ts")).run(input, io),
});

export const rollbackOptions = {
  undo: { type: "flag", summary: "bring back what the last rollback took" },
} as const satisfies OptionTable;

const rollback = defineCommand({
  name: "rollback",
  summary: "take back a process's commits and set its changes aside",
  details:
    "What stood there before is put back, and the process's session goes to `.daimon/quarantine` as it is. " +
    "With --undo the commits stand again and the session is back; where a file, the session or a commit came in between, it is named and nothing is changed.",
  options: rollbackOptions,
  positionals: [pid],
  run: async (input, io: Io) => (await import("./rollback.ts")).run(input, io),
});

export const sharedOptions = {
  remove: { type: "flag", summary: "take the file out, so that no process reads it any more" },
} as const satisfies OptionTable;

const shared = defineCommand({
  name: "shared",
  summary: "list or show the files that processes shared with all others",
  details:
    "A process shares a file of its session with the call fs.share, which asks a person; every process reads it below /shared.",
  options: sharedOptions,
  positionals: [{ name: "path", summary: "a shared file, to be shown; all are listed when left out", optional: true }],
  run: async (input, io: Io) => (await import("./shared-files.ts")).run(input, io),
});

export const fsckOptions = {
  repair: { type: "flag", summary: "mend what can be mended; asks first" },
  adopt: { type: "flag", summary: "take over a .daimon that was moved, copied or restored; tells what is in it and asks first" },
  yes: { type: "flag", short: "y", summary: "repair or take over without asking" },
  undo: { type: "text", value: "ID", summary: "put a repair back" },
  list: { type: "flag", summary: "list the repairs that can be undone" },
} as const satisfies OptionTable;

const fsck = defineCommand({
  name: "fsck",
  summary: "check the workspace: boot integrity, references, separate stores, layout",
  options: fsckOptions,
  positionals: [],
  run: async (input, io: Io) => (await import("./fsck.ts")).run(input, io),
});

const doctor = defineCommand({
  name: "doctor",
  summary: "tell what this machine can do for daimon, and how to mend what is missing",
  options: {},
  positionals: [],
  run: async (_input, io: Io) => (await import("./doctor.ts")).run(io),
});

const config = defineCommand({
  name: "config",
  summary: "show the settings in force and where each comes from",
  details:
    "`daimon config trust PATH` accepts a file of the workspace as it is now, `daimon config distrust PATH` takes that back. " +
    "`daimon config trust mcp.SERVER` shows what the tools of an MCP server say now and said before, and accepts them.",
  options: {},
  positionals: [
    {
      name: "action",
      summary: "trust or distrust; shows the settings when left out",
      optional: true,
      words: ["trust", "distrust"],
    },
    { name: "path", summary: "the file to accept, or mcp.SERVER", optional: true, complete: "file" },
  ],
  run: async (input, io: Io) => (await import("./config.ts")).run(input.positionals, io),
});

const version = defineCommand({
  name: "version",
  summary: "print the version",
  options: {},
  positionals: [],
  run: async (_input, io: Io) => (await import("./version.ts")).run(io),
});

const help = defineCommand({
  name: "help",
  summary: "explain daimon, or one of its commands",
  options: {},
  positionals: [{ name: "command", summary: "a command's name", optional: true, complete: "command" }],
  run: async (input, io: Io) => (await import("./help.ts")).run(input.positionals[0], io),
});

const completion = defineCommand({
  name: "completion",
  summary: "print a shell's completion script: bash, zsh or fish",
  options: {},
  positionals: [{ name: "shell", summary: "bash, zsh or fish", words: shells }],
  run: async (input, io: Io) => (await import("./completion.ts")).run(input.positionals[0] ?? "", io),
});

export interface Listed extends Command<Io> {
  readonly usage: string;
}

const all: readonly Command<Io>[] = [
  init,
  run,
  exec,
  up,
  mcp,
  guests,
  approve,
  ps,
  top,
  log,
  why,
  replay,
  kill,
  nice,
  diff,
  commit,
  rollback,
  shared,
  doctor,
  fsck,
  config,
  help,
  completion,
  version,
];

/** In the order in which a person meets them. */
export const commands: readonly Listed[] = all.map((command) => ({ ...command, usage: usageOf(command) }));
