/**
 * daimon config: the settings in force, and which files a person accepted.
 *   CLI-25.1  Every setting is shown with its value and where it comes from; values of environments and headers never are.
 *   CLI-25.2  trust accepts one file of the workspace as it is now and tells what that adds to what was trusted before; distrust takes every
 *             acceptance of it back.
 *   CLI-25.3  trust mcp.SERVER shows what the tools of that server say now and said before, and accepts them.
 */
import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import { effective, loadConfig, type Config, type ConfigSource } from "../boot/config.ts";
import { readConfigSources } from "../boot/config-read.ts";
import type { numberKeys } from "../boot/config-file.ts";
import { configName, type Layout } from "../boot/layout.ts";
import { didYouMean } from "../boot/suggest.ts";
import { acceptFile, type Accepted } from "../boot/accept.ts";
import { readTrust, withdrawTrust } from "../boot/trust.ts";
import type { Digest } from "../lib/hash.ts";
import { ok, type Result } from "../lib/result.ts";
import { note, print, printFinding, printJson, type Io } from "./io.ts";
import { formatBytes, formatDuration } from "./term/format.ts";
import { neutraliseLine } from "./term/neutralise.ts";
import { columnsOf } from "./term/screen.ts";
import { table } from "./term/table.ts";
import { layoutHere, look } from "./workspace.ts";

export async function run(words: readonly string[], io: Io): Promise<Result<number, SysError>> {
  const [action, path] = words;
  if (action === undefined) return await show(io);
  if (action !== "trust" && action !== "distrust") {
    const hint = didYouMean(action, ["trust", "distrust"]) || "; it is trust PATH, distrust PATH, or nothing to see the settings";
    return fail("EINVAL", `\`${action.slice(0, 64)}\` is no form of this command${hint}`);
  }
  if (path === undefined)
    return fail("EINVAL", `PATH is missing; name the file, such as \`daimon config ${action} ${configName}\``);
  return action === "trust" ? await accept(path, io) : withdraw(path, io);
}

async function show(io: Io): Promise<Result<number, SysError>> {
  const layout = layoutHere(io);
  const read = await settingsOf(layout, io);
  if (!read.ok) return read;
  const { sources, config } = read.value;
  const settings = effective(config);
  const files = sources.map(({ scope, name, trusted, widened }) => ({ scope, name, trusted, widened }));
  if (io.json) {
    printJson(io, { settings, files, findings: config.findings });
    return ok(0);
  }
  for (const finding of config.findings) printFinding(io, finding);
  const columns = [{ title: "SETTING" }, { title: "VALUE", flexMin: 12 }, { title: "FROM", flexMin: 10 }];
  const { numberKeys } = await import("../boot/config-file.ts");
  const rows = settings.map(({ key, value, origin }) => {
    const [name, shown] = asWritten(key, value, numberKeys);
    return [name, shown, { text: origin, tone: "dim" } as const];
  });
  io.out.write(table(rows, columns, columnsOf(io.out), io.colours));
  if (files.length === 0)
    note(io, `no configuration file: these are the defaults; \`daimon init\` makes a ${configName} to edit`);
  return ok(0);
}

interface Settings {
  readonly sources: readonly ConfigSource[];
  readonly config: Config;
}

async function settingsOf(layout: Layout, io: Io): Promise<Result<Settings, SysError>> {
  const trust = readTrust(layout);
  if (!trust.ok) return trust;
  const sources = await readConfigSources(layout, trust.value, await producedHere(io));
  if (!sources.ok) return sources;
  const config = await loadConfig(sources.value);
  return config.ok ? ok({ sources: sources.value, config: config.value }) : config;
}

/** The key as a person writes it into the file, and its value with its unit. JSON has the unit in the key instead. */
function asWritten(key: string, value: string, keys: typeof numberKeys): readonly [string, string] {
  const spec = Object.entries(keys).find(([name]) => name === key)?.[1];
  if (key === "cpu" && value === "none") return [key, "chosen by each run; `daimon doctor` shows which"];
  if (spec === undefined) return [key, value];
  const name = spec.section === null ? spec.key : `${spec.section}.${spec.key}`;
  if (value === "none") return [name, value];
  if (key.endsWith("Ms")) return [name, formatDuration(Number(value))];
  return [name, key.includes("Bytes") ? formatBytes(Number(value)) : value];
}

/** What processes wrote into the workspace: a settings file among it needs its own acceptance. */
async function producedHere(io: Io): Promise<ReadonlySet<Digest>> {
  if (!existsSync(layoutHere(io).journal)) return new Set<Digest>();
  const seen = await look(io);
  if (!seen.ok) return new Set<Digest>();
  seen.value.close();
  return new Set(seen.value.table.produced.keys());
}

async function accept(path: string, io: Io): Promise<Result<number, SysError>> {
  const layout = layoutHere(io);
  const accepted = path.startsWith("mcp.")
    ? await acceptTools(layout, path.slice("mcp.".length), io)
    : await acceptFile(layout, resolve(io.world.cwd, path), io.clock.now());
  if (!accepted.ok) return accepted;
  const { path: name, digest, adds } = accepted.value;
  if (io.json) printJson(io, { trusted: name, digest, adds });
  else {
    print(io, `${neutraliseLine(name)} is trusted as it is now (${digest.slice(0, 12)})${adds.length > 0 ? ", with:" : ""}`);
    for (const line of adds) print(io, `  ${neutraliseLine(line)}`);
  }
  return ok(0);
}

async function acceptTools(layout: Layout, server: string, io: Io): Promise<Result<Accepted, SysError>> {
  const read = await settingsOf(layout, io);
  if (!read.ok) return read;
  const { acceptServer } = await import("../boot/accept-server.ts");
  const { callSpecs } = await import("../boot/call-specs.ts");
  return await acceptServer(
    layout,
    read.value.config,
    server,
    io.world.env,
    callSpecs().map(({ name }) => name),
  );
}

function withdraw(path: string, io: Io): Result<number, SysError> {
  const layout = layoutHere(io);
  const file = resolve(io.world.cwd, path);
  const count = withdrawTrust(layout, file);
  if (!count.ok) return count;
  const name = relative(layout.root, file);
  if (io.json) printJson(io, { distrusted: name, acceptances: count.value });
  else print(io, count.value === 0 ? `${name} was not trusted` : `${name} is not trusted any more`);
  return ok(0);
}
