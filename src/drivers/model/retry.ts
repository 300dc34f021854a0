/**
 * Retry: send a failed request again where that can help, within a budget.
 *   MOD-3.1  Only a transient failure is retried, at most as often as it allows; the answer is then its error and how often it was tried.
 *   MOD-3.2  The wait grows exponentially with full jitter up to a bound, and is never shorter than the provider asked for;
 *            a longer wait than the bound is told at once instead of slept through.
 *   MOD-3.3  All requests of a driver draw retries from one bucket, filled by good replies, so a dying provider is not hammered.
 *   MOD-3.4  A cancelled request ends at once, also while it waits.
 * Source of full jitter and the bucket: AWS Architecture Blog, "Exponential Backoff And Jitter"; AWS SDK standard retry mode.
 */
import type { Clock } from "../../abi/clock.ts";
import { sysError, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import { err, type Result } from "../../lib/result.ts";

export interface Failure {
  readonly error: SysError;
  /** How often the request may be sent again; 0 where it cannot help. */
  readonly retriesMax: number;
  readonly retryAfterMs: number | null;
}

export interface Retrier {
  run<T>(attempt: (retry: number) => Promise<Result<T, Failure>>, signal: AbortSignal | null): Promise<Result<T, SysError>>;
}

export function retrier(clock: Clock, random: () => number): Retrier {
  let tokens: number = limits.modelRetryTokens;

  return {
    async run(attempt, signal) {
      for (let retry = 0; ; retry += 1) {
        const result = await attempt(retry);
        if (result.ok) {
          tokens = Math.min(limits.modelRetryTokens, tokens + limits.modelRetryTokensPerReply);
          return result;
        }
        const { error, retriesMax, retryAfterMs } = result.error;
        if (retry >= retriesMax || (retryAfterMs ?? 0) > limits.modelRetryAfterMsMax) return err(tried(error, retry));
        if (tokens < 1) return err(tried(error, retry, "and this provider failed too often lately to try again"));
        tokens -= 1;
        const ceiling = Math.min(limits.modelBackoffMsMax, limits.modelBackoffMsBase * 2 ** retry);
        await sleep(clock, Math.max(retryAfterMs ?? 0, random() * ceiling), signal);
        if (signal?.aborted === true)
          return err(sysError("ECANCELED", "the request was cancelled while it waited to be sent again"));
      }
    },
  };
}

function tried(error: SysError, retries: number, reason = ""): SysError {
  const notes = [retries > 0 ? `tried ${retries + 1} times` : "", reason].filter((note) => note !== "");
  return notes.length === 0 ? error : { ...error, message: `${error.message} (${notes.join(", ")})` };
}

function sleep(clock: Clock, ms: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener("abort", end);
    if (signal?.aborted === true) end();
  });
}
