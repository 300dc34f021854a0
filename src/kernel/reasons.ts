/** Reasons: the words and entries for what a person is asked and answers. */
import type { CallId } from "../abi/call.ts";
import type { OutcomeEntry } from "../abi/entry.ts";
import { sysError } from "../abi/errno.ts";
import type { ParkReason } from "../abi/process.ts";
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
