/**
 * Dependencies: what the lock file names, installed as it names it.
 *   TOOL-1.7  The stamp holds the lock file's hash, and it is void when a package it promises is gone.
 *   TOOL-1.8  Packages that are already as the lock file says are kept, even when the registry cannot be reached.
 */
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join, resolve, sep } from "node:path";
import { quiet, say, seconds, SetupError, tail } from "./say.mjs";

/** @typedef {{ lock: string, node: string }} Stamp */
/** @typedef {{ version?: string, integrity?: string, optional?: boolean, link?: boolean }} Locked */

const stampFile = join("node_modules", ".daimon-setup");

/**
 * The stamp of a finished set-up, or null when there is work to do.
 * @param {string} root
 * @returns {Stamp | null}
 */
export function currentStamp(root) {
  const stamp = readJson(join(root, stampFile));
  const text = readText(join(root, "package-lock.json"));
  if (stamp === null || text === null || stamp.lock !== sha256(text) || typeof stamp.node !== "string") return null;
  if (!existsSync(stamp.node)) return null;
  return required(root).every((path) => existsSync(join(root, path, "package.json"))) ? stamp : null;
}

/**
 * @param {string} root
 * @param {string} node
 */
export function writeStamp(root, node) {
  const lock = sha256(readText(join(root, "package-lock.json")) ?? "");
  writeFileSync(join(root, stampFile), `${JSON.stringify({ lock, node })}\n`);
}

/**
 * Whether node_modules holds every package at the version and digest of the lock file, and nothing at another.
 * @param {string} root
 */
export function matchesLock(root) {
  const wanted = packages(join(root, "package-lock.json"));
  const found = packages(join(root, "node_modules", ".package-lock.json"));
  if (wanted === null || found === null) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const there = found[path];
    if (there === undefined ? entry.optional !== true : there.version !== entry.version || there.integrity !== entry.integrity)
      return false;
  }
  const known = Object.keys(found).every((path) => path in wanted);
  return known && required(root).every((path) => existsSync(join(root, path, "package.json")));
}

/**
 * @param {string} root
 * @param {string} path
 */
export async function installDependencies(root, path) {
  const started = Date.now();
  say("Installing the dependencies of package-lock.json (npm ci) …");
  const result = await npm(root, path, ["ci", "--include=dev", "--include=optional"], "installing dependencies");
  if (result.code !== 0) {
    throw new SetupError(
      `The dependencies could not be installed: npm ci ended with ${result.code}.\n${tail(result.output, 8)}\n` +
        "Check that the npm registry can be reached and the disk has 1 GB free, then run the command again.",
    );
  }
  say(`Dependencies are installed (${seconds(started)}).`);
}

/**
 * npm of the host: run by the host's Node, because our own lies in the folder that npm ci replaces.
 * @param {string} root
 * @param {string} path
 * @param {string[]} args
 * @param {string} doing
 */
export async function npm(root, path, args, doing) {
  const own = join(root, "node_modules") + sep;
  const hostPath = path
    .split(delimiter)
    .filter((folder) => !resolve(root, folder).startsWith(own))
    .join(delimiter);
  const env = {
    ...process.env,
    PATH: hostPath,
    ...cacheFor(root),
    npm_config_loglevel: "error",
    npm_config_engine_strict: "false",
  };
  const flags = ["--no-audit", "--no-fund", "--no-progress", "--prefer-offline"];
  const result = await quiet("npm", [...args, ...flags], { cwd: root, env, doing });
  if (result.code !== 127) return result;
  throw new SetupError(
    "npm was not found. It comes with Node: install Node 24 (https://nodejs.org), or type `apt-get install nodejs npm`, then run the command again.",
  );
}

/**
 * A user without a writable home keeps npm's cache in the checkout.
 * @param {string} root
 * @returns {NodeJS.ProcessEnv}
 */
function cacheFor(root) {
  let folder = process.env.npm_config_cache ?? join(homedir(), ".npm");
  if (!isAbsolute(folder)) folder = resolve(root, folder);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
    return {};
  } catch {
    return { npm_config_cache: join(root, ".cache", "npm"), npm_config_logs_dir: join(root, ".cache", "npm", "_logs") };
  }
}

/**
 * Folders that must exist on every platform.
 * @param {string} root
 */
function required(root) {
  const all = packages(join(root, "package-lock.json")) ?? {};
  return Object.keys(all).filter((path) => path !== "" && all[path]?.optional !== true && all[path]?.link !== true);
}

/**
 * @param {string} path
 * @returns {Record<string, Locked> | null}
 */
function packages(path) {
  return readJson(path)?.packages ?? null;
}

/** @param {string} path */
function readJson(path) {
  try {
    return JSON.parse(readText(path) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** @param {string} text */
function sha256(text) {
  return createHash("sha256").update(text).digest("hex");
}
