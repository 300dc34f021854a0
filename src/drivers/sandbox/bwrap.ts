/**
 * Bwrap: the sandbox driver on bubblewrap. Commands are started by the helper process, never by the kernel's own.
 *   SBX-8.1  Without bubblewrap, or where it cannot make a sandbox, every command is refused with the reason and the command that mends it.
 *   SBX-8.2  A command is checked before anything starts: words without NUL, plain variable names, a relative folder, a view of this helper.
 *   SBX-8.3  An aborted signal ends the command's whole tree; the answer is ECANCELED.
 */
import { accessSync, constants } from "node:fs";
import { fail, type SysError } from "../../abi/errno.ts";
import type { SandboxCommand, SandboxDriver, SandboxResult } from "../../abi/sandbox.ts";
import { done, ok, type Result } from "../../lib/result.ts";
import type { ZygoteClient } from "./zygote-client.ts";

export interface BwrapOptions {
  readonly helper: ZygoteClient;
  /** Folders searched for the program. */
  readonly path?: readonly string[];
  /** Whether the person at the keyboard is root, for the command that mends it. */
  readonly root?: boolean;
}

const systemFolders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

export function bwrapSandbox(options: BwrapOptions): SandboxDriver {
  let verdict: Promise<Result<void, SysError>> | null = null;
  const available = (): Promise<Result<void, SysError>> => {
    verdict ??= probe(options).then((result) => {
      // A missing program may be installed while we run, so only a success is kept.
      if (!result.ok) verdict = null;
      return result;
    });
    return verdict;
  };
  return {
    name: "bwrap",
    available,
    async run(command, signal) {
      const usable = await available();
      if (!usable.ok) return usable;
      if (signal.aborted) return fail("ECANCELED", "the call was cancelled before the command started");
      return perform(options.helper, command, signal);
    },
    close: () => options.helper.close(),
  };
}

async function probe(options: BwrapOptions): Promise<Result<void, SysError>> {
  if (!isInstalled("bwrap", options.path)) {
    const install = installing("bubblewrap", options.root);
    return fail("ENOSYS", `commands are refused: bubblewrap, which isolates them, is not installed. Install it with: ${install}`);
  }
  if (!executable("/bin/bash")) return fail("ENOSYS", "commands are refused: /bin/bash is not installed");
  const trial: SandboxCommand = {
    argv: ["true"],
    root: "/usr",
    closed: [],
    growth: null,
    cwd: ".",
    env: {},
    stdin: "",
    timeoutMs: 10_000,
    memoryBytesMax: 256 * 1024 * 1024,
    processesMax: 16,
    outputBytesMax: 4_096,
  };
  const result = await perform(options.helper, trial, new AbortController().signal);
  if (result.ok && result.value.exitCode === 0) return done;
  const cause = result.ok ? result.value.stderr : (result.error.cause ?? result.error.message);
  return fail(
    "ENOSYS",
    "commands are refused: bubblewrap is installed but cannot make a sandbox here, most often because user namespaces are turned off. " +
      "Turn them on with: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000, or allow them in the container's profile",
    cause,
  );
}

/** Whether the system has a program. */
export function isInstalled(program: string, folders: readonly string[] = systemFolders): boolean {
  return folders.some((folder) => executable(`${folder}/${program}`));
}

/** What a person types to get a package of the system. */
export function installing(name: string, root = process.getuid?.() === 0): string {
  return `${root ? "" : "sudo "}apt-get install -y ${name}`;
}

async function perform(
  helper: ZygoteClient,
  command: SandboxCommand,
  signal: AbortSignal,
): Promise<Result<SandboxResult, SysError>> {
  const started = await helper.start();
  if (!started.ok) return started;
  const root = rootFor(command.root, started.value.pid);
  if (!root.ok) return root;
  const fault = mistake(command);
  if (fault !== null) return fail("EINVAL", fault);
  const answer = await helper.request({ op: "run", command: { ...command, root: root.value } }, signal);
  if (!answer.ok) return answer;
  if (signal.aborted) return fail("ECANCELED", "the command was cancelled and everything it had started was ended");
  const { reply, payload } = answer.value;
  if (reply.op !== "ran") return fail("EIO", "the sandbox helper gave an answer to something else");
  const { stdoutBytes, ...result } = reply.result;
  return ok({
    ...result,
    stdout: payload.toString("utf8", 0, stdoutBytes),
    stderr: payload.toString("utf8", stdoutBytes),
  });
}

/** A session's root goes through the helper's view of the world; the helper itself sees the path without that prefix. */
function rootFor(root: string, pid: number): Result<string, SysError> {
  const match = /^\/proc\/(\d+)\/root(\/.*)$/.exec(root);
  if (match === null)
    return root.startsWith("/") ? ok(root) : fail("EINVAL", "the workspace of a command must be an absolute path");
  if (Number(match[1]) === pid) return ok(match[2] ?? "/");
  return fail("ESTALE", "the session was mounted by a helper that has ended; open the session again, its changes are kept");
}

function mistake(command: SandboxCommand): string | null {
  const words = [
    ...command.argv,
    ...Object.values(command.env),
    command.growth?.folder ?? "",
    command.cwd,
    command.root,
    ...command.closed,
  ];
  if (command.argv.length === 0 || command.argv[0] === "") return "the command is empty; give a program and its arguments";
  if (words.some((word) => word.includes("\0"))) return "a NUL byte cannot be part of a command, a variable or a path; remove it";
  const name = Object.keys(command.env).find((key) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(key));
  if (name !== undefined) return `the variable name ${JSON.stringify(name)} is not letters, digits and underscores`;
  if ([command.cwd, ...command.closed].some((path) => path.startsWith("/") || path.split("/").includes(".."))) {
    return "the folder of a command, and what is closed to it, are relative to the workspace and have no `..`";
  }
  return null;
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
