/**
 * Layout: where everything of a workspace, a user and an organisation lies.
 * findRoot() looks, layoutOf() only computes, prepare() creates what is missing.
 *   BOO-2.1  The workspace root is the nearest folder at or above the working folder with `.daimon` or `daimon.yaml`, else the working folder.
 *   BOO-2.2  `.daimon` and its folders are created with mode 0700, and a looser `.daimon` is tightened.
 *   BOO-2.3  A `.daimon`, or a folder in it, that is a link, no folder, or owned by another user is refused with EUCLEAN, and nothing is written.
 *   BOO-2.4  `.daimon/.gitignore` holds `*`, so nothing of it is committed by accident.
 *   BOO-2.5  The control socket's path fits the kernel's 108 bytes: a deep workspace uses a private folder of the user's runtime directory.
 *   BOO-2.6  User scope is `$XDG_CONFIG_HOME/daimon`, else `~/.config/daimon`; a relative XDG_CONFIG_HOME is ignored, as its specification says.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { done, type Result } from "../lib/result.ts";
import { sha256 } from "../lib/hash.ts";
import { fail, type SysError } from "../abi/errno.ts";

/** What the process was started with; passed in, so that tests own it. */
export interface Surroundings {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly uid: number;
}

export interface ScopeFolder {
  readonly folder: string;
  readonly config: string;
}

export interface Layout {
  readonly root: string;
  /** The project's configuration, `daimon.yaml`. */
  readonly config: string;
  /** MCP servers as other tools keep them. */
  readonly mcp: string;
  /** `.daimon`. */
  readonly folder: string;
  readonly gitignore: string;
  readonly journal: string;
  readonly blobs: string;
  readonly index: string;
  readonly sessions: string;
  readonly artefacts: string;
  readonly keys: string;
  readonly policy: string;
  readonly run: string;
  /** A folder: one claim a kernel. */
  readonly lock: string;
  readonly socket: string;
  readonly quarantine: string;
  readonly cache: string;
  readonly user: ScopeFolder & { readonly instructions: string; readonly trust: string };
  readonly organisation: ScopeFolder;
}

export const folderName = ".daimon";
export const configName = "daimon.yaml";

/** The longest path of a socket: `sun_path` of unix(7) less its closing NUL. */
const socketPathBytesMax = 107;

export function findRoot(cwd: string): string {
  const start = path.resolve(cwd);
  for (let folder = start; ; folder = path.dirname(folder)) {
    if (exists(path.join(folder, folderName)) || exists(path.join(folder, configName))) return folder;
    if (path.dirname(folder) === folder) return start;
  }
}

export function layoutOf(root: string, world: Surroundings): Layout {
  const folder = path.join(root, folderName);
  const at = (...names: string[]): string => path.join(folder, ...names);
  const user = path.join(configHome(world), "daimon");
  const organisation = "/etc/daimon";
  return {
    root,
    config: path.join(root, configName),
    mcp: path.join(root, ".mcp.json"),
    folder,
    gitignore: at(".gitignore"),
    journal: at("journal"),
    blobs: at("blobs"),
    index: at("index.sqlite"),
    sessions: at("sessions"),
    artefacts: at("artefacts"),
    keys: at("keys"),
    policy: at("policy"),
    run: at("run"),
    lock: at("run", "lock"),
    socket: socketOf(folder, world),
    quarantine: at("quarantine"),
    cache: at("cache"),
    user: {
      folder: user,
      config: path.join(user, "config.yaml"),
      instructions: path.join(user, "AGENTS.md"),
      trust: path.join(user, "trust.json"),
    },
    organisation: { folder: organisation, config: path.join(organisation, "config.yaml") },
  };
}

/** A process's copy-on-write session. */
export function sessionFolder(layout: Layout, pid: number): string {
  return path.join(layout.sessions, String(pid));
}

/** The folders of `.daimon` that boot creates; everything else in it is a file of a known name, or stray. */
export function foldersOf(layout: Layout): readonly string[] {
  const { journal, blobs, sessions, artefacts, keys, policy, run, lock, quarantine, cache } = layout;
  return [journal, blobs, sessions, artefacts, keys, policy, run, lock, quarantine, cache];
}

/** Creates what is missing and changes nothing where something is wrong: looking comes first. */
export function prepare(layout: Layout, uid: number): Result<void, SysError> {
  const runtime = path.dirname(layout.socket);
  const folders = [layout.folder, ...foldersOf(layout), ...(runtime === layout.run ? [] : [runtime])];
  try {
    for (const folder of folders) {
      const sound = checkFolder(folder, uid);
      if (!sound.ok) return sound;
    }
    for (const folder of folders) makePrivate(folder);
    if (!exists(layout.gitignore)) fs.writeFileSync(layout.gitignore, "*\n", { mode: 0o600, flag: "wx" });
    return done;
  } catch (cause) {
    return fail(
      "EIO",
      `cannot create ${folderName} in the workspace: ${reason(cause)}; make the folder writable, or name another with --cwd`,
    );
  }
}

/** Absent, or a real folder of this user. */
export function checkFolder(folder: string, uid: number): Result<void, SysError> {
  const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return done;
  const name = shown(folder);
  if (stat.isSymbolicLink()) {
    return fail(
      "EUCLEAN",
      `${name} is a link, which could lead daimon's files elsewhere; remove it, or put a real folder in its place`,
    );
  }
  if (!stat.isDirectory()) return fail("EUCLEAN", `${name} is not a folder; move it away, and daimon makes its own`);
  if (stat.uid !== uid) {
    const next = `run as its owner, or give it to yourself with \`chown -R ${uid} ${folderName}\``;
    return fail("EUCLEAN", `${name} belongs to user ${stat.uid} and you are user ${uid}; ${next}`);
  }
  return done;
}

function makePrivate(folder: string): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((fs.lstatSync(folder).mode & 0o077) !== 0) fs.chmodSync(folder, 0o700);
}

function configHome(world: Surroundings): string {
  const xdg = world.env["XDG_CONFIG_HOME"];
  return xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(world.home, ".config");
}

function socketOf(folder: string, world: Surroundings): string {
  const near = path.join(folder, "run", "control.sock");
  if (Buffer.byteLength(near) <= socketPathBytesMax) return near;
  const runtime = world.env["XDG_RUNTIME_DIR"];
  const short = `daimon-${world.uid}-${sha256(folder).slice(0, 16)}`;
  const base = runtime !== undefined && path.isAbsolute(runtime) && Buffer.byteLength(runtime) < 40 ? runtime : "/tmp";
  return path.join(base, short, "control.sock");
}

/** A path from `.daimon` on: messages name no folder of the host. */
function shown(folder: string): string {
  const at = folder.lastIndexOf(`${path.sep}${folderName}`);
  return at === -1 ? path.basename(folder) : folder.slice(at + 1);
}

function exists(file: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function reason(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
}
