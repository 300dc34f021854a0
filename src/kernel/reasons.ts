/** Reasons: the words and entries for what a person is asked and answers. */
import type { CallId } from "../abi/call.ts";
import type { OutcomeEntry } from "../abi/entry.ts";
import { fail, sysError, type SysError } from "../abi/errno.ts";
import type { ParkReason } from "../abi/process.ts";
import type { Result } from "../lib/result.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { label } from "../security/labels.ts";
import type { Proc } from "./table.ts";

/** A question's answer is the outcome of the call that asked it, in the user's own words. */
export function answered(
  proc: Proc,
  id: CallId,
  answer: { readonly allow: boolean; readonly text: string },
  at: number,
): OutcomeEntry {
  const value = answer.allow ? answer.text : `(no answer${answer.text === "" ? "" : `: ${answer.text}`})`;
  const user = label("user", "workspace");
  return { kind: "outcome", at, pid: proc.pid, id, value, tokens: estimateTokens(value), label: user, source: "user" };
}

export function programMissing(proc: Proc): ParkReason {
  const message = `the program of ${proc.manifest.name} is not there as it was when it started`;
  return { type: "degraded", error: sysError("ENOEXEC", message), question: `${message}. Put it back, and go on?` };
}

/** How a process ends to which a person said no, or null where a no is the answer to one call alone. */
export function refusedToGoOn({ type }: ParkReason, text: string): SysError | null {
  if (type !== "budget" && type !== "degraded" && type !== "stopped") return null;
  return sysError(type === "budget" ? "EDQUOT" : "ECANCELED", text || "a person ended it");
}

/** What was asked then is over. Whoever answers has not seen what is asked now. */
export function superseded({ pid, parks }: Proc, park: number): Result<never, SysError> {
  return fail(
    "ESTALE",
    `this answers question ${pid}:${park}, and process ${pid} waits on ${pid}:${parks} now; look at that with "daimon approve", then answer it`,
  );
}
