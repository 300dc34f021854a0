/**
 * Profile: what a sandboxed command sees, as bubblewrap arguments, and the script that turns a waiting sandbox into the command.
 * Everything is listed; nothing of the host is there by default.
 *   SBX-3.1  The root is an own tmpfs, read-only when the command starts; of the host it shows system folders and a few files of /etc, read-only.
 *   SBX-3.2  Writable are the workspace, a private /tmp and a private /dev/shm; the latter two are bounded in size.
 *   SBX-3.3  Every namespace is new: no network, no other process, no shared memory or host name of the host's.
 *   SBX-3.4  The environment is built from nothing; only names and values the caller gave are added.
 *   SBX-3.7  No descriptor of the host's is open inside but those made for the sandbox.
 *   SBX-3.5  No argument, folder or variable of the command can become a word of the script: all are quoted.
 *   SBX-3.6  A closed file or folder of the workspace is covered by an empty one that nobody may open, and cannot be moved, linked or removed.
 */
import { lstatSync, readlinkSync } from "node:fs";
import type { SandboxCommand } from "../../abi/sandbox.ts";

/** Where the workspace is inside. */
export const workspace = "/work";
export const seccompFd = 3;
export const controlFd = 4;

/** What stands in the workspace and is closed to the command. */
export interface Closed {
  readonly path: string;
  readonly type: "file" | "folder";
}

export interface ProfileSpec {
  readonly root: string;
  readonly closed: readonly Closed[];
  /** A folder of ours with an empty file and an empty folder without permissions. */
  readonly covers: string;
  readonly memoryBytesMax: number;
  /** A folder of ours with passwd, group, hosts and nsswitch.conf. */
  readonly etc: string;
  readonly seccomp: boolean;
}

const systemFolders = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const etcFromHost = [
  "alternatives",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "localtime",
  "debian_version",
  "magic",
  "mime.types",
];
const homeOfCommands = "/tmp/home";
/** The names of the account files made by us; their contents are `etcFiles`. */
export const etcFiles = accountFiles(homeOfCommands);

/** Where the one account of a sandbox has its home, and where the few services of a host without a network are. */
export function accountFiles(home: string): Readonly<Record<string, string>> {
  return {
    passwd: `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:1000:1000:agent:${home}:/bin/bash\n`,
    group: "root:x:0:\nagent:x:1000:\n",
    hosts: "127.0.0.1 localhost daimon\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
  };
}

/** Arguments of bubblewrap for a sandbox whose first program is a shell that waits for its orders on the control descriptor. */
export function profile(spec: ProfileSpec): string[] {
  const size = String(spec.memoryBytesMax);
  const small = String(1024 * 1024);
  return [
    ...["--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--hostname", "daimon"],
    ...["--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"],
    ...(spec.seccomp ? ["--seccomp", String(seccompFd)] : ["--disable-userns"]),
    ...["--size", small, "--tmpfs", "/"],
    ...systemMounts(),
    ...Object.keys(etcFiles).flatMap((name) => ["--ro-bind", `${spec.etc}/${name}`, `/etc/${name}`]),
    ...["--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
    ...["--size", size, "--tmpfs", "/tmp", "--dir", homeOfCommands, "--dir", "/var", "--symlink", "/tmp", "/var/tmp"],
    ...["--bind", spec.root, workspace],
    ...spec.closed.flatMap(({ path, type }) => ["--ro-bind", `${spec.covers}/${type}`, `${workspace}/${path}`]),
    ...["--remount-ro", "/", "--chdir", workspace],
    ...["--clearenv", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"],
    ...[
      "--setenv",
      "HOME",
      homeOfCommands,
      "--setenv",
      "USER",
      "agent",
      "--setenv",
      "LANG",
      "C.UTF-8",
      "--setenv",
      "TERM",
      "dumb",
    ],
    ...["--setenv", "TMPDIR", "/tmp"],
    ...["--", "/bin/bash", "--norc", "--noprofile", "-c", waiting],
  ];
}

/** The programs of the system, and of /etc the few files that they need. */
export function systemMounts(): string[] {
  return [
    ...["--perms", "0755", "--dir", "/etc", "--ro-bind", "/usr", "/usr"],
    ...systemFolders.flatMap(systemFolder),
    ...etcFromHost.flatMap((name) => ["--ro-bind-try", `/etc/${name}`, `/etc/${name}`]),
  ];
}

/** A merged system shows `/bin` as the link it is; an older one as the folder. */
function systemFolder(path: string): string[] {
  try {
    if (lstatSync(path).isSymbolicLink()) return ["--symlink", readlinkSync(path), path];
    return ["--ro-bind", path, path];
  } catch {
    return [];
  }
}

/**
 * One byte says that the sandbox stands; then the orders come as one NUL-terminated text. This shell stays the sandbox's first process
 * and collects what the command leaves behind; with a first process of bubblewrap's own, the ended sandbox would be left to the host's init.
 */
const waiting = `${closeOthers([controlFd])}printf r >&${controlFd}; IFS= read -r -d '' -u ${controlFd} s; eval "$s"; exit`;

/** Reading byte by byte is slow, so a long order is fetched whole by a short one. */
const longOrderBytes = 8 * 1024;

/** What the waiting shell is told: limits, variables, folder, then the command in its own place. */
export function orders(command: SandboxCommand, fileBytesMax: number): Buffer {
  const kilobytes = Math.max(1, Math.floor(command.memoryBytesMax / 1024));
  const fileKilobytes = Math.min(kilobytes, Math.floor(fileBytesMax / 1024));
  const lines = [
    // A shell reports how its child died; that line is ours, not the command's, so it goes nowhere.
    "exec 5>&2 2>/dev/null",
    // A file at its limit is an error for the program that writes it, not the end of the whole command.
    `(exec 2>&5 5>&-; trap '' XFSZ; ulimit -c 0; ulimit -d ${kilobytes}; ulimit -f ${fileKilobytes}; ulimit -n 4096; ulimit -u ${command.processesMax}`,
    ...Object.entries(command.env).map(([name, value]) => `export ${name}=${quote(value)}`),
    `cd -- ${quote(`${workspace}/${command.cwd}`)} || exit 126`,
    `exec ${seccompFd}>&- ${controlFd}>&-${command.stdin === "" ? " </dev/null" : ""}`,
    `exec -- ${command.argv.map(quote).join(" ")})`,
  ];
  const text = lines.join("\n");
  if (text.length < longOrderBytes) return Buffer.from(`${text}\0`);
  return Buffer.from(`eval "$(/usr/bin/head -c ${Buffer.byteLength(text)} <&${controlFd})"\0${text}`);
}

/** Whoever starts a sandbox may hold open what nobody told it about: Node hands on what its own parent left open above a gap. */
export function closeOthers(kept: readonly number[]): string {
  return `for f in /proc/self/fd/*; do f=\${f##*/}; case $f in ${[0, 1, 2, ...kept].join("|")});; *) eval "exec $f>&-";; esac; done; `;
}

/** One word for the shell, whatever it holds; NUL is refused before. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
