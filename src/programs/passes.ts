/**
 * Passes: run a program's passes in order. Each sees only what it takes; what it gives is a value in the journal, checked before the
 * next one sees it; a claim of done is checked by the program's predicates before anything is delivered.
 *   PRG-8.1  Arguments that do not fit the program's input are refused before anything runs.
 *   PRG-8.2  An agent gets the pass's instructions, and a goal with what the pass takes, in a round how much to keep, and nothing else.
 *   PRG-8.3  What is too large for the window goes through a reducing pass in pieces, round by round; a round that does not shrink it ends with E2BIG.
 *   PRG-8.4  One document's or item's failure is reported in `failures`; when all fail, or a pass without items fails, the program fails with the pass's name.
 *   PRG-8.5  A broken quote gives the pass that made it one more try; a second time it fails the program.
 *   PRG-8.6  Outputs are written, then the predicates are checked, then they are delivered; a predicate that does not hold delivers nothing.
 *   PRG-8.7  An output that is already as it should be is delivered; one that was never made is a failure with its name.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Pass, Predicate, Program } from "../abi/program.ts";
import type { Body, Sys } from "../abi/sys.ts";
import { unreachable } from "../lib/assert.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { plural } from "../lib/plural.ts";
import { done, ok, type Result } from "../lib/result.ts";
import type { Check, Compile } from "../lib/schema.ts";
import { noCarry, readBlocks, sentencesOf, type Block } from "../lib/text-blocks.ts";
import { factKind, hasVerb, isInjection, isQuotable } from "../lib/text-facts.ts";
import { printable } from "../lib/text-quote.ts";
import { conflicts, type Fact } from "../lib/text-rank.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { runJobs, type Job } from "./agents.ts";
import { listDocuments, readDocument, readLines, takeInventory, type Listing } from "./documents.ts";
import { auditCitations, auditFile, auditValue, holds, type Shelf } from "./links.ts";
import { inputTokensMax, readPlanOf, roomsOf, type Rooms } from "./room.ts";
import { renderTemplate } from "./template.ts";
import { citedIn, pick } from "./values.ts";

/** Live while the program runs; a body that runs again builds the same. */
interface Run {
  readonly sys: Sys;
  readonly program: Program;
  readonly compile: Compile;
  readonly values: Map<string, Json>;
  /** The jobs behind each pass's value, for mending. */
  readonly jobs: Map<string, { readonly jobs: readonly Job[]; outcomes: readonly Json[] }>;
  readonly failures: { pass: string; item: string; why: string; path?: string }[];
  rooms: Rooms;
  agents: number;
}

export function runPasses(program: Program): Body {
  return async (sys) => {
    const { schemaCompiler } = await import("../lib/schema.ts");
    const run: Run = {
      sys,
      program,
      compile: schemaCompiler(),
      values: new Map(),
      jobs: new Map(),
      failures: [],
      rooms: new Map(),
      agents: 0,
    };
    const begun = await begin(run);
    if (!begun.ok) return begun;
    for (const pass of program.passes) {
      run.values.set(
        "failures",
        run.failures.map((failure) => ({ ...failure })),
      );
      const value = await runPass(run, pass);
      if (!value.ok) return value;
      run.values.set(pass.name, value.value);
    }
    const delivered = await deliver(run);
    return delivered.ok ? ok(resultOf(run)) : delivered;
  };
}

async function begin(run: Run): Promise<Result<void, SysError>> {
  const { sys, program, values } = run;
  const input: JsonObject = isObject(sys.goal) ? sys.goal : {};
  const check = checkOf(run, program.input);
  if (!check.ok) return check;
  const misfit = check.value(input);
  if (misfit !== null)
    return fail("EINVAL", `${program.name} cannot run with these arguments: ${misfit}; see "daimon run ${program.name} --help"`);
  for (const [name, value] of Object.entries(input)) values.set(name, value);
  values.set("input", input);
  const listing = await list(run, input);
  if (!listing.ok) return listing;
  const rooms = await roomsOf(sys, program);
  if (!rooms.ok) return rooms;
  run.rooms = rooms.value;
  if (listing.value === null) return done;
  const inventory = await takeInventory(sys, listing.value, readPlanOf(program, rooms.value));
  if (!inventory.ok) return inventory;
  values.set(
    "documents",
    inventory.value.parts.map((part) => ({ ...part })),
  );
  values.set(
    "sources",
    inventory.value.documents.map((document) => ({ ...document, size: plural(document.lines, "line") })),
  );
  values.set(
    "skipped",
    inventory.value.skipped.map((file) => ({ ...file })),
  );
  return done;
}

/** What lies in the folder that the program reads; null for a program that reads none. */
async function list({ sys, program }: Run, input: JsonObject): Promise<Result<Listing | null, SysError>> {
  if (program.documents === null) return ok(null);
  const root = input[program.documents];
  if (typeof root === "string") return await listDocuments(sys, root);
  return fail("EINVAL", `${program.name} needs ${program.documents}, the file or folder to read`);
}

function checkOf(run: Run, schema: JsonObject): Result<Check, SysError> {
  const compiled = run.compile(schema);
  return compiled.ok ? compiled : fail("ENOEXEC", `a schema of ${run.program.name} does not compile: ${compiled.error}`);
}

async function runPass(run: Run, pass: Pass): Promise<Result<Json, SysError>> {
  switch (pass.by) {
    case "agent":
      return pass.each === null ? await runWhole(run, pass) : await runEach(run, pass, pass.each);
    case "conflicts":
      return await runConflicts(run, pass);
    case "links":
      return await runAudit(run, pass);
    case "publish":
      return await runPublish(run);
    default:
      return unreachable(pass.by);
  }
}

/** What a pass takes, under the last part of each name. */
function inputOf(run: Run, pass: Pass): JsonObject {
  const input: Record<string, Json> = {};
  for (const path of pass.takes) {
    const value = pick(run.values, path);
    if (value !== undefined) input[path.split(".").at(-1) ?? path] = value;
  }
  return input;
}

function jobsFor(run: Run, pass: Pass, inputs: readonly JsonObject[]): Result<readonly Job[], SysError> {
  run.agents += inputs.length;
  if (pass.output === null) return ok(inputs.map((input) => ({ pass, input, check: null, retry: null })));
  const check = checkOf(run, pass.output);
  return check.ok ? ok(inputs.map((input) => ({ pass, input, check: check.value, retry: null }))) : check;
}

async function runEach(run: Run, pass: Pass, each: NonNullable<Pass["each"]>): Promise<Result<Json, SysError>> {
  const items = pick(run.values, each.of);
  if (!Array.isArray(items) || items.length === 0)
    return fail("EINVAL", `pass ${pass.name} has nothing to do: ${each.of} is empty`);
  const common = inputOf(run, pass);
  const jobs = jobsFor(
    run,
    pass,
    (items as readonly Json[]).map((item) => ({ ...common, [each.as]: item })),
  );
  if (!jobs.ok) return jobs;
  const outcomes = await runJobs(run.sys, run.program.name, jobs.value);
  const kept: { job: Job; value: Json }[] = [];
  for (const [index, job] of jobs.value.entries()) {
    const outcome = outcomes[index];
    if (outcome?.ok === true) kept.push({ job, value: outcome.value });
    else if (outcome !== undefined) run.failures.push(failureOf(pass, job.input[each.as] ?? null, outcome.error));
  }
  const first = outcomes.find((outcome) => !outcome.ok);
  if (kept.length === 0 && first !== undefined && !first.ok) return first;
  run.jobs.set(pass.name, { jobs: kept.map(({ job }) => job), outcomes: kept.map(({ value }) => value) });
  return ok(kept.map(({ value }) => value));
}

function failureOf(pass: Pass, item: Json, error: SysError): Run["failures"][number] {
  const path = isObject(item) && typeof item["path"] === "string" ? item["path"] : null;
  const heading = isObject(item) && typeof item["heading"] === "string" ? item["heading"] : "";
  const why = `${linesIn(item)}${error.errno}: ${error.message}`;
  return { pass: pass.name, item: path ?? heading, why, ...(path === null ? {} : { path }) };
}

/** `lines 40 to 80, ` of a part of a document; nothing of a whole one. */
function linesIn(item: Json): string {
  if (!isObject(item)) return "";
  const { from, to, of } = item;
  return typeof from === "number" && typeof to === "number" && (from > 1 || to !== of) ? `lines ${from} to ${to}, ` : "";
}

async function runWhole(run: Run, pass: Pass): Promise<Result<Json, SysError>> {
  const input = inputOf(run, pass);
  const fitted = pass.reduce === null ? ok(input) : await fit(run, pass, pass.reduce, input);
  if (!fitted.ok) return fitted;
  const jobs = jobsFor(run, pass, [fitted.value]);
  if (!jobs.ok) return jobs;
  const [outcome] = await runJobs(run.sys, run.program.name, jobs.value);
  return outcome ?? fail("EPROTO", `pass ${pass.name} did not run`);
}

const roundsMax = 12;

/** Shrink the first thing taken until it fits: each piece goes through the pass, which is asked to `keep` half; what it keeps is the next round's list. */
async function fit(run: Run, pass: Pass, reduce: string, input: JsonObject): Promise<Result<JsonObject, SysError>> {
  const name = pass.takes[0]?.split(".").at(-1) ?? "";
  const rest = estimateTokens(JSON.stringify({ ...input, [name]: [] }));
  const room = inputTokensMax((run.rooms.get(pass.name) ?? 0) - rest);
  let list = input[name];
  for (let round = 0; Array.isArray(list) && round < roundsMax; round += 1) {
    const before = estimateTokens(JSON.stringify(list));
    if (before <= room) return ok({ ...input, [name]: list });
    const jobs = jobsFor(
      run,
      pass,
      piecesOf(list as readonly Json[], room).map((piece) => ({ ...input, [name]: piece, keep: Math.ceil(piece.length / 2) })),
    );
    if (!jobs.ok) return jobs;
    const outcomes = await runJobs(run.sys, run.program.name, jobs.value);
    const failed = outcomes.find((outcome) => !outcome.ok);
    if (failed !== undefined && !failed.ok) return failed;
    list = outcomes.flatMap((outcome) => (outcome.ok ? listOf(pick(new Map([["it", outcome.value]]), `it.${reduce}`)) : []));
    if (estimateTokens(JSON.stringify(list)) >= before) break;
  }
  if (!Array.isArray(list)) return ok(input);
  return fail(
    "E2BIG",
    `pass ${pass.name} cannot reduce ${name} to the ${room} tokens that fit its window; give the pass a larger windowTokens`,
  );
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** Neighbours stay together, and no piece is larger than the room unless a single item is. */
function piecesOf(list: readonly Json[], room: number): readonly (readonly Json[])[] {
  const pieces: Json[][] = [[]];
  let tokens = 0;
  for (const item of list) {
    const cost = estimateTokens(JSON.stringify(item)) + 1;
    if (tokens + cost > room && tokens > 0) {
      pieces.push([]);
      tokens = 0;
    }
    tokens += cost;
    pieces.at(-1)?.push(item);
  }
  return pieces;
}

const conflictsMax = 6;

/** Compares what the documents themselves say, not what an agent chose of it. */
async function runConflicts(run: Run, pass: Pass): Promise<Result<Json, SysError>> {
  const facts: Fact[] = [];
  for (const path of pass.takes.flatMap((taken) => pathsIn(pick(run.values, taken)))) {
    const lines = await readDocument(run.sys, path);
    if (!lines.ok) continue;
    for (const block of readBlocks(path, lines.value.lines, noCarry, true).blocks) {
      if (!isInjection(block.text)) facts.push(...factsOf(block, path));
    }
  }
  return ok(conflicts(facts, conflictsMax).map(({ about, left, right }) => ({ about, left: { ...left }, right: { ...right } })));
}

function factsOf(block: Block, path: string): Fact[] {
  return sentencesOf(block)
    .filter((sentence) => isQuotable(sentence) && hasVerb(sentence.text) && factKind(sentence) !== "action")
    .map(({ text, line, to, section }) => ({ text: printable(text), path, line, to, section, kind: "statement" }));
}

function pathsIn(value: Json | undefined): string[] {
  return listOf(value).flatMap((item) => (isObject(item) && typeof item["path"] === "string" ? [item["path"]] : []));
}

async function runAudit(run: Run, pass: Pass): Promise<Result<Json, SysError>> {
  const shelf: Shelf = new Map();
  const look = async (): Promise<Awaited<ReturnType<typeof auditCitations>>> =>
    await auditCitations(
      run.sys,
      pass.takes.flatMap((path) => citedIn(pick(run.values, path))),
      shelf,
    );
  let audit = await look();
  if (audit.broken.length > 0 && pass.mends !== null) {
    await mend(run, pass.mends, audit.broken);
    audit = await look();
  }
  const [first] = audit.broken;
  if (first === undefined) return ok(auditValue(audit));
  return fail(
    "EINVAL",
    `pass ${pass.name} found ${audit.broken.length} of ${audit.checked} quotes broken: ${first.why}; nothing is published`,
  );
}

/** The agents whose value holds a broken quote try once more, and are told which. */
async function mend(run: Run, name: string, broken: Awaited<ReturnType<typeof auditCitations>>["broken"]): Promise<void> {
  const made = run.jobs.get(name);
  if (made === undefined) return;
  const wrong = made.jobs.flatMap((job, index) => {
    const reasons = broken.filter((item) => holds(made.outcomes[index] ?? null, [item])).map((item) => item.why);
    return reasons.length === 0 ? [] : [{ index, job: { ...job, retry: reasons.join("; ") } }];
  });
  const outcomes = await runJobs(
    run.sys,
    run.program.name,
    wrong.map(({ job }) => job),
  );
  made.outcomes = made.outcomes.map((value, index) => {
    const at = wrong.findIndex((item) => item.index === index);
    const outcome = at < 0 ? undefined : outcomes[at];
    return outcome?.ok === true ? outcome.value : value;
  });
  run.agents += wrong.length;
  run.values.set(name, [...made.outcomes]);
}

async function runPublish(run: Run): Promise<Result<Json, SysError>> {
  const written: Json[] = [];
  for (const path of run.program.outputs) {
    const template = run.program.templates[path];
    if (template === undefined) return fail("ENOEXEC", `output ${path} has no template; add a section "# template: ${path}"`);
    const text = renderTemplate(template, run.values);
    if (!text.ok) return text;
    const wrote = await run.sys.call("fs.write", { path, text: text.value });
    if (!wrote.ok) return wrote;
    written.push({ path, bytes: Buffer.byteLength(text.value) });
  }
  return ok(written);
}

async function deliver(run: Run): Promise<Result<void, SysError>> {
  for (const predicate of run.program.done) {
    const held = await checkPredicate(run, predicate);
    if (!held.ok) return held;
  }
  const paths = run.program.outputs;
  if (paths.length === 0) return done;
  const committed = await run.sys.call("fs.commit", { paths: [...paths] });
  if (committed.ok) return done;
  return committed.error.errno === "ENOENT" ? await deliverEach(run, paths) : committed;
}

/** Of some outputs nothing has changed: they are as they should be already, and the others are delivered. */
async function deliverEach(run: Run, paths: readonly string[]): Promise<Result<void, SysError>> {
  for (const path of paths) {
    const committed = await run.sys.call("fs.commit", { paths: [path] });
    if (committed.ok) continue;
    if (committed.error.errno !== "ENOENT") return committed;
    const there = await readLines(run.sys, path, 1, 1);
    if (!there.ok) return fail(there.error.errno, `${run.program.name} did not make its output ${path}: ${there.error.message}`);
  }
  return done;
}

async function checkPredicate(run: Run, predicate: Predicate): Promise<Result<void, SysError>> {
  const { name } = run.program;
  if (predicate.check === "schema") {
    const check = checkOf(run, predicate.schema);
    if (!check.ok) return check;
    const misfit = check.value(run.values.get(predicate.pass) ?? null);
    return misfit === null
      ? done
      : fail("EINVAL", `${name} is not done: what pass ${predicate.pass} gave does not fit: ${misfit}`);
  }
  const lines = await readDocument(run.sys, predicate.path);
  if (!lines.ok) return fail(lines.error.errno, `${name} is not done: ${predicate.path} cannot be read: ${lines.error.message}`);
  const texts = lines.value.lines.map((line) => line.text);
  if (texts.every((text) => text.trim() === "")) return fail("EINVAL", `${name} is not done: ${predicate.path} is empty`);
  if (predicate.check === "file") return done;
  const known = new Set(
    listOf(run.values.get("skipped")).flatMap((file) =>
      isObject(file) && typeof file["path"] === "string" ? [file["path"]] : [],
    ),
  );
  const { wrong } = await auditFile(run.sys, texts, known, new Map());
  const [first] = wrong;
  if (first === undefined) return done;
  return fail(
    "EINVAL",
    `${name} is not done: ${predicate.path} has ${plural(wrong.length, "broken link")}: ${first}; nothing is delivered`,
  );
}

function resultOf(run: Run): Json {
  const { program, values } = run;
  const last = program.passes.at(-1);
  if (!program.passes.some((pass) => pass.by === "publish")) return values.get(last?.name ?? "") ?? null;
  const audit = program.passes.find((pass) => pass.by === "links");
  return {
    files: [...program.outputs],
    documents: listOf(values.get("sources")).length,
    agents: run.agents,
    ...(audit === undefined ? {} : { audit: values.get(audit.name) ?? null }),
    skipped: values.get("skipped") ?? [],
    failures: run.failures.map((failure) => ({ ...failure })),
  };
}
