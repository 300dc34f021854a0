#!/usr/bin/env node
/**
 * Set-up: make a fresh machine ready, then do the job.
 * `start [ARGS]` runs the brief over the example inbox, `test [ARGS]` runs the tests. Needs Node 20 and npm, nothing else.
 *   TOOL-1.1  A run that finds everything in place starts the job without npm, apt or a lock.
 *   TOOL-1.2  Dependencies come from the lock file with npm ci, again whenever it changed, and never when what is there matches it.
 *   TOOL-1.3  What cannot be installed is named with the command to type and what will not work; the job goes on without it.
 *   TOOL-1.4  A failure is told in sentences that end with the next step: no stack, no environment, exit code 78.
 */
import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { completeTools } from "./setup/debian.mjs";
import { acquire } from "./setup/lock.mjs";
import { currentStamp, installDependencies, matchesLock, writeStamp } from "./setup/dependencies.mjs";
import { findNode } from "./setup/node.mjs";
import { SetupError } from "./setup/say.mjs";

const jobs = {
  start: ["bin/daimon.mjs", "run", "brief", "examples/inbox"],
  test: ["tools/test.ts"],
};

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof SetupError;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    known ? `${message}\n` : `Set-up stopped: ${message}. Run the command again; if it stops again, report this line.\n`,
  );
  process.exitCode = 78;
}

/** @param {string[]} argv */
async function main(argv) {
  const [verb = "", ...args] = argv;
  if (verb !== "start" && verb !== "test") {
    throw new SetupError("Usage: node tools/setup.mjs start|test [ARGUMENTS]. `start` runs the example, `test` runs the tests.");
  }
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const path = completePath(process.env.PATH ?? "");
  const [node] = await Promise.all([completeNode(root, path), completeTools(verb, root, path)]);
  return run({ node, args: [...jobs[verb], ...args], root, path });
}

/**
 * The Node that runs the job, with the dependencies in place.
 * @param {string} root
 * @param {string} path
 */
async function completeNode(root, path) {
  const stamp = currentStamp(root);
  if (stamp !== null) return stamp.node;
  const release = await acquire(join(root, ".cache", "setup.lock"));
  try {
    const other = currentStamp(root);
    if (other !== null) return other.node;
    if (!matchesLock(root)) await installDependencies(root, path);
    const node = await findNode(root, path);
    writeStamp(root, node);
    return node;
  } finally {
    release();
  }
}

/**
 * The standard folders count too: a trimmed PATH must not hide what is installed.
 * @param {string} path
 */
function completePath(path) {
  const given = path.split(delimiter).filter((folder) => folder !== "");
  if (process.platform === "win32") return given.join(delimiter);
  const standard = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return [...given, ...standard.filter((folder) => !given.includes(folder))].join(delimiter);
}

/**
 * Run the job in our place: its output, its signals and its exit code are ours.
 * @param {{ node: string, args: string[], root: string, path: string }} job
 * @returns {Promise<number>}
 */
function run(job) {
  const bin = join(job.root, "node_modules", ".bin");
  const env = { ...process.env, PATH: `${bin}${delimiter}${job.path}` };
  return new Promise((resolve, reject) => {
    const child = spawn(job.node, job.args, { cwd: job.root, env, stdio: "inherit" });
    // A terminal signals the whole group, so an interrupt only has to be outlived; the others are passed on.
    process.on("SIGINT", () => undefined);
    for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
    child.on("error", (error) =>
      reject(new SetupError(`Node could not be started: ${error.message}. Remove node_modules and run the command again.`)),
    );
    child.on("close", (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : 143)));
  });
}
