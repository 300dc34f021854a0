/** Say: progress lines, failures and the running of commands that both need. */
import { spawn } from "node:child_process";

/** A failure its reader can act on; the message is all they see. */
export class SetupError extends Error {}

/** @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Run a command quietly; say so every half minute while it works.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, doing?: string }} options
 * @returns {Promise<{ code: number, output: string }>} 127 when it cannot be started
 */
export function quiet(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: ["ignore", "pipe", "pipe"] });
    const started = Date.now();
    const beat = setInterval(() => {
      if (options.doing !== undefined) say(`  still ${options.doing} (${seconds(started)})`);
    }, 30_000);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => (output = (output + text).slice(-65_536)));
    }
    child.on("error", (error) => finish(127, error.message));
    child.on("close", (code) => finish(code ?? 1, output));

    /** @type {(code: number, text: string) => void} */
    const finish = (code, text) => {
      clearInterval(beat);
      resolve({ code, output: text });
    };
  });
}

/**
 * The last lines that say something, without credentials that a URL may carry.
 * @param {string} output
 * @param {number} count
 */
export function tail(output, count) {
  const lines = output
    .split("\n")
    .map((line) => line.replace(/\/\/[^/@\s]+@/g, "//…@").replace(/\b(\w*(?:token|password|secret)\w*)([=:]\s*)\S+/gi, "$1$2…"))
    .filter((line) => line.trim() !== "" && !line.startsWith("npm warn") && !line.includes("complete log of this run"));
  return lines
    .slice(-count)
    .map((line) => `  ${line}`)
    .join("\n");
}

/** @param {number} since */
export function seconds(since) {
  return `${Math.max(1, Math.round((Date.now() - since) / 1000))} s`;
}
