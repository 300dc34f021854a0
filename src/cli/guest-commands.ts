/** Guest commands: the part of the table of commands that is about other people's programs. */
import type { Io } from "./io.ts";
import { defineCommand, type OptionTable } from "./term/args.ts";

export const execOptions = {
  cpu: {
    type: "text",
    value: "NAME",
    summary: "who answers it; a provider of its own format keeps the model that it asks for",
  },
  budget: { type: "usd", summary: "spend at most this much on models" },
  tokens: { type: "count", summary: "use at most this many tokens" },
  calls: { type: "count", summary: "make at most this many calls" },
  time: { type: "duration", summary: "run at most this long, then end it" },
} as const satisfies OptionTable;

export const exec = defineCommand({
  name: "exec",
  summary: "run any program as a process, in a sandbox and on a copy of the workspace",
  details:
    "`daimon exec -- claude` starts the program where you stand, on your terminal, with its exit code. It sees the workspace at its own path as a " +
    "copy-on-write session, an empty home, the system read-only, and of the network what policy permits. When it has ended, `daimon diff`, `commit` and `rollback` show, keep or " +
    "drop what it changed. With --json the closing report is JSON; it goes to standard error, since the output is the program's.",
  options: execOptions,
  positionals: [
    { name: "command", summary: "the program and its arguments, as you would type them", many: true, complete: "file" },
  ],
  passthrough: true,
  run: async (input, io: Io) => (await import("./exec.ts")).run(input, io),
});

export const mcpOptions = {
  calls: { type: "count", summary: "make at most this many calls" },
  time: { type: "duration", summary: "run at most this long, then end it" },
  server: { type: "text", value: "NAME", summary: "show this one server as it is, under its own names" },
} as const satisfies OptionTable;

export const mcp = defineCommand({
  name: "mcp",
  summary: "serve this workspace's calls and MCP servers to an MCP client, on standard input and output",
  details:
    "Enter `daimon mcp` as the command of a server in any MCP client. The client is one process of this workspace: policy decides on each of its calls, " +
    "its files are its own copy (`daimon diff PID`, `commit PID`), and what needs a person waits for `daimon approve` in another terminal. " +
    "It ends when the client closes its end.",
  options: mcpOptions,
  positionals: [],
  run: async (input, io: Io) => (await import("./mcp.ts")).run(input.options, io),
});

export const upOptions = {
  cpu: { type: "text", value: "NAME", summary: "run programs on this CPU, and let it answer guests" },
  port: { type: "count", summary: "open the model door on this port of the loopback address; a free one when left out" },
} as const satisfies OptionTable;

export const up = defineCommand({
  name: "up",
  summary: "keep a kernel on this workspace, with its model and tool doors on loopback",
  details:
    "Unfinished processes go on, and `daimon exec` in other terminals starts its guests on this kernel. A program outside any sandbox becomes a client of the " +
    "doors in a shell that reads the file which `daimon up` names: what it asks of models and tools is decided on, paid for and journaled as one process. " +
    "Ctrl-C leaves; every process stays where it stands for the next kernel.",
  options: upOptions,
  positionals: [],
  run: async (input, io: Io) => (await import("./up.ts")).run(input, io),
});

export const guests = defineCommand({
  name: "guests",
  summary: "list the agents that daimon knows how to run, and which are installed here",
  details: "Any other program runs too: `daimon exec -- COMMAND`. A version that is not listed as tried may work as well.",
  options: {},
  positionals: [],
  run: async (_input, io: Io) => (await import("./guests.ts")).run(io),
});
