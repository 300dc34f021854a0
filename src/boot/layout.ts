/**
 * Layout: where everything of a workspace, a user and an organisation lies.
 * findRoot() looks, layoutOf() only computes, prepare() creates what is missing below `.daimon`, which provenance.ts makes.
 *   BOO-2.1  The workspace root is the nearest folder at or above the working folder with `.daimon` or `daimon.yaml`, else the working folder.
 *   BOO-2.2  `.daimon` and its folders are created with mode 0700, and a looser `.daimon` is tightened.
 *   BOO-2.3  A `.daimon`, or a folder in it, that is a link, no folder, or owned by another user is refused with EUCLEAN, and so is any other link
 *            directly in it; nothing is written.
 *   BOO-2.4  `.daimon/.gitignore` holds `*`, so nothing of it is committed by accident.
 *   BOO-2.5  The control socket's path fits the kernel's 108 bytes: a deep workspace uses a private folder of the user's runtime directory.
 *   BOO-2.6  User scope is `$XDG_CONFIG_HOME/daimon`, else `~/.config/daimon`, and its cache `$XDG_CACHE_HOME/daimon`, else `~/.cache/daimon`; a
 *            relative XDG folder is ignored, as its specification says.
 *   BOO-2.9  A user folder that others can write, or that is neither the user's nor root's, is refused with EUCLEAN: what it vouches for could be anybody's.
 *   BOO-2.8  A workspace in a folder that belongs to another user is refused with EUCLEAN: its owner could exchange what daimon keeps in it.
 *            Root is told and goes on: in a container it works on its host's files, and what is exchanged has no record that vouches for it.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { done, type Err, type Result } from "../lib/result.ts";
import { sha256 } from "../lib/hash.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";

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

export interface UserFolder extends ScopeFolder {
  readonly instructions: string;
  readonly trust: string;
  /** One record for each workspace that daimon made. */
  readonly workspaces: string;
  /** What can be made again. */
  readonly cache: string;
}

export interface Layout {
  /** Whose workspace it is: the user this process runs as. */
  readonly uid: number;
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
  readonly keys: string;
  readonly policy: string;
  readonly run: string;
  /** A folder: one claim a kernel. */
  readonly lock: string;
  readonly socket: string;
  readonly quarantine: string;
  readonly user: UserFolder;
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
  const user = path.join(xdgFolder(world, "XDG_CONFIG_HOME", ".config"), "daimon");
  const organisation = "/etc/daimon";
  return {
    uid: world.uid,
    root,
    config: path.join(root, configName),
    mcp: path.join(root, ".mcp.json"),
    folder,
    gitignore: at(".gitignore"),
    journal: at("journal"),
    blobs: at("blobs"),
    index: at("index.sqlite"),
    sessions: at("sessions"),
    keys: at("keys"),
    policy: at("policy"),
    run: at("run"),
    lock: at("run", "lock"),
    socket: socketOf(folder, world),
    quarantine: at("quarantine"),
    user: {
      folder: user,
      config: path.join(user, "config.yaml"),
      instructions: path.join(user, "AGENTS.md"),
      trust: path.join(user, "trust.json"),
      workspaces: path.join(user, "workspaces"),
      cache: path.join(xdgFolder(world, "XDG_CACHE_HOME", ".cache"), "daimon"),
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
  const { journal, blobs, sessions, keys, policy, run, lock, quarantine } = layout;
  return [journal, blobs, sessions, keys, policy, run, lock, quarantine];
}

/** Creates what is missing in a `.daimon` that is there and sound. */
export function prepare(layout: Layout): Result<void, SysError> {
  const runtime = path.dirname(layout.socket);
  try {
    for (const folder of [layout.folder, ...foldersOf(layout), runtime]) makePrivate(folder);
    if (!exists(layout.gitignore)) fs.writeFileSync(layout.gitignore, "*\n", { mode: 0o600, flag: "wx" });
    return done;
  } catch (cause) {
    return fail(
      "EIO",
      `cannot create ${folderName} in the workspace: ${reason(cause)}; make the folder writable, or name another with --cwd`,
    );
  }
}

/** Looks and changes nothing: is every place in which daimon keeps something absent, or a real folder of this user? */
export function checkPlaces(layout: Layout): Result<void, SysError> {
  for (const folder of [layout.folder, ...foldersOf(layout), path.dirname(layout.socket)]) {
    const sound = checkFolder(folder, layout.uid);
    if (!sound.ok) return sound;
  }
  if (!exists(layout.folder)) return done;
  for (const entry of fs.readdirSync(layout.folder, { withFileTypes: true }))
    if (entry.isSymbolicLink()) return linked(path.join(layout.folder, entry.name));
  return done;
}

/** The folder in which the person works: what daimon keeps in it is as safe as its owner lets it be. */
export function checkRoot(layout: Layout): Result<void, SysError> {
  const owner = ownerOf(layout);
  if (owner === layout.uid || layout.uid === 0) return done;
  const next = "run as its owner, take it over with `chown`, or work in a folder of your own (--cwd)";
  return fail(
    "EUCLEAN",
    `this folder belongs to user ${owner} and you are user ${layout.uid}, so somebody else could exchange what daimon keeps in it; ${next}`,
  );
}

/** For root in another user's folder: who the owner is and can do meanwhile. */
export function foreignRoot(layout: Layout): readonly Finding[] {
  const owner = ownerOf(layout);
  if (owner === layout.uid) return [];
  const message = `this folder belongs to user ${owner}, who can move daimon's files away while it runs as root; what replaces them is not believed`;
  return [{ rule: "BOO-2.8", severity: "warning", where: layout.root, message, fix: "run as its owner where that is possible" }];
}

function ownerOf(layout: Layout): number {
  return fs.statSync(layout.root, { throwIfNoEntry: false })?.uid ?? layout.uid;
}

/** Absent, or a real folder of this user. */
export function checkFolder(folder: string, uid: number): Result<void, SysError> {
  const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return done;
  const name = shown(folder);
  if (stat.isSymbolicLink()) return linked(folder);
  if (!stat.isDirectory()) return fail("EUCLEAN", `${name} is not a folder; move it away, and daimon makes its own`);
  if (stat.uid !== uid) {
    const next = `run as its owner, or give it to yourself with \`chown -R ${uid} ${folderName}\``;
    return fail("EUCLEAN", `${name} belongs to user ${stat.uid} and you are user ${uid}; ${next}`);
  }
  return done;
}

/** The user's own folder, which says what is trusted. It may be a link, as dotfile tools make them; what cannot be looked at is not there. */
export function checkUserFolder({ user, uid }: Layout): Result<void, SysError> {
  for (const [folder, name] of [
    [user.folder, "~/.config/daimon"],
    [user.workspaces, "~/.config/daimon/workspaces"],
  ] as const) {
    const stat = statOf(folder, folder === user.folder);
    if (stat === null) return done;
    if (!stat.isDirectory()) return fail("EUCLEAN", `${name} is no folder; move it away, and daimon makes its own`);
    if (stat.uid !== uid && stat.uid !== 0) {
      const next = "set HOME or XDG_CONFIG_HOME to a folder of your own";
      return fail("EUCLEAN", `${name} belongs to user ${stat.uid} and you are user ${uid}, so it says nothing for you; ${next}`);
    }
    if ((stat.mode & 0o022) !== 0) {
      const next = `look whether all in it is yours, then close it with \`chmod go-w ${name}\``;
      return fail("EUCLEAN", `${name} can be written by other users of the machine, so nothing that it says counts; ${next}`);
    }
  }
  return done;
}

function statOf(folder: string, follow: boolean): fs.Stats | null {
  try {
    return (follow ? fs.statSync : fs.lstatSync)(folder);
  } catch {
    return null;
  }
}

export function linked(place: string): Err<SysError> {
  const next = "remove it, or put what it leads to in its place";
  return fail("EUCLEAN", `${shown(place)} is a link, which could lead daimon's files elsewhere; ${next}`);
}

function makePrivate(folder: string): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((fs.lstatSync(folder).mode & 0o077) !== 0) fs.chmodSync(folder, 0o700);
}

function xdgFolder(world: Surroundings, name: string, otherwise: string): string {
  const folder = world.env[name];
  return folder !== undefined && path.isAbsolute(folder) ? folder : path.join(world.home, otherwise);
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
