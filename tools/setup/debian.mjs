/**
 * Debian: the system's own tools. Root installs them; everybody else is told the command and what is missing until then.
 *   TOOL-1.10  Installing never asks a question, and a failed attempt is not repeated for an hour.
 */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { quiet, say, seconds, tail } from "./say.mjs";

/** @typedef {{ commands: string[], package: string, without: string, verbs: string[] }} Tool */

/** @type {readonly Tool[]} */
export const tools = [
  {
    commands: ["bwrap"],
    package: "bubblewrap",
    without: "no sandbox: agents' shell commands are refused",
    verbs: ["start", "test"],
  },
  {
    commands: ["socat"],
    package: "socat",
    without: "agents' commands that call socat do not work",
    verbs: ["start", "test"],
  },
  {
    commands: ["rg"],
    package: "ripgrep",
    without: "agents' commands that call rg do not work; their own search does",
    verbs: ["start", "test"],
  },
  {
    commands: ["chromium", "chromium-browser", "google-chrome"],
    package: "chromium",
    without: "browser tests are skipped",
    verbs: ["test"],
  },
];

const retryMs = 60 * 60_000;

/**
 * @param {string} verb
 * @param {string} root
 * @param {string} path
 * @param {boolean} isRoot
 * @param {(line: string) => void} tell
 */
export async function completeTools(verb, root, path, isRoot = process.getuid?.() === 0, tell = say) {
  let missing = missingTools(verb, path);
  if (missing.length === 0) return;
  const apt = find("apt-get", path);
  const marker = join(root, ".cache", "debian-failed");
  if (apt !== null && isRoot && !isRecent(marker)) {
    await install(apt, missing, path, marker, tell);
    missing = missingTools(verb, path);
  }
  if (missing.length > 0) tell(advice(missing, apt !== null, isRoot));
}

/**
 * @param {string} verb
 * @param {string} path
 */
export function missingTools(verb, path) {
  return tools.filter((tool) => tool.verbs.includes(verb) && tool.commands.every((command) => find(command, path) === null));
}

/**
 * What to type, and what does not work until then.
 * @param {readonly Tool[]} missing
 * @param {boolean} debian
 * @param {boolean} root
 */
export function advice(missing, debian, root) {
  const names = missing.map((tool) => tool.package).join(" ");
  const sudo = root ? "" : "sudo ";
  const command = debian
    ? `${sudo}apt-get update && ${sudo}apt-get install -y ${names}`
    : `install with the system's package manager: ${names}`;
  const effects = missing.map((tool) => `  without ${tool.package}: ${tool.without}`);
  return [`Going on without ${names}. To add ${missing.length === 1 ? "it" : "them"}: ${command}`, ...effects].join("\n");
}

/**
 * One call for all is quickest; one by one when that fails, so that a package this release lacks costs only itself.
 * @param {string} apt
 * @param {readonly Tool[]} missing
 * @param {string} path
 * @param {string} marker
 * @param {(line: string) => void} tell
 */
async function install(apt, missing, path, marker, tell) {
  const started = Date.now();
  const names = missing.map((tool) => tool.package);
  const env = { ...process.env, PATH: path, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  const quick = [
    "-qq",
    "-o",
    "DPkg::Lock::Timeout=120",
    "-o",
    "Acquire::Retries=2",
    "-o",
    "Acquire::http::Timeout=20",
    "-o",
    "Acquire::https::Timeout=20",
  ];
  /** @param {string[]} args */
  const run = (args) => quiet(apt, [...quick, ...args], { env, doing: `installing ${names.join(" ")}` });
  /** @param {string[]} some */
  const add = (some) => run(["install", "-y", "--no-install-recommends", ...some]);

  tell(`Installing ${names.join(" ")} (apt-get) …`);
  if (!hasLists()) await run(["update"]);
  let result = await add(names);
  if (result.code !== 0) {
    await run(["update"]);
    result = await add(names);
  }
  if (result.code !== 0 && names.length > 1) {
    for (const name of names) await add([name]);
  }
  const left = missing.filter((tool) => tool.commands.every((command) => find(command, path) === null));
  if (left.length === 0) {
    rmSync(marker, { force: true });
    return tell(`System packages are installed (${seconds(started)}).`);
  }
  const why = tail(result.output, 3);
  tell(`apt-get could not install ${left.map((tool) => tool.package).join(" ")}${why === "" ? "." : `:\n${why}`}`);
  remember(marker);
}

function hasLists() {
  try {
    return readdirSync("/var/lib/apt/lists").some((name) => name.includes("_Packages"));
  } catch {
    return false;
  }
}

/** @param {string} marker */
function isRecent(marker) {
  const time = statSync(marker, { throwIfNoEntry: false })?.mtimeMs;
  return time !== undefined && Date.now() - time < retryMs;
}

/** @param {string} marker */
function remember(marker) {
  try {
    mkdirSync(dirname(marker), { recursive: true });
    writeFileSync(marker, "");
  } catch {
    // Forgetting costs one more attempt.
  }
}

/**
 * @param {string} command
 * @param {string} path
 */
function find(command, path) {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, command);
    if (existsSync(file) && isProgram(file)) return file;
  }
  return null;
}

/** @param {string} file */
function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
