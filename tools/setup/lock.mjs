/**
 * Lock: one set-up at a time in a checkout.
 *   TOOL-1.5  Of two set-ups at once one works and the other waits, then finds the work done.
 *   TOOL-1.6  A lock whose owner is gone is taken over, by exactly one of those who wait.
 */
import { linkSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say, SetupError } from "./say.mjs";

/** @typedef {{ pid: number, started: string, host: string }} Owner */

const pollMs = 250;
const waitMaxMs = 30 * 60_000;
/** Taking over is a matter of microseconds; a claim this old was left by a crash. */
const claimMaxMs = 60_000;
/** The owner on another machine cannot be asked; no set-up takes this long. */
const foreignMaxMs = 30 * 60_000;

/**
 * Take the lock; returns how to give it back.
 * @param {string} path
 * @returns {Promise<() => void>}
 */
export async function acquire(path) {
  const mine = JSON.stringify({ pid: process.pid, started: startedAt(process.pid), host: hostname() });
  makeFolder(dirname(path));
  const deadline = Date.now() + waitMaxMs;
  for (let told = false; ;) {
    if (create(path, mine)) return () => giveBack(path, mine);
    const text = read(path);
    if (text === null) continue;
    if (isGone(path, text)) {
      takeAway(path, text);
      continue;
    }
    if (!told) say(`Another set-up is at work (process ${owner(text)?.pid ?? "unknown"}); waiting for it.`);
    told = true;
    if (Date.now() > deadline) {
      throw new SetupError(
        `Another set-up has held ${path} for half an hour. End it, or remove that file, and run the command again.`,
      );
    }
    await sleep(pollMs);
  }
}

/** @param {string} folder */
function makeFolder(folder) {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new SetupError(
      `Nothing can be installed here: ${folder} cannot be written (${reason(error)}). Work in a checkout of your own: git clone, then run the command there.`,
    );
  }
}

/**
 * A link appears whole or not at all, so nobody reads a lock without an owner.
 * @param {string} path
 * @param {string} text
 */
function create(path, text) {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, text);
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (reason(error) === "EEXIST") return false;
    throw new SetupError(
      `The lock ${path} cannot be written (${reason(error)}). Make the folder writable and run the command again.`,
    );
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Only who holds the claim on this very owner may remove its lock, and only while the lock still names it.
 * @param {string} path
 * @param {string} text
 */
function takeAway(path, text) {
  const claim = `${path}.claim-${owner(text)?.pid ?? 0}`;
  try {
    mkdirSync(claim);
  } catch {
    if (ageMs(claim) > claimMaxMs) rmSync(claim, { recursive: true, force: true });
    return;
  }
  try {
    if (read(path) === text) unlinkSync(path);
  } finally {
    rmdirSync(claim);
  }
}

/**
 * @param {string} path
 * @param {string} mine
 */
function giveBack(path, mine) {
  if (read(path) === mine) rmSync(path, { force: true });
}

/**
 * @param {string} path
 * @param {string} text
 */
function isGone(path, text) {
  const held = owner(text);
  if (held === null) return ageMs(path) > claimMaxMs;
  if (held.host !== hostname()) return ageMs(path) > foreignMaxMs;
  try {
    process.kill(held.pid, 0);
  } catch (error) {
    if (reason(error) === "ESRCH") return true;
  }
  // The number may have been given to another process since: then it started at another time.
  return startedAt(held.pid) !== held.started;
}

/**
 * When a process started, in clock ticks since boot; empty where the system does not say.
 * @param {number} pid
 */
function startedAt(pid) {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/**
 * @param {string} text
 * @returns {Owner | null}
 */
function owner(text) {
  try {
    const value = JSON.parse(text);
    return Number.isInteger(value.pid) && value.pid > 0 ? value : null;
  } catch {
    return null;
  }
}

/** @param {string} path */
function ageMs(path) {
  const time = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return time === undefined ? 0 : Date.now() - time;
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** @param {unknown} error */
function reason(error) {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
