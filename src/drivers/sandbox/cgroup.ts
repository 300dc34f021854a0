/**
 * Cgroup: bounds on a whole sandbox where the helper may make control groups, which is when it is root.
 * The kernel does not count processes against root's own limit, so without this a fork bomb of root's would be bounded by time alone.
 * Both versions are handled: version 1 with one folder a controller, version 2 with one folder.
 *   SBX-4.1  A group is made per sandbox, filled before the command starts, and removed after it; what a dead helper left goes at the next start.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";

interface Version {
  readonly pids: string;
  readonly memory: string;
  readonly pidsFile: string;
  readonly memoryFile: string;
}

export interface Cgroup {
  /** A process joins by writing its id into each of them. */
  readonly joins: readonly string[];
  add(pids: readonly number[]): boolean;
  limit(processesMax: number, memoryBytesMax: number): boolean;
  remove(): void;
}

/** Finds where groups can be made and returns how to make one; null where they cannot. */
export function cgroups(pid: number): ((name: string) => Cgroup | null) | null {
  const version = versions().find((candidate) => usable(candidate, `${prefix}${pid}-probe`));
  if (version === undefined) return null;
  sweep(version);
  return (name) => create(version, `${prefix}${pid}-${name}`);
}

const prefix = "daimon-";

/** A group cannot be removed while its last process is still being buried, so every start removes what dead helpers left. */
function sweep(version: Version): void {
  for (const folder of new Set([version.pids, version.memory])) {
    for (const name of readdirSync(folder)) {
      const owner = /^daimon-(\d+)-/.exec(name)?.[1];
      if (owner !== undefined && !existsSync(`/proc/${owner}`)) attempt(() => rmdirSync(`${folder}/${name}`));
    }
  }
}

function versions(): Version[] {
  const one = "/sys/fs/cgroup";
  return [
    { pids: `${one}/pids`, memory: `${one}/memory`, pidsFile: "pids.max", memoryFile: "memory.limit_in_bytes" },
    { pids: one, memory: one, pidsFile: "pids.max", memoryFile: "memory.max" },
  ];
}

function usable(version: Version, name: string): boolean {
  const group = create(version, name);
  if (group === null) return false;
  const works = group.limit(64, 64 * 1024 * 1024);
  group.remove();
  return works;
}

function create(version: Version, name: string): Cgroup | null {
  const folders = [...new Set([`${version.pids}/${name}`, `${version.memory}/${name}`])];
  try {
    // A folder is no cgroup unless its file system says so: the probe file is made by the kernel.
    if (!readdirSync(version.pids).includes("cgroup.procs")) return null;
    for (const folder of folders) mkdirSync(folder, { recursive: true });
  } catch {
    return null;
  }
  const joins = folders.map((folder) => `${folder}/cgroup.procs`);
  return {
    joins,
    add: (pids) => attempt(() => joins.forEach((file) => pids.forEach((pid) => writeFileSync(file, `${pid}`)))),
    limit: (processesMax, memoryBytesMax) =>
      attempt(() => {
        setExisting(`${version.pids}/${name}/${version.pidsFile}`, processesMax);
        setExisting(`${version.memory}/${name}/${version.memoryFile}`, memoryBytesMax);
      }),
    remove: () => folders.forEach((folder) => removeSoon(folder, removeTries)),
  };
}

const removeTries = 10;
const removePauseMs = 20;

/** The kernel frees a killed process's place a moment after its end is reported. */
function removeSoon(folder: string, tries: number): void {
  if (attempt(() => rmdirSync(folder)) || tries === 0) return;
  setTimeout(removeSoon, removePauseMs, folder, tries - 1).unref();
}

function setExisting(file: string, value: number): void {
  readFileSync(file);
  writeFileSync(file, `${value}`);
}

function attempt(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
