import fc from "fast-check";
import { expect, test } from "vitest";
import { sysError } from "../../../src/abi/errno.ts";
import { limits } from "../../../src/abi/limits.ts";
import { FakeClock } from "../../../src/drivers/clock/fake.ts";
import { retrier, type Failure, type Retrier } from "../../../src/drivers/model/retry.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";

const failure = (retriesMax: number, retryAfterMs: number | null = null): Failure => ({
  error: sysError("EIO", "it failed"),
  retriesMax,
  retryAfterMs,
});

/** Runs attempts under a fake clock that is moved on whenever everything waits; gives when each attempt started. */
async function drive(
  clock: FakeClock,
  retry: Retrier,
  outcomes: readonly Result<string, Failure>[],
  stepMs = 10,
): Promise<{ result: Awaited<ReturnType<Retrier["run"]>>; at: number[] }> {
  const at: number[] = [];
  let settled = false;
  const running = retry.run((n) => {
    at.push(clock.now());
    return Promise.resolve(outcomes[n] ?? ok("more than planned"));
  }, null);
  void running.then(() => (settled = true));
  while (!settled) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!settled) clock.advance(stepMs);
  }
  return { result: await running, at };
}

test("MOD-3.1 a failure that no retry can help is given back at once, as it is", async () => {
  const { result, at } = await drive(
    new FakeClock(0),
    retrier(new FakeClock(0), () => 0),
    [err(failure(0))],
  );
  expect(result).toEqual(err(sysError("EIO", "it failed")));
  expect(at).toHaveLength(1);
});

test("MOD-3.1 a transient failure is retried as often as it allows, and the error says how often", async () => {
  const clock = new FakeClock(0);
  const { result, at } = await drive(
    clock,
    retrier(clock, () => 0.5),
    Array.from({ length: 9 }, () => err(failure(3))),
  );
  expect(at).toHaveLength(4);
  expect(result).toMatchObject({ ok: false, error: { errno: "EIO", message: "it failed (tried 4 times)" } });
});

test("MOD-3.1 a retry that works gives its answer", async () => {
  const clock = new FakeClock(0);
  const { result } = await drive(
    clock,
    retrier(clock, () => 0.5),
    [err(failure(4)), err(failure(4)), ok("here")],
  );
  expect(result).toEqual(ok("here"));
});

test("MOD-3.2 waits grow, stay under their bound, and are not shorter than asked", async () => {
  const clock = new FakeClock(0);
  const { at } = await drive(
    clock,
    retrier(clock, () => 1),
    Array.from({ length: 9 }, () => err(failure(8))),
    1,
  );
  const waits = at.slice(1).map((time, n) => time - (at[n] ?? 0));
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  const asked = new FakeClock(0);
  const second = await drive(
    asked,
    retrier(asked, () => 0),
    [err(failure(1, 7_000)), ok("here")],
    1,
  );
  expect(second.at).toEqual([0, 7_000]);
});

test("MOD-3.2 a wait beyond the bound is told, not slept through", async () => {
  const clock = new FakeClock(0);
  const { result, at } = await drive(
    clock,
    retrier(clock, () => 0),
    [err(failure(4, limits.modelRetryAfterMsMax + 1))],
  );
  expect(at).toEqual([0]);
  expect(result.ok).toBe(false);
});

test("MOD-3.3 the bucket runs dry under a dying provider and fills again with good replies", async () => {
  const clock = new FakeClock(0);
  const retry = retrier(clock, () => 0);
  let attempts = 0;
  for (let n = 0; n < 20; n += 1)
    attempts += (
      await drive(
        clock,
        retry,
        Array.from({ length: 9 }, () => err(failure(4))),
      )
    ).at.length;
  expect(attempts).toBe(20 + limits.modelRetryTokens);
  const dry = await drive(clock, retry, [err(failure(4))]);
  expect(dry.result).toMatchObject({ ok: false, error: { message: expect.stringContaining("too often lately") } });
  for (let n = 0; n < 2; n += 1) await drive(clock, retry, [ok("good")]);
  expect((await drive(clock, retry, [err(failure(4)), ok("here")])).result).toEqual(ok("here"));
});

test("MOD-3.3 no run of failures and replies draws more than the bucket and its refills", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 60 }), async (good) => {
      const clock = new FakeClock(0);
      const retry = retrier(clock, () => 0);
      let retries = 0;
      for (const works of good) {
        const run = await drive(clock, retry, works ? [ok("yes")] : Array.from({ length: 9 }, () => err(failure(4))));
        retries += run.at.length - 1;
      }
      const replies = good.filter((works) => works).length;
      expect(retries).toBeLessThanOrEqual(limits.modelRetryTokens + replies * limits.modelRetryTokensPerReply);
    }),
    { numRuns: 30 },
  );
});

test("MOD-3.4 a request cancelled while it waits ends at once", async () => {
  const clock = new FakeClock(0);
  const abort = new AbortController();
  const running = retrier(clock, () => 1).run(() => Promise.resolve(err(failure(4))), abort.signal);
  setImmediate(() => abort.abort());
  expect(await running).toMatchObject({ ok: false, error: { errno: "ECANCELED" } });
  expect(clock.now()).toBe(0);
});
