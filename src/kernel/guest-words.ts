/** Guest words: what a guest said, and what it and a person are told of it. */
import { sysError, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import type { ModelReply } from "../abi/model.ts";
import type { ParkReason } from "../abi/process.ts";
import { ok, type Result } from "../lib/result.ts";
import type { PendingCall, Proc } from "./table.ts";

export function stalled({ manifest }: Proc): ParkReason {
  const error = sysError("EDEADLK", `${manifest.name} has seen and said the same few things for ${limits.stallRounds} requests`);
  return { type: "degraded", error, question: `${error.message}. Let it go on?` };
}

/** Without the ids, which are new each time. */
export function saidIn({ parts }: ModelReply): string {
  return parts
    .map((part) => (part.type === "text" ? part.text : part.type === "call" ? `${part.name} ${JSON.stringify(part.args)}` : ""))
    .join("\n");
}

/** A person said no, or answered what the call asked. */
export function answered(call: PendingCall): Result<{ readonly value: string; readonly text: string }, SysError> {
  const { result } = call;
  if (result?.ok === true) return ok({ value: result.text, text: result.text });
  return { ok: false, error: refusal(call) };
}

/** The table keeps the words that a model reads. */
export function refusal({ result }: PendingCall): SysError {
  return sysError("EPERM", (result?.text ?? "a person refused this call").replace(/^EPERM: /, ""));
}
