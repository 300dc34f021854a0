/**
 * daimon why: what decided on a call, by which rules, on what evidence.
 *   CLI-21.1  For a call: who made it, its arguments in full, the stage that decided, each deciding rule with what it does, scope, file, line and text,
 *             and the label with the documents by others that were in the window at that moment.
 *   CLI-21.2  For a process: the calls that were refused to it and to everything below it.
 *   CLI-21.3  The rules' text is today's; where the policy has changed since, that is said.
 */
import type { CallSpec } from "../abi/call.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Label } from "../abi/label.ts";
import type { Pid } from "../abi/process.ts";
import type { Inspection } from "../boot/inspect.ts";
import { replay } from "../kernel/replay.ts";
import { isObject, type Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { entryOf } from "./entries.ts";
import { subjectOf } from "./drive.ts";
import { printField } from "./field.ts";
import { note, print, printFinding, printJson, type Io } from "./io.ts";
import { argsLine, decidedBy, forPerson, refusalsBy, stageOf, type Decided, type Refusal, type Stage } from "./refusals.ts";
import { neutralise, neutraliseLine } from "./term/neutralise.ts";
import { shownRule, sourceWords, untrustedOf, type Lookup, type ShownRule } from "./waiting.ts";
import { look, procOf, treeOf } from "./workspace.ts";

export async function run(word: string, io: Io): Promise<Result<number, SysError>> {
  const call = /^\d{1,9}\.\d{1,9}\.\d{1,9}$/.test(word);
  if (!call && !/^[1-9]\d{0,8}$/.test(word))
    return fail("EINVAL", `\`${word.slice(0, 64)}\` is no call and no process; a call is PID.STEP.N, as \`daimon log\` shows it`);
  const seen = await look(io);
  if (!seen.ok) return seen;
  const today = await todays(seen.value, io);
  const told = call ? whyCall(seen.value, word, today, io) : whyProcess(seen.value, Number(word), today, io);
  seen.value.close();
  return told;
}

interface Today extends Lookup {
  /** Null where today's policy cannot be loaded. */
  readonly digest: string | null;
}

async function todays({ layout, table }: Inspection, io: Io): Promise<Today> {
  const { preview } = await import("../boot/preview.ts");
  const now = await preview(layout, table);
  const failure = now.ok ? (now.value.policy.ok ? null : now.value.policy.error) : now.error;
  if (failure !== null)
    printFinding(io, { rule: "CLI-21.3", severity: "warning", where: "policy", message: `cannot be shown: ${failure.message}` });
  const policy = now.ok && now.value.policy.ok ? now.value.policy.value : null;
  const specs = new Map<string, CallSpec>(now.ok ? now.value.specs.map((spec) => [spec.name, spec]) : []);
  return { digest: policy?.digest ?? null, spec: (name) => specs.get(name), rule: (id) => policy?.rule(id) };
}

/** What the journal holds of one call. */
interface Found {
  readonly seq: number;
  readonly at: number;
  readonly decided: Decided;
  readonly policy: string | null;
  readonly outcome: string | null;
  readonly person: string | null;
}

interface Explained {
  readonly call: string;
  readonly seq: number;
  readonly at: number;
  readonly name: string;
  readonly args: Json;
  readonly process: {
    readonly pid: Pid;
    readonly name: string;
    readonly cpu: string;
    readonly about: string;
    readonly step: number;
  };
  readonly effect: string;
  readonly decision: "allow" | "ask" | "deny";
  readonly stage: Stage | null;
  readonly error: SysError | null;
  readonly rules: readonly ShownRule[];
  readonly label: Label;
  readonly untrusted: readonly string[];
  readonly policy: { readonly decided: string | null; readonly today: string | null };
  readonly outcome: string | null;
  readonly person: string | null;
}

function whyCall(seen: Inspection, id: string, today: Today, io: Io): Result<number, SysError> {
  const found = findCall(seen, id);
  if (!found.ok) return found;
  const explained = explain(seen, found.value, today);
  if (!explained.ok) return explained;
  if (io.json) printJson(io, explained.value);
  else printCall(explained.value, io);
  return ok(0);
}

function findCall({ log, blobs }: Inspection, id: string): Result<Found, SysError> {
  let found: Found | null = null;
  let policy: string | null = null;
  let asked = false;
  const pid = Number(id.split(".")[0]);
  for (const record of log.read(0)) {
    if (!record.ok) break;
    const entry = entryOf(record.value.text, blobs);
    if (entry.kind === "boot") policy = entry.policy;
    if (!("pid" in entry) || entry.pid !== pid) continue;
    if (found === null) {
      const decided = decidedBy(entry).find((one) => one.call === id);
      if (decided !== undefined) found = { seq: record.value.seq, at: entry.at, decided, policy, outcome: null, person: null };
      continue;
    }
    if (entry.kind === "park") asked = "call" in entry.reason && entry.reason.call === id;
    else if (entry.kind === "answer" && asked) {
      asked = false;
      found = {
        ...found,
        person: `${entry.by} ${entry.allow ? "allowed it" : "refused it"}${entry.text === "" ? "" : `: ${entry.text}`}`,
      };
    } else if (entry.kind === "outcome" && entry.id === id)
      found = { ...found, outcome: entry.error === undefined ? "performed" : `${entry.error.errno} ${forPerson(entry.error)}` };
  }
  return found === null
    ? fail("ENOENT", `the journal has no call ${id}; \`daimon log ${pid}\` lists those of process ${pid}`)
    : ok(found);
}

/** The process as it stood when the trap looked at it. */
function explain({ log, blobs }: Inspection, found: Found, today: Today): Result<Explained, SysError> {
  const before = replay({ log, blobs, until: found.seq - 1, pid: found.decided.pid });
  if (!before.ok) return before;
  const proc = procOf(before.value.table, found.decided.pid);
  if (!proc.ok) return proc;
  const { manifest, cpu, goal, label } = proc.value;
  const { call, pid, step, name, args, intent } = found.decided;
  const spec = today.spec(name);
  return ok({
    call,
    seq: found.seq,
    at: found.at,
    name,
    args,
    process: { pid, name: manifest.name, cpu, about: subjectOf(goal), step },
    effect:
      spec === undefined ? "a call that is not offered today" : `${spec.effect}, ${spec.reversible ? "can" : "cannot"} be undone`,
    decision: intent.verb,
    stage: intent.error === undefined ? null : stageOf(intent.error.errno),
    error: intent.error ?? null,
    rules: intent.rules.map((rule) => shownRule(rule, today)),
    label,
    untrusted: untrustedOf(proc.value),
    policy: { decided: found.policy, today: today.digest },
    outcome: found.outcome,
    person: found.person,
  });
}

const decisions = { allow: ["good", "allowed"], ask: ["warn", "a person was asked"], deny: ["bad", "refused"] } as const;

function printCall(one: Explained, io: Io): void {
  const [tone, word] = decisions[one.decision];
  const about = one.process.about === "" ? "" : `, on ${one.process.about}`;
  io.out.write(`${io.colours.paint("strong", neutraliseLine(`${one.call} ${one.name}`))}: ${io.colours.paint(tone, word)}\n`);
  row("by", `${one.process.name} (pid ${one.process.pid}), step ${one.process.step} on ${one.process.cpu}${about}`, io);
  row("when", `${new Date(one.at).toISOString()}, entry ${one.seq}`, io);
  row("effect", one.effect, io);
  const args = isObject(one.args) ? Object.entries(one.args) : [["arguments", one.args] as const];
  for (const [name, value] of args) argument(name, value, io);
  if (one.error !== null)
    row("refused", `by ${stageWords[one.stage ?? "policy"]}: ${one.error.errno} ${forPerson(one.error)}`, io);
  for (const rule of one.rules) printRule(rule, io);
  if (one.rules.length === 0 && one.stage === "policy") row("rule", "none permits it, and what no rule permits is refused", io);
  row("label", `${one.label.integrity}, ${one.label.confidentiality}: ${sourceWords(one)}`, io);
  if (one.untrusted.length > 3) row("read", one.untrusted.join(", "), io);
  if (one.person !== null) row("person", one.person, io);
  if (one.outcome !== null) row("outcome", one.outcome, io);
  if (one.policy.today !== null && one.policy.decided !== one.policy.today)
    note(io, "the policy has changed since; the rules are shown as they stand today");
}

const stageWords: Readonly<Record<Stage, string>> = {
  schema: "the call's schema",
  capability: "its capabilities",
  policy: "policy",
  budget: "its budget",
  limit: "a limit of the system",
  person: "a person",
};

function printRule(rule: ShownRule, io: Io): void {
  if (rule.text === "") return row("rule", `${rule.id}, which today's policy does not have`, io);
  row(
    rule.does ?? "rule",
    `${rule.scope} policy, ${rule.file}:${rule.line}${rule.reason === null ? "" : `: ${rule.reason}`}`,
    io,
  );
  for (const line of rule.text.trim().split("\n"))
    io.out.write(`            ${io.colours.paint("dim", "│")} ${neutralise(line)}\n`);
}

function argument(name: string, value: unknown, io: Io): void {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const lines = neutralise(text).split("\n");
  // A value that is one line stands beside its name; the bar says in either case that these words are not daimon's.
  const beside = lines.length === 1 && name.length <= 10;
  io.out.write(
    `${io.colours.paint("dim", beside ? neutraliseLine(name).padEnd(12) : neutraliseLine(name))}${beside ? "" : "\n"}`,
  );
  for (const line of lines) io.out.write(`${beside ? "" : " ".repeat(12)}${io.colours.paint("dim", "│")} ${line}\n`);
}

function row(name: string, text: string, io: Io): void {
  printField(io, name, text);
}

function whyProcess({ log, table, blobs }: Inspection, pid: Pid, today: Today, io: Io): Result<number, SysError> {
  const proc = procOf(table, pid);
  if (!proc.ok) return proc;
  const pids = new Set(treeOf(table, pid).map((one) => one.pid));
  const refused: Refusal[] = [];
  for (const record of log.read(0)) {
    if (!record.ok) break;
    const entry = entryOf(record.value.text, blobs);
    if ("pid" in entry && pids.has(entry.pid)) refused.push(...refusalsBy(entry, today));
  }
  if (io.json) printJson(io, { pid, refused });
  else if (refused.length === 0)
    print(io, `nothing was refused to process ${pid} (${proc.value.manifest.name}) or to what it started`);
  else {
    for (const one of refused) {
      io.out.write(`${io.colours.paint("warn", one.call.padEnd(10))}  ${neutraliseLine(`${one.name} ${argsLine(one.args)}`)}\n`);
      row("", `${stageWords[one.stage]}: ${one.error.errno} ${forPerson(one.error)}`, io);
    }
    note(io, `daimon why ${refused[0]?.call ?? "CALL"} tells more of one`);
  }
  return ok(0);
}
