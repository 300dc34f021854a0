/**
 * Lock: one kernel a workspace, whoever dies and whenever.
 * Node has no flock, and one lock file cannot be taken over safely: between seeing that its holder is dead and removing it, another may have
 * taken it. So nobody takes over anything. Each starter creates a claim whose name is his own for all time, then looks at the others' claims:
 * of two starters at least the later one sees the other. Claims of the dead are swept by anyone, and sweeping one can never hit a live claim.
 *   BOO-5.1  Never two holders, however many processes start, die or are killed at once.
 *   BOO-5.2  A claim counts as dead when its process is gone or a zombie, its pid belongs to another process, or the machine has booted since.
 *   BOO-5.3  A claim from another machine or pid namespace cannot be looked up: it counts as live while its heartbeat is younger than 20 s.
 *   BOO-5.4  Of several that start together, the first by name gets the lock; a refusal is EBUSY and names the holder, since when, and the next step.
 *   BOO-5.5  release() gives the lock back once and only its own.
 * Source: the argument is Lamport's bakery (CACM 17:8, 1974) with the file system as the shared registers.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { ok, type Result } from "../lib/result.ts";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { Clock } from "../abi/clock.ts";

/** A process for all time: a pid alone is reused. */
export interface Identity {
  readonly pid: number;
  /** Clock ticks between boot and the process's start: field 22 of /proc/PID/stat. */
  readonly start: string;
  /** The kernel's boot id, first 8 digits. */
  readonly boot: string;
  /** The inode of the pid namespace: a pid means nothing in another one. */
  readonly space: string;
}

export interface Lock {
  readonly since: number;
  release(): void;
}

/** Makes claims unique within one process: two kernels in one process exclude each other too. */
export type Nonce = () => string;

interface Claim extends Identity {
  readonly name: string;
  readonly since: number;
}

const pollMs = 10;
const patienceMs = 2_000;

/** `folder` is the layout's `run/lock`, which exists. */
export async function acquireLock(folder: string, self: Identity, clock: Clock, nonce: Nonce): Promise<Result<Lock, SysError>> {
  const since = clock.now();
  const name = `${String(since).padStart(16, "0")}-${self.pid}-${self.start}-${self.boot}-${self.space}-${nonce()}`;
  const file = path.join(folder, name);
  try {
    fs.writeFileSync(file, "", { flag: "wx", mode: 0o600 });
    const rival = await settle(folder, name, self, clock);
    if (rival === null) {
      fs.writeFileSync(`${file}.held`, "", { flag: "wx", mode: 0o600 });
      return ok(heldLock(file, since, clock));
    }
    withdraw(file);
    return fail("EBUSY", refusal(rival, self, clock.now()));
  } catch (cause) {
    withdraw(file);
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown error";
    return fail(
      "EIO",
      `cannot lock the workspace: ${code} in .daimon/run/lock; check that the folder is writable, then run \`daimon fsck\``,
    );
  }
}

/** Who am I, from /proc; off Linux only the heartbeat speaks for a claim. */
export function readIdentity(pid: number): Identity {
  const start = startOf(pid) ?? "0";
  const boot = read("/proc/sys/kernel/random/boot_id")?.slice(0, 8) ?? "none";
  return { pid, start, boot, space: link("/proc/self/ns/pid")?.replaceAll(/\D/g, "") ?? "0" };
}

/** Null when every other claim is gone; else the claim that keeps us out. */
async function settle(folder: string, name: string, self: Identity, clock: Clock): Promise<Claim | null> {
  const until = clock.now() + patienceMs;
  for (;;) {
    const { rivals, held } = survey(folder, name, self, clock.now());
    const [first] = rivals;
    if (first === undefined) return null;
    // A holder, or an earlier starter: it wins. A later starter that has not looked yet will see us and go; one that has looked will hold.
    const winner = held ?? (first.name < name || clock.now() >= until ? first : null);
    if (winner !== null) return winner;
    await new Promise<void>((wake) => clock.after(pollMs, wake));
  }
}

/** The others' live claims, earliest first; dead ones are swept on the way. */
function survey(
  folder: string,
  name: string,
  self: Identity,
  now: number,
): { readonly rivals: readonly Claim[]; readonly held: Claim | null } {
  const names = new Set(fs.readdirSync(folder));
  const rivals: Claim[] = [];
  for (const other of [...names].toSorted()) {
    if (other === name || other.endsWith(".held")) continue;
    const claim = parseClaim(other);
    if (claim === null) continue;
    if (isLive(path.join(folder, other), claim, self, now)) rivals.push(claim);
    else withdraw(path.join(folder, other));
  }
  return { rivals, held: rivals.find((claim) => names.has(`${claim.name}.held`)) ?? null };
}

function isLive(file: string, claim: Claim, self: Identity, now: number): boolean {
  const known = self.start !== "0" && claim.start !== "0" && claim.boot === self.boot && claim.space === self.space;
  if (known) return startOf(claim.pid) === claim.start;
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  return stat !== undefined && now - stat.mtimeMs < limits.lockStaleMs;
}

function heldLock(file: string, since: number, clock: Clock): Lock {
  let open = true;
  let cancel = (): void => {};
  const beat = (): void => {
    if (!open) return;
    const seconds = clock.now() / 1000;
    try {
      fs.utimesSync(file, seconds, seconds);
    } catch {
      // The claim was deleted by hand: nothing to keep alive, and the next starter is the person's decision.
      return;
    }
    cancel = clock.after(limits.lockHeartbeatMs, beat);
  };
  beat();
  return {
    since,
    release: () => {
      if (!open) return;
      open = false;
      cancel();
      withdraw(file);
    },
  };
}

/** The mark goes first: a claim without it is only a starter, a mark without a claim is nothing. */
function withdraw(file: string): void {
  fs.rmSync(`${file}.held`, { force: true });
  fs.rmSync(file, { force: true });
}

function parseClaim(name: string): Claim | null {
  const match = /^(\d{16})-(\d+)-(\d+)-([0-9a-z]+)-(\d+)-[0-9a-zA-Z]+$/.exec(name);
  if (match === null) return null;
  const [, since = "", pid = "", start = "", boot = "", space = ""] = match;
  return { name, since: Number(since), pid: Number(pid), start, boot, space };
}

function refusal(rival: Claim, self: Identity, now: number): string {
  const seconds = Math.max(0, Math.round((now - rival.since) / 1000));
  const age = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  const since = `since ${new Date(rival.since).toISOString()} (${age})`;
  if (rival.space !== self.space || rival.boot !== self.boot) {
    const wait = `if that one is gone, its claim lapses ${limits.lockStaleMs / 1000} s after its last heartbeat; try again then`;
    return `another machine or container holds this workspace, as its process ${rival.pid}, ${since}; ${wait}`;
  }
  return `process ${rival.pid} holds this workspace ${since}; use it (\`daimon ps\`), or end it with \`kill ${rival.pid}\` and try again`;
}

/** A process's start time; null when it is gone or a zombie, which holds nothing. */
function startOf(pid: number): string | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The command name may hold spaces and parentheses: fields are counted from the last `)`. State is field 3, start time field 22.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  return state === "Z" || state === "X" ? null : (fields[19] ?? null);
}

function read(file: string): string | null {
  try {
    return fs.readFileSync(file, "utf8").trim();
  } catch {
    return null;
  }
}

function link(file: string): string | null {
  try {
    return fs.readlinkSync(file);
  } catch {
    return null;
  }
}
