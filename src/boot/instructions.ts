/**
 * Instructions: the texts a process is told to follow, apart from what it may only read and from what it wrote itself.
 * Load order, from the general to the particular, a later file having the last word:
 * user AGENTS.md · workspace AGENTS.md · workspace CLAUDE.md · files the configuration lists · the program's own.
 *   BOO-7.1  The load order is fixed, each file is measured, and content met before is not loaded twice.
 *   BOO-7.7  AGENTS.md and CLAUDE.md of the workspace are told to agents that follow it; the user's file, and what the configuration lists, to all.
 *   BOO-7.2  A file whose content a process wrote is not loaded: finding `store-separation`, until a person accepts this digest.
 *   BOO-7.3  A file that a process wrote and someone changed since is loaded with a warning.
 *   BOO-7.4  A link, a file that is too large, unreadable or not UTF-8 is not loaded and is a finding; a link to a neighbour that is loaded itself is no trouble.
 *   BOO-7.5  Bidi and tag characters keep a file out until its digest is accepted; zero-width and control characters are a warning with their line.
 *   BOO-7.6  A path is in one store: instruction, artefact or reference; what a process wrote is never in the first.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import type { Digest } from "../lib/hash.ts";
import type { Result } from "../lib/result.ts";
import type { BootStep } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Finding } from "../abi/finding.ts";
import { limits } from "../abi/limits.ts";
import type { Follows, Pid } from "../abi/process.ts";
import { folderName, type Layout } from "./layout.ts";
import { bootStep } from "./measure.ts";
import { readText, type SourceText } from "./read.ts";
import type { Trust } from "./trust.ts";
import { unseen } from "../lib/unseen.ts";

export interface Instruction {
  /** `AGENTS.md`, `~/AGENTS.md`: how a person knows the file, and its name in the boot measure after `instructions:`. */
  readonly name: string;
  readonly text: string;
  readonly digest: Digest;
  readonly step: BootStep;
  /** AGENTS.md and CLAUDE.md of the workspace: for those who work on what lies there. */
  readonly follows: Follows;
}

/** What processes put into the workspace, as the journal tells. Paths are relative to it. */
export interface Produced {
  readonly digests: ReadonlyMap<Digest, Pid>;
  readonly paths: ReadonlyMap<string, Pid>;
}

export interface InstructionRequest {
  readonly layout: Layout;
  /** Absolute paths from the configuration, in load order. */
  readonly listed: readonly string[];
  readonly produced: Produced;
  readonly trust: Trust;
  /** A monotonic clock, in milliseconds. */
  readonly tick: () => number;
}

export type Store = "instruction" | "reference" | "artefact";

interface Candidate {
  readonly name: string;
  readonly file: string;
  /** Relative to the workspace; null outside it. */
  readonly path: string | null;
  readonly follows: Follows;
}

/** What agents are told after their own instructions, by what they follow. */
export function preambles(instructions: readonly Instruction[]): Readonly<Record<Follows, string>> {
  const told = (chosen: readonly Instruction[]): string =>
    chosen.map(({ name, text }) => `# From ${name}\n\n${text.trim()}\n`).join("\n");
  return { workspace: told(instructions), own: told(instructions.filter(({ follows }) => follows === "own")) };
}

export function loadInstructions(request: InstructionRequest): {
  readonly instructions: readonly Instruction[];
  readonly findings: readonly Finding[];
} {
  const instructions: Instruction[] = [];
  const findings: Finding[] = [];
  for (const candidate of candidates(request.layout, request.listed)) {
    const since = request.tick();
    const source = readInside(candidate, request.layout);
    if (!source.ok) {
      const harmless =
        source.error.errno === "ENOENT" ? !request.listed.includes(candidate.file) : linksToSibling(candidate, request.layout);
      if (!harmless) findings.push(finding("BOO-7.4", "warning", candidate.name, `not loaded: ${source.error.message}`));
      continue;
    }
    const { text, digest } = source.value;
    const judged = judge(candidate, text, digest, request);
    findings.push(...judged.findings);
    if (!judged.load || instructions.some((loaded) => loaded.digest === digest)) continue;
    const step = bootStep(`instructions:${candidate.name}`, digest, since, request.tick());
    instructions.push({ name: candidate.name, text, digest, step, follows: candidate.follows });
  }
  return { instructions, findings };
}

/** Which store a file of the workspace belongs to. `instructions` holds the paths that are loaded as such. */
export function storeOf(file: string, digest: Digest, instructions: ReadonlySet<string>, produced: Produced): Store {
  if (produced.digests.has(digest) || file.startsWith(`${folderName}/`)) return "artefact";
  return instructions.has(file) ? "instruction" : "reference";
}

function candidates(layout: Layout, listed: readonly string[]): readonly Candidate[] {
  const own: Candidate = { name: "~/AGENTS.md", file: layout.user.instructions, path: null, follows: "own" };
  const files = [path.join(layout.root, "AGENTS.md"), path.join(layout.root, "CLAUDE.md"), ...listed];
  const rest = [...new Set(files)].map((file): Candidate => {
    const relative = path.relative(layout.root, file);
    const inside = relative !== ".." && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
    const follows = listed.includes(file) ? "own" : "workspace";
    return { name: inside ? relative : file, file, path: inside ? relative : null, follows };
  });
  return [own, ...rest];
}

function judge(
  candidate: Candidate,
  text: string,
  digest: Digest,
  request: InstructionRequest,
): { readonly load: boolean; readonly findings: readonly Finding[] } {
  const { name, path: file } = candidate;
  const { produced, trust } = request;
  if (file !== null && trust.accepts(file, digest)) return { load: true, findings: [] };
  const accept = file === null ? "remove them from the file" : `read it, then accept it with \`daimon config trust ${file}\``;
  const author = produced.digests.get(digest);
  if (author !== undefined || file?.startsWith(`${folderName}${path.sep}`) === true) {
    const who = author === undefined ? "it lies among what processes write" : `process ${author} wrote it`;
    const message = `not loaded: ${who}, and an artefact never becomes an instruction by itself; ${accept}`;
    return { load: false, findings: [finding("store-separation", "error", name, message)] };
  }
  const hidden = [...unseen(text)].filter((found) => found.kind !== "separator");
  const first = hidden.find((found) => found.kind === "bidi" || found.kind === "tag") ?? hidden[0];
  if (first !== undefined) {
    const line = text.slice(0, first.index).split("\n").length;
    const code = `U+${first.codePoint.toString(16).toUpperCase().padStart(4, "0")}`;
    const deceiving = first.kind === "bidi" || first.kind === "tag";
    const what = `${hidden.length} character(s) that a reader does not see, first ${code} (${first.kind})`;
    const message = deceiving ? `not loaded: it holds ${what}; ${accept}` : `it holds ${what}; remove them if nobody meant them`;
    return { load: !deceiving, findings: [finding("BOO-7.5", deceiving ? "error" : "warning", `${name}:${line}`, message)] };
  }
  const editor = file === null ? undefined : produced.paths.get(file);
  if (editor === undefined) return { load: true, findings: [] };
  const message = `process ${editor} wrote an earlier version and it was changed since; check what it left in, then accept it with \`daimon config trust ${file}\``;
  return { load: true, findings: [finding("BOO-7.3", "warning", name, message)] };
}

/** No folder on the way may be a link either, or a listed file could stand for one outside the workspace. */
function readInside(candidate: Candidate, layout: Layout): Result<SourceText, SysError> {
  if (candidate.path !== null) {
    try {
      const folder = fs.realpathSync(path.dirname(candidate.file));
      if (folder !== path.join(fs.realpathSync(layout.root), path.dirname(candidate.path))) {
        return fail(
          "EPERM",
          `${candidate.path} lies behind a linked folder, and boot follows no link; put the file itself in its place`,
        );
      }
    } catch {
      return fail("ENOENT", `${candidate.path} does not exist`);
    }
  }
  return readText(candidate.file, limits.instructionBytesMax);
}

/** `CLAUDE.md -> AGENTS.md` is a common way to serve two tools with one file. */
function linksToSibling(candidate: Candidate, layout: Layout): boolean {
  try {
    const target = path.resolve(path.dirname(candidate.file), fs.readlinkSync(candidate.file));
    return ["AGENTS.md", "CLAUDE.md"].some((name) => target === path.join(layout.root, name) && fs.lstatSync(target).isFile());
  } catch {
    return false;
  }
}

function finding(rule: string, severity: Finding["severity"], where: string, message: string): Finding {
  return { rule, severity, where, message };
}
