/**
 * Guest profile: what a guest sees, as bubblewrap arguments, and the script that opens its doors before it starts.
 * A guest works where the person does: the workspace and the home are at their own paths, the first as its session, the second empty.
 *   SBX-13.3  Of the host it sees the system, its own program and the workspace's session; everything but the session, its home and the temporary
 *             folders is read-only.
 *   SBX-13.4  Files planned for it below its home are its own to change; those anywhere else it cannot change, nor can what it starts.
 *   SBX-13.5  The environment is the plan's, and what the sandbox itself says: home, user, shell and the folder for temporary files.
 *   SBX-13.6  Each door is reachable before the program runs, at its port of the loopback and nowhere else; without doors there is no forwarder.
 */
import type { GuestDoor, GuestPlan } from "../../abi/sandbox.ts";
import { homeOf, inside } from "./guest-places.ts";
import { accountFiles, closeOthers, systemMounts, type Closed } from "./profile.ts";

export interface GuestProfileSpec {
  readonly plan: GuestPlan;
  /** The session's merged view, as the helper sees it. */
  readonly view: string;
  readonly closed: readonly Closed[];
  /** A folder of ours with an empty file and an empty folder without permissions. */
  readonly covers: string;
  /** null: the machine has none, so that the guest gets no terminal of the person's to push input into and no namespaces. */
  readonly seccompFd: number | null;
  /** The texts that are files inside come on these descriptors. */
  readonly firstFd: number;
}

/** A file made from a text that comes on a descriptor. */
export interface Sent {
  readonly fd: number;
  readonly content: GuestPlan["files"][number]["content"];
}

export interface GuestProfile {
  readonly args: readonly string[];
  readonly sent: readonly Sent[];
}

export function guestProfile(spec: GuestProfileSpec): GuestProfile {
  const { plan, view, seccompFd } = spec;
  const home = homeOf(plan.root, plan.home);
  const size = String(plan.memoryBytesMax);
  const accounts = Object.entries(accountFiles(home)).map(([name, text]) => ({ path: `/etc/${name}`, content: { text } }));
  const files = [...accounts, ...plan.files.map((file) => ({ ...file, path: relocated(file.path, plan.home, home) }))];
  const sent = files.map(({ content }, index) => ({ fd: spec.firstFd + index, content }));
  const file = ({ path }: { readonly path: string }, index: number): readonly string[] => {
    const own = inside(path, home);
    return ["--perms", own ? "0600" : "0444", "--file", String(spec.firstFd + index), path];
  };
  const args = [
    ...["--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--hostname", "daimon"],
    ...["--die-with-parent", "--cap-drop", "ALL"],
    ...(seccompFd === null ? ["--new-session", "--disable-userns"] : ["--seccomp", String(seccompFd)]),
    ...["--size", String(rootBytes), "--tmpfs", "/", ...systemMounts()],
    ...["--ro-bind-try", "/etc/ssl/certs", "/etc/ssl/certs"],
    ...["--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
    ...["/tmp", "/var/tmp"].flatMap((path) => ["--perms", "1777", "--size", size, "--tmpfs", path]),
    ...["--perms", "0755", "--size", size, "--tmpfs", "/run", "--perms", "0700", "--size", size, "--tmpfs", home],
    ...places(plan, view).flatMap(({ words }) => words),
    ...spec.closed.flatMap(({ path, type }) => ["--ro-bind", `${spec.covers}/${type}`, `${plan.root}/${path}`]),
    ...plan.doors.flatMap((door) => ["--ro-bind", door.socket, socketOf(door)]),
    ...files.flatMap(file),
    ...["--remount-ro", "/", "--chdir", plan.cwd, "--clearenv"],
    ...Object.entries({ ...plan.env, ...own(home) }).flatMap(([name, value]) => ["--setenv", name, value]),
  ];
  return { args, sent };
}

/** Of the folders above what is shown, and of files of ours outside the home. */
const rootBytes = 16 * 1024 * 1024;

function own(home: string): Readonly<Record<string, string>> {
  return { HOME: home, USER: "agent", LOGNAME: "agent", SHELL: "/bin/bash", TMPDIR: "/tmp" };
}

function relocated(path: string, from: string, to: string): string {
  return inside(path, from) ? `${to}${path.slice(from.length)}` : path;
}

/** Folders before what lies in them, whatever they are. */
function places(
  { root, shown, links }: GuestPlan,
  view: string,
): readonly { readonly path: string; readonly words: readonly string[] }[] {
  return [
    { path: root, words: ["--bind", view, root] },
    ...shown.map((path) => ({ path, words: ["--ro-bind", path, path] })),
    ...links.map(({ path, target }) => ({ path, words: ["--symlink", target, path] })),
  ].toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function socketOf({ port }: GuestDoor): string {
  return `/run/daimon/${port}.sock`;
}

/**
 * What runs first inside, as arguments before the guest's own. An interrupt at the terminal is ignored up to here, because it would end bubblewrap and
 * with it the sandbox; from here on it is the guest's. `startedFd` gets one byte when all stands.
 */
export function firstWords(plan: Pick<GuestPlan, "doors" | "processesMax">, startedFd: number): readonly string[] {
  const script = [
    closeOthers([startedFd]),
    `ulimit -c 0; ulimit -u ${plan.processesMax} 2>/dev/null`,
    ...plan.doors.map((door) => forwarder(door, startedFd)),
    ...plan.doors.map(listening),
    `printf s >&${startedFd}; exec ${startedFd}>&-`,
    'exec -- "$@"',
  ].join("\n");
  return ["/usr/bin/env", "--default-signal=INT,QUIT", "/bin/bash", "--norc", "--noprofile", "-c", script, "guest"];
}

/** Left to the sandbox's first process, so that the guest meets no child it did not start. It listens once the kernel's own table says so. */
function forwarder(door: GuestDoor, startedFd: number): string {
  return `p${door.port}=$(socat TCP4-LISTEN:${door.port},bind=127.0.0.1,reuseaddr,fork,backlog=128 UNIX-CONNECT:${socketOf(door)} </dev/null >/dev/null 2>&1 ${startedFd}>&- & echo $!)`;
}

/** All are started before the first is waited for. */
function listening(door: GuestDoor): string {
  const listens = `:${door.port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
  return `until grep -q '${listens}' /proc/net/tcp; do [ -d "/proc/$p${door.port}" ] || { echo 'daimon: a door of the sandbox did not open' >&2; exit 126; }; done`;
}
