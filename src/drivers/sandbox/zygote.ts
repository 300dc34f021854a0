/**
 * Zygote: the small process that mounts sessions and starts sandboxes, so that the kernel never forks from its large heap.
 * It runs in its own mount namespace, speaks frames over its standard input and output, and ends with the kernel.
 *   SBX-6.1  When the pipe from the kernel closes, for whatever reason, every command dies, every mount goes and the helper exits.
 *   SBX-6.2  At most `idleMax` cells wait for a command, each for at most `idleMs`.
 *   SBX-6.5  Where something is closed, no cell is made while a command runs on the same root, and commands run one after the other: a command that
 *            moves folders about could make a cover land on another file than the one to close.
 *   SBX-6.3  Before a view is unmounted, the cells that wait on it are ended.
 *   SBX-6.4  What a killed helper left in the temporary folder goes when the next one starts.
 */
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxCommand } from "../../abi/sandbox.ts";
import { usageOf } from "../files/usage.ts";
import { Turn } from "../../lib/turn.ts";
import { Cell } from "./cell.ts";
import { cgroups } from "./cgroup.ts";
import { standingAt } from "./covers.ts";
import { watchGrowth } from "./growth.ts";
import { etcFiles, type ProfileSpec } from "./profile.ts";
import { seccompFilter } from "./seccomp.ts";
import { encodeFrame, frameReader, type ZygoteMode, type Reply, type Request } from "./wire.ts";

const idleMax = 2;
const idleMs = 30_000;
const warmAfterMs = 15;

function serve(mode: ZygoteMode, bubblewrap: string): void {
  sweep();
  const home = mkdtempSync(join(tmpdir(), `${homePrefix}${process.pid}-`));
  const etc = join(home, "etc");
  mkdirSync(etc);
  for (const [name, text] of Object.entries(etcFiles)) writeFileSync(join(etc, name), text);
  const covers = join(home, "covers");
  mkdirSync(join(covers, "folder"), { recursive: true });
  writeFileSync(join(covers, "file"), "");
  for (const name of ["file", "folder"]) chmodSync(join(covers, name), 0);
  const group = process.getuid?.() === 0 ? cgroups(process.pid) : null;
  const filter = seccompFilter(process.arch);
  const pipes = new PipePool(home);
  const idle: { readonly cell: Cell; readonly key: string; readonly expire: NodeJS.Timeout }[] = [];
  const running = new Map<number, () => void>();
  const cells = new Set<Cell>();
  /** The roots of the commands that run, each with how many do. */
  const busy = new Map<string, number>();
  const turns = new Map<string, Turn>();
  let serial = 0;

  const makeCell = (place: CellPlace): Cell => {
    serial += 1;
    const pair = pipes.take();
    const cgroup = group?.(`${serial}`) ?? null;
    const cell = new Cell({ ...place, etc, covers, seccomp: filter !== null, filter, bubblewrap, pipes: pair, cgroup });
    cells.add(cell);
    void cell.ended.then(() => {
      cells.delete(cell);
      pipes.give(pair);
    });
    return cell;
  };
  const takeCell = (place: CellPlace): Cell => {
    const at = idle.findIndex((entry) => entry.key === place.key);
    const [entry] = at === -1 ? [] : idle.splice(at, 1);
    clearTimeout(entry?.expire);
    return entry?.cell ?? makeCell(place);
  };
  const dropIdle = (wanted: (key: string, index: number) => boolean): Promise<unknown> => {
    const dropped = idle.filter((entry, index) => wanted(entry.key, index));
    for (const entry of dropped) {
      idle.splice(idle.indexOf(entry), 1);
      clearTimeout(entry.expire);
      entry.cell.kill();
    }
    return Promise.all(dropped.map((entry) => entry.cell.ended));
  };
  const warm = (command: SandboxCommand): void => {
    const place = placeOf(command);
    if (place === null || (place.closed.length > 0 && busy.has(place.root))) return;
    if (idle.some((entry) => entry.key === place.key)) return;
    const expire = setTimeout(() => void dropIdle((_, index) => idle[index]?.expire === expire), idleMs);
    const cell = makeCell(place);
    idle.push({ cell, key: place.key, expire });
    void cell.ended.then(() => dropIdle((_, index) => idle[index]?.cell === cell));
    if (idle.length > idleMax) void dropIdle((_, index) => index === 0);
  };
  const send = (reply: Reply, payload: readonly Uint8Array[] = []): void =>
    void process.stdout.write(encodeFrame(reply, payload));
  const failed = (id: number, message: string, cause: string): void => send({ op: "failed", id, errno: "EIO", message, cause });

  const run = (id: number, command: SandboxCommand): Promise<void> => {
    let cancelled = false;
    running.set(id, () => (cancelled = true));
    const work = (): Promise<void> => runNow(id, command, () => cancelled);
    if (command.closed.length === 0) return work();
    const turn = turns.get(command.root) ?? new Turn();
    turns.set(command.root, turn);
    return turn.take(work);
  };
  const runNow = async (id: number, command: SandboxCommand, cancelled: () => boolean): Promise<void> => {
    const watch = command.growth === null ? null : await watchGrowth(command.growth);
    const place = placeOf(command);
    if (place === null || cancelled()) return failed(id, "the command was not run: the workspace could not be looked at", "");
    // One that was made for other covers may still be putting them.
    if (place.closed.length > 0) await dropIdle((key) => key.startsWith(`${place.root}\0`) && key !== place.key);
    const cell = takeCell(place);
    busy.set(place.root, (busy.get(place.root) ?? 0) + 1);
    running.set(id, () => cell.kill());
    let full = watch?.tight ?? null;
    const unwatch = watch?.start((what) => {
      full = what;
      cell.kill();
    });
    // Making the next cell while a short command runs would slow that command down.
    const early = setTimeout(warm, warmAfterMs, command);
    const result = await cell.run(command, watch?.fileBytesMax ?? Number.MAX_SAFE_INTEGER);
    const left = (busy.get(place.root) ?? 1) - 1;
    if (left === 0) busy.delete(place.root);
    else busy.set(place.root, left);
    clearTimeout(early);
    unwatch?.();
    if (!result.ok) return failed(id, "the sandbox could not be set up, so the command was not run", result.cause);
    send({ op: "ran", id, result: { ...result.reply, full } }, [result.stdout, result.stderr]);
    setImmediate(warm, command);
  };
  /** What goes wrong in one request fails that request, not the helper. */
  const serving = (id: number, work: Promise<void>): void =>
    void work
      .catch((error: unknown) => failed(id, "the sandbox helper could not do it", String(error)))
      .finally(() => running.delete(id));
  const mount = (id: number, home: string, hide: readonly string[]): void => {
    execFile("/bin/sh", ["-c", mountScript, "sh", ...hide], { cwd: home, env: { PATH: systemPath } }, (error, _, stderr) => {
      if (error !== null) return failed(id, "the session's view could not be mounted", stderr);
      send({ op: "done", id });
    });
  };
  const measure = async (id: number, folder: string): Promise<void> => {
    send({ op: "measured", id, usage: await usageOf(folder) });
  };
  const unmount = async (id: number, view: string): Promise<void> => {
    turns.delete(view);
    await dropIdle((key) => key.startsWith(`${view}\0`));
    execFile("umount", ["-l", "--", view], { env: { PATH: systemPath } }, (error, _, stderr) => {
      if (error !== null) return failed(id, "the session's view could not be unmounted", stderr);
      send({ op: "done", id });
    });
  };
  const end = (): void => {
    for (const cell of cells) cell.kill();
    void Promise.all([...cells].map((cell) => cell.ended)).then(() => process.exit(0));
    setTimeout(() => process.exit(0), 1_000);
  };

  process.on("exit", () => rmSync(home, { recursive: true, force: true }));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, end);
  process.stdout.on("error", end);
  const read = frameReader<Request>();
  process.stdin.on("end", end).on("error", end);
  process.stdin.on("data", (piece: Buffer) => {
    for (const { header } of read(piece)) {
      if (header.op === "run") serving(header.id, run(header.id, header.command));
      else if (header.op === "cancel") running.get(header.id)?.();
      else if (header.op === "measure") serving(header.id, measure(header.id, header.folder));
      else if (header.op === "mount") mount(header.id, header.home, header.hide);
      else serving(header.id, unmount(header.id, header.view));
    }
  });
  send({ op: "hello", id: 0, mode, limits: group === null ? "rlimit" : "cgroup", covers });
}

const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Runs in the session's home. Relative names keep commas and colons of the path out of the mount's option list; `lower` is a link.
 * A hidden name is covered by a whiteout, so neither a command nor a call sees it. `userxattr` turns off redirects and metadata-only copies.
 */
const mountScript = `
for name; do [ -e "upper/$name" ] || [ -L "upper/$name" ] || [ ! -e "lower/$name" ] || mknod "upper/$name" c 0 0 || exit 1; done
exec mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr view`;

const homePrefix = "daimon-zygote-";

function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = /^daimon-zygote-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's; it is theirs to remove.
    }
  }
}

/** What a cell has to be made for; the rest of a command comes with its order. */
interface CellPlace extends Pick<ProfileSpec, "root" | "closed" | "memoryBytesMax"> {
  /** Cells of one key do for each other. */
  readonly key: string;
}

/** null where it cannot be told what stands at the closed paths. */
function placeOf({ root, closed, memoryBytesMax }: SandboxCommand): CellPlace | null {
  const standing = standingAt(root, closed);
  if (standing === null) return null;
  // A cover goes with the file it lies on, so a waiting cell is of no use once another stands there.
  const marks = standing.flatMap(({ path, mark }) => [path, mark]);
  return { root, closed: standing, memoryBytesMax, key: [root, memoryBytesMax, ...marks].join("\0") };
}

/** Named pipes are made in batches and used again once both ends are closed. */
class PipePool {
  readonly #folder: string;
  readonly #free: [string, string][] = [];
  #made = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  take(): [string, string] {
    if (this.#free.length === 0) this.#make(8);
    return this.#free.pop() as [string, string];
  }

  give(pair: [string, string]): void {
    this.#free.push(pair);
  }

  #make(count: number): void {
    const pairs = Array.from({ length: count }, (_, index): [string, string] => {
      const name = join(this.#folder, `pipe-${this.#made + index}`);
      return [`${name}-out`, `${name}-err`];
    });
    execFileSync("mkfifo", ["-m", "600", ...pairs.flat()], { env: { PATH: systemPath } });
    this.#made += count;
    this.#free.push(...pairs);
  }
}

// Last, because what it uses is declared above.
const [mode = "plain", bubblewrap = "bwrap"] = process.argv.slice(2);
serve(mode as ZygoteMode, bubblewrap);
