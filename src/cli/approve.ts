/**
 * daimon approve: what waits for a person, and the person's answer.
 *   CLI-10.1  Without ID everything that waits is listed with question, call, arguments in full, origin, rule and risk.
 *   CLI-10.2  With ID the answer goes to the kernel that runs; where none does one is started, and goes on until the process ends or waits again.
 *   CLI-10.3  --yes alone does not raise a spent budget, and a question needs --text: EINVAL says what is missing.
 *   CLI-10.4  A number that names nothing that waits is ENOENT, and a question that is over ESTALE.
 *   CLI-10.5  --yes, --no, --text and --raise answer a question by its own number, PID:N; a process's or a call's number only shows and asks.
 */
import { fail, type SysError } from "../abi/errno.ts";
import type { Limits } from "../abi/budget.ts";
import type { Pid } from "../abi/process.ts";
import { askKernel } from "../boot/control.ts";
import { reviewPlan } from "../boot/workspace-files.ts";
import { ok, type Result } from "../lib/result.ts";
import { answerAll, answerAtKeyboard, barred, parseRaise, type Said } from "./answer.ts";
import type { approveOptions } from "./commands.ts";
import { drive } from "./drive.ts";
import { interrupts, unless } from "./interrupt.ts";
import { isInteractive, note, print, printJson, type Io } from "./io.ts";
import { printReport, reportOf } from "./report.ts";
import type { Input } from "./term/args.ts";
import { openKeyboard } from "./term/keyboard.ts";
import { columnsOf } from "./term/screen.ts";
import { renderApproval } from "./term/approval.ts";
import { answerHint, approvalRequest, sourceWords, waitingOf, type Lookup, type PlanLookup, type Waiting } from "./waiting.ts";
import { isRunning, look, personOf, withMachine } from "./workspace.ts";

type Options = Input<typeof approveOptions>["options"];

export async function run(input: Input<typeof approveOptions>, io: Io): Promise<Result<number, SysError>> {
  const list = await waitingHere(io);
  if (!list.ok) return list;
  const { waiting, lookup, socket, rootOf } = list.value;
  const [id] = input.positionals;
  if (id === undefined) {
    if (input.options.yes || input.options.no || input.options.text !== undefined)
      return fail("EINVAL", "name what is answered: `daimon approve ID`; without it this command lists what waits");
    printList(waiting, lookup, io);
    return ok(0);
  }
  const found = find(waiting, id);
  if (!found.ok) return found;
  const chosen = found.value;
  const answer = answerOf(chosen, id, input.options, io);
  if (!answer.ok) return answer;
  const { budget } = chosen;
  const others = waiting.filter(
    (one) => one !== chosen && budget !== null && one.budget?.limit === budget.limit && one.budget.group === budget.group,
  );
  if (await isRunning({ socket })) return await tell(chosen, others, answer.value, socket, io);
  return await answerAlone(chosen, rootOf(chosen.pid), answer.value, io);
}

function find(waiting: readonly Waiting[], id: string): Result<Waiting, SysError> {
  const chosen = waiting.find((one) => one.id === id || String(one.pid) === id || one.call?.id === id);
  if (chosen !== undefined) return ok(chosen);
  const other = waiting.find((one) => id.startsWith(`${one.pid}:`));
  if (other === undefined || !/^\d+:\d+$/.test(id))
    return fail("ENOENT", `nothing that waits is called \`${id.slice(0, 64)}\`; \`daimon approve\` lists what does`);
  return fail(
    "ESTALE",
    `question ${id.slice(0, 64)} is over, and process ${other.pid} waits on ${other.id} now; look at it with \`daimon approve\`, then answer that`,
  );
}

interface Here {
  readonly waiting: readonly Waiting[];
  readonly lookup: Lookup;
  readonly socket: string;
  rootOf(pid: Pid): Pid;
}

async function waitingHere(io: Io): Promise<Result<Here, SysError>> {
  const seen = await look(io);
  if (!seen.ok) return seen;
  const { layout, table, blobs, close } = seen.value;
  close();
  const { preview } = await import("../boot/preview.ts");
  const now = await preview(layout, table);
  const specs = new Map(now.ok ? now.value.specs.map((spec) => [spec.name, spec]) : []);
  const policy = now.ok && now.value.policy.ok ? now.value.policy.value : null;
  const lookup: PlanLookup = {
    spec: (name) => specs.get(name),
    rule: (rule) => policy?.rule(rule),
    review: (frozen) => reviewPlan(frozen, blobs, "bounded"),
  };
  const waiting = [...table.procs.values()].flatMap((proc) => waitingOf(proc, lookup) ?? []);
  const rootOf = (pid: Pid): Pid => {
    const parent = table.procs.get(pid)?.parent ?? 0;
    return table.procs.has(parent) ? rootOf(parent) : pid;
  };
  return ok({ waiting, lookup, socket: layout.socket, rootOf });
}

/** Null: the person is asked at the keyboard. */
function answerOf(waiting: Waiting, id: string, options: Options, io: Io): Result<Said | null, SysError> {
  if (options.yes && options.no) return fail("EINVAL", "--yes and --no cannot both be meant; give one of them");
  const raise = parseRaise(options.raise);
  if (!raise.ok) return raise;
  const raised = options.raise.length > 0;
  const text = options.text ?? "";
  const said = options.yes || options.no || raised || text !== "";
  if (said && id !== waiting.id)
    return fail(
      "EINVAL",
      `say which question of process ${waiting.pid} you answer: \`daimon approve\` shows it with its number, like \`1:2\``,
    );
  if (options.no) return ok({ allow: false, text, raise: null });
  const changes = waiting.call?.changes ?? null;
  if (said && changes !== null && !changes.ok) return changes;
  if (!said) {
    if (isInteractive(io)) return ok(null);
    return fail(
      "EAGAIN",
      `process ${waiting.pid} waits for an answer and there is no terminal; answer with ${answerHint(waiting)}`,
    );
  }
  if (waiting.type === "question" && text === "") return fail("EINVAL", "a question needs words; answer it with --text");
  if (waiting.budget !== null && raise.value[waiting.budget.limit as keyof Limits] === undefined)
    return fail("EINVAL", `the spent limit has to be raised; add --raise ${waiting.budget.limit}=VALUE, or refuse with --no`);
  return ok({ allow: true, text, raise: raised ? raise.value : null });
}

/** To the kernel in the other terminal. */
async function tell(
  waiting: Waiting,
  others: readonly Waiting[],
  answer: Said | null,
  socket: string,
  io: Io,
): Promise<Result<number, SysError>> {
  if (answer === null)
    return fail("EBUSY", `process ${waiting.pid} runs in another terminal; answer it there, or here with ${answerHint(waiting)}`);
  for (const { pid, park } of [waiting, ...(answer.raise === null ? [] : others)]) {
    const told = await askKernel(socket, { op: "answer", pid, answer: { ...answer, park, by: personOf(io) } });
    if (!told.ok && pid === waiting.pid) return told;
  }
  if (io.json) printJson(io, { pid: waiting.pid, allow: answer.allow, answered: true });
  else print(io, `process ${waiting.pid}: ${answer.allow ? "allowed" : "refused"}; its kernel goes on`);
  return ok(0);
}

async function answerAlone(waiting: Waiting, root: Pid, answer: Said | null, io: Io): Promise<Result<number, SysError>> {
  const interrupt = interrupts(io.host);
  const done = await withMachine(io, { processes: "resume" }, async (machine) => {
    const putOff: Pid[] = [];
    if (answer === null) {
      const keyboard = openKeyboard(io.input);
      const said = await unless(interrupt, answerAtKeyboard(machine, waiting.pid, keyboard, io));
      keyboard.close();
      if (said !== "answered") putOff.push(waiting.pid);
    } else {
      const given = answerAll(machine, waiting, { ...answer, by: personOf(io) });
      if (!given.ok) return given;
    }
    if (putOff.length === 0) note(io, `process ${root} goes on`);
    const driven = await drive(machine, [root], interrupt, io, putOff);
    return ok(reportOf(machine, root, driven, { resumed: true }));
  });
  interrupt.close();
  return done.ok ? ok(printReport(done.value, interrupt.exitCode(), io)) : done;
}

function printList(waiting: readonly Waiting[], lookup: Lookup, io: Io): void {
  if (io.json) return printJson(io, { waiting });
  if (waiting.length === 0) return print(io, "nothing waits for a person");
  for (const [index, one] of waiting.entries()) {
    if (index > 0) io.out.write("\n");
    printOne(one, lookup, io);
  }
}

function printOne(waiting: Waiting, lookup: Lookup, io: Io): void {
  const tone = waiting.risk === "high" ? "bad" : waiting.risk === "medium" ? "warn" : "good";
  io.out.write(
    `${io.colours.paint("strong", `question ${waiting.id}`)} · ${waiting.type} · risk ${io.colours.paint(tone, waiting.risk)}\n`,
  );
  print(io, barred(waiting.question));
  if (waiting.call !== null && waiting.type !== "question") {
    const request = approvalRequest(waiting, waiting.call, lookup.spec(waiting.call.name));
    io.out.write(`${renderApproval(request, columnsOf(io.out) ?? 1_000, io.colours).join("\n")}\n`);
  } else print(io, `from ${sourceWords(waiting)}`);
  print(io, `answer: ${answerHint(waiting)}`);
}
