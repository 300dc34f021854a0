/**
 * Replay: a model that answers from a recording, step by step.
 *   MOD-11.1  Each recorded step is answered once, with exactly what was recorded.
 *   MOD-11.2  A step that was not recorded, was answered already, or asks something else than it did, is EPROTO and named.
 */
import { fail } from "../../abi/errno.ts";
import type { ModelDriver, ModelReply, ModelRequest } from "../../abi/model.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { canonical } from "../../lib/json.ts";
import { ok } from "../../lib/result.ts";
import { showReply } from "./scripted.ts";

export interface Recorded {
  /** The request's idempotency key: `PID.STEP`. */
  readonly step: string;
  /** `requestDigest` of what was asked; null does not check it. */
  readonly request: Digest | null;
  readonly reply: ModelReply;
}

export interface ReplayDriver extends ModelDriver {
  /** Steps nobody has asked for yet, in recorded order. */
  remaining(): readonly string[];
}

export function replayDriver(recording: readonly Recorded[], windowTokens = 200_000): ReplayDriver {
  const steps = new Map(recording.map((entry) => [entry.step, entry]));
  const answered = new Set<string>();
  return {
    name: "replay",
    remote: false,
    windowTokens: () => windowTokens,
    think(request, io) {
      const step = request.idempotencyKey;
      if (io.signal?.aborted === true) return fail("ECANCELED", `step ${step} was cancelled`);
      const entry = steps.get(step);
      if (entry === undefined)
        return fail(
          "EPROTO",
          `step ${step} is not in the recording, which has ${steps.size} steps; the run has taken another way`,
        );
      if (answered.has(step)) return fail("EPROTO", `step ${step} was answered already; the run asks twice`);
      if (entry.request !== null && entry.request !== requestDigest(request)) {
        return fail(
          "EPROTO",
          `step ${step} asks something else than the recording did; the run has taken another way before this step`,
        );
      }
      answered.add(step);
      showReply(entry.reply, io.onDelta);
      return ok(entry.reply);
    },
    close: () => undefined,
    remaining: () => recording.map((entry) => entry.step).filter((step) => !answered.has(step)),
  };
}

/** What of a request decides its reply: not the token counts, which are ours. */
export function requestDigest(request: ModelRequest): Digest {
  const { model, system, tools, outputTokensMax, output } = request;
  const messages = request.messages.map(({ role, parts }) => ({ role, parts }));
  return sha256(canonical({ model, system, tools, outputTokensMax, output, messages }));
}
