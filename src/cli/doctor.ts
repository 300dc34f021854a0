/**
 * daimon doctor: what this machine can do for daimon.
 *   CLI-26.1  Each line is fine, degraded or missing; what is not fine names the next step. Exit 0 unless something essential is missing.
 *   CLI-26.2  Of keys only the names are shown, never a value.
 *   CLI-26.3  It makes nothing in the workspace and starts no process of it.
 *   CLI-26.4  Of each MCP server it tells what was accepted, and what is suspicious in that, without starting it.
 */
import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";
import { delimiter, join } from "node:path";
import type { SysError } from "../abi/errno.ts";
import { callSpecs } from "../boot/call-specs.ts";
import { openCpus } from "../boot/cpus.ts";
import { checkRoot, configName } from "../boot/layout.ts";
import { readPin } from "../boot/pins.ts";
import { preview, type Preview } from "../boot/preview.ts";
import { checkWorkspace } from "../boot/provenance.ts";
import { overlaySessions } from "../drivers/files/overlay.ts";
import { bwrapSandbox } from "../drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../drivers/sandbox/zygote-client.ts";
import { openMemoryBlobs } from "../drivers/store/memory-blobs.ts";
import { emptyTable } from "../kernel/table.ts";
import { ok, type Result } from "../lib/result.ts";
import { inspectTools } from "../security/tool-text.ts";
import { hanging } from "./field.ts";
import { print, printJson, type Io } from "./io.ts";
import { formatBytes, many } from "./term/format.ts";
import { neutralise } from "./term/neutralise.ts";
import { isRunning, layoutHere } from "./workspace.ts";

export interface Health {
  readonly name: string;
  readonly state: "fine" | "degraded" | "missing";
  readonly detail: string;
  /** What mends it; null where nothing need be done. */
  readonly next: string | null;
}

const spaceBytesMin = 512 * 1024 * 1024;

export async function run(io: Io): Promise<Result<number, SysError>> {
  const layout = layoutHere(io);
  const seen = await preview(layout, emptyTable());
  const list: readonly Health[] = [
    node(),
    ...(await isolation()),
    search(io),
    machine(),
    ...space(io),
    ...(seen.ok ? await cpus(seen.value, io) : []),
    keys(io),
    ...configuration(seen),
    ...(seen.ok ? servers(seen.value, io) : []),
    await workspace(io),
  ];
  const broken = list.some((one) => one.state === "missing");
  if (io.json) printJson(io, { healthy: !broken, checks: list });
  else {
    for (const one of list) show(one, io);
    const degraded = list.filter((one) => one.state === "degraded").length;
    print(io, broken ? "\nsomething essential is missing" : degraded > 0 ? `\nready, with ${degraded} degraded` : "\nready");
  }
  return ok(broken ? 1 : 0);
}

const marks = { fine: ["good", "fine    "], degraded: ["warn", "degraded"], missing: ["bad", "missing "] } as const;

function show({ name, state, detail, next }: Health, io: Io): void {
  const [tone, mark] = marks[state];
  const indent = 24;
  io.out.write(`${io.colours.paint(tone, mark)}  ${neutralise(name.padEnd(12))}  ${hanging(io, detail, indent)}\n`);
  if (next !== null) io.out.write(`${" ".repeat(indent)}${io.colours.paint("dim", "next:")} ${hanging(io, next, indent + 6)}\n`);
}

function fine(name: string, detail: string): Health {
  return { name, state: "fine", detail, next: null };
}

function node(): Health {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return fine("node", process.versions.node);
  return {
    name: "node",
    state: "missing",
    detail: `${process.versions.node} is too old`,
    next: "install Node 24 from https://nodejs.org",
  };
}

async function isolation(): Promise<readonly Health[]> {
  const helper = new ZygoteClient();
  try {
    const sandbox = await bwrapSandbox({ helper }).available();
    const overlays = await overlaySessions({ blobs: openMemoryBlobs(), hide: [], isSecret: () => false, helper }).available();
    const started = await helper.start();
    const limits = started.ok ? started.value.limits : "rlimit";
    const limited =
      limits === "cgroup"
        ? fine("limits", "commands are limited by control groups")
        : degraded(
            "limits",
            "commands are limited by rlimits, a process at a time",
            "nothing need be done; a delegated control group limits the whole tree",
          );
    return [
      sandbox.ok
        ? fine("sandbox", "commands run isolated by bubblewrap")
        : degraded(
            "sandbox",
            sandbox.error.message,
            "install bubblewrap and allow user namespaces; until then commands are refused, never run unisolated",
          ),
      overlays.ok
        ? fine("overlay", "sessions are overlay mounts in a user namespace")
        : degraded(
            "overlay",
            overlays.error.message,
            "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1; until then files are copied when they first change",
          ),
      limited,
    ];
  } finally {
    await helper.close();
  }
}

function degraded(name: string, detail: string, next: string): Health {
  return { name, state: "degraded", detail, next };
}

function search(io: Io): Health {
  const found = (io.world.env["PATH"] ?? "").split(delimiter).some((folder) => folder !== "" && isExecutable(join(folder, "rg")));
  if (found) return fine("ripgrep", "found, for commands that search");
  const sudo = io.world.uid === 0 ? "" : "sudo ";
  return degraded(
    "ripgrep",
    "not found; agents' own search works without it, commands that call rg do not",
    `${sudo}apt-get install -y ripgrep`,
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function machine(): Health {
  return fine("machine", `${availableParallelism()} cores, ${formatBytes(freemem())} of ${formatBytes(totalmem())} memory free`);
}

function space(io: Io): readonly Health[] {
  const { root } = layoutHere(io);
  try {
    const { bavail, bsize } = statfsSync(root);
    const free = bavail * bsize;
    const detail = `${formatBytes(free)} free where the workspace lies`;
    return [
      free >= spaceBytesMin
        ? fine("disk", detail)
        : degraded("disk", detail, "free some space: a full disk stops the journal, and with it every process"),
    ];
  } catch {
    return [];
  }
}

async function cpus({ config }: Preview, io: Io): Promise<readonly Health[]> {
  const { clock, world } = io;
  const found = await openCpus({ config, env: world.env, clock, random: () => 0.5, instance: "doctor", chosen: null });
  const sources = found.sources.map(({ name, model, why }) => {
    const chosen = name === found.default.split("/")[0] ? " (default)" : "";
    return fine(`cpu ${name}`, `${model === "" || model === name ? "" : `${model}, `}${why}${chosen}`);
  });
  await found.close();
  return sources;
}

function keys(io: Io): Health {
  const names = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"].filter((name) => (io.world.env[name] ?? "") !== "");
  return fine("keys", names.length === 0 ? "none set; reflex and local servers need none" : `${names.join(" and ")} set`);
}

function configuration(seen: Result<Preview, SysError>): readonly Health[] {
  if (!seen.ok)
    return [
      { name: "settings", state: "missing", detail: seen.error.message, next: "correct what is named; nothing boots before" },
    ];
  const { policy, findings, config } = seen.value;
  const files = [...new Set(Object.values(config.origins).map((origin) => origin.file))];
  const read = fine("settings", files.length === 0 ? "the defaults" : `from ${files.join(", ")}`);
  const told = findings.map((finding) => degraded("settings", `${finding.where}: ${finding.message}`, "see `daimon config`"));
  if (policy.ok) return [read, ...told, fine("policy", `loaded, digest ${policy.value.digest.slice(0, 12)}`)];
  return [
    read,
    ...told,
    { name: "policy", state: "missing", detail: policy.error.message, next: "correct what is named; nothing boots before" },
  ];
}

function servers({ config }: Preview, io: Io): readonly Health[] {
  const own = callSpecs().map(({ name }) => name);
  return Object.keys(config.mcp).flatMap((name) => {
    const pin = readPin(layoutHere(io), name);
    const title = `mcp ${name}`;
    if (!pin.ok) return [degraded(title, pin.error.message, `daimon config trust mcp.${name}`)];
    if (pin.value === null) return [fine(title, "not connected yet; what it says of its tools is accepted when it is")];
    const signs = inspectTools(name, [...pin.value.values()], new Set(own));
    const accepted = fine(title, `${many(pin.value.size, "tool")} accepted`);
    const next = "read it with `daimon config trust`, and deny the tool in policy if you do not want it";
    return signs.length === 0
      ? [accepted]
      : [accepted, ...signs.map(({ where, message }) => degraded(title, `${where}: ${message}`, next))];
  });
}

async function workspace(io: Io): Promise<Health> {
  const layout = layoutHere(io);
  const standing = checkWorkspace(layout);
  const root = standing.ok ? checkRoot(layout) : standing;
  if (!root.ok) {
    const [detail = "", next = null] = root.error.message.split("; ", 2);
    return { name: "workspace", state: "missing", detail: `${layout.root}: ${detail}`, next };
  }
  const running = (await isRunning(layout)) ? "a kernel runs in it" : "no kernel runs in it";
  const kind = existsSync(layout.journal) ? "has a journal" : existsSync(layout.config) ? `has a ${configName}` : "is new here";
  try {
    accessSync(layout.root, constants.W_OK);
    return fine("workspace", `${layout.root}: ${kind}, ${running}`);
  } catch {
    const next = "make the folder writable, or name another with --cwd";
    return { name: "workspace", state: "missing", detail: `${layout.root} cannot be written`, next };
  }
}
