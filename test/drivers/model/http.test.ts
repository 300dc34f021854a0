import fc from "fast-check";
import { expect, test } from "vitest";
import { errnos } from "../../../src/abi/errno.ts";
import { limits } from "../../../src/abi/limits.ts";
import { networkFailure, quote, readTrouble, troubleFailure, type Party } from "../../../src/drivers/model/http.ts";
import type { Answer } from "../../../src/drivers/net/exchange.ts";

const key = "sk-live-abcdefghijklmnop";
const party: Party = { name: "openai", host: "api.openai.com", model: "gpt-6-sol", keyName: "OPENAI_API_KEY", secrets: [key] };
const answer = (status: number, body: string, headers: Record<string, string> = {}): Answer => ({
  status,
  headers,
  body: Buffer.from(body),
  streamed: false,
  truncated: false,
});
const failureOf = (status: number, body: string, headers: Record<string, string> = {}) =>
  troubleFailure(party, readTrouble(answer(status, body, headers), 1_000));

test("MOD-1.1 no error holds a key, whatever the server echoes", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 4 }).filter((text) => text.trim().length >= 4),
      fc.string(),
      fc.string(),
      (secret, before, after) => {
        const known = { ...party, secrets: [secret] };
        const text = before + secret + after;
        const failure = troubleFailure(known, readTrouble(answer(400, JSON.stringify({ error: { message: text } })), 0));
        const own = failure.error.message.replace("[key]", "");
        // What is left over must not contain the secret, unless our own words happen to.
        const plain = troubleFailure(known, readTrouble(answer(400, JSON.stringify({ error: { message: "" } })), 0)).error
          .message;
        if (!plain.includes(secret)) expect(own.includes(secret) && !(before + after).includes(secret)).toBe(false);
      },
    ),
  );
  expect(quote(`Incorrect API key provided: sk-proj-unknown12345. Bearer abc.def.ghi x`, [])).not.toMatch(/unknown|abc\.def/);
  expect(quote("Incorrect API key provided: sk-abc***xyz9.", [])).toBe("Incorrect API key provided: [key]");
});

test("MOD-1.1 a quotation is one bounded line without control bytes", () => {
  const text = quote(`a\u001b[31m\r\nb\u2028${"x".repeat(10_000)}`, []);
  expect(text).toMatch(/^a \[31m b x+…$/);
  expect(text.length).toBeLessThanOrEqual(limits.quoteCharsMax + 1);
});

test("MOD-1.2 every status has its errno, who failed and a next step", () => {
  const table = {
    400: "EINVAL",
    401: "EACCES",
    402: "EDQUOT",
    403: "EACCES",
    404: "ENOENT",
    408: "ETIMEDOUT",
    409: "EAGAIN",
    413: "E2BIG",
    422: "EINVAL",
  } as const;
  const later = {
    429: "EAGAIN",
    500: "EIO",
    502: "EIO",
    503: "EIO",
    504: "ETIMEDOUT",
    529: "EIO",
    418: "EINVAL",
    301: "EINVAL",
  } as const;
  for (const [status, errno] of Object.entries({ ...table, ...later })) {
    const { error, retriesMax } = failureOf(Number(status), `{"error":{"message":"because"}}`);
    expect([status, error.errno]).toEqual([status, errno]);
    expect(error.message).toMatch(/^openai at api\.openai\.com \(\d+\): because; .{10,}/);
    expect(retriesMax > 0).toBe(["EAGAIN", "EIO", "ETIMEDOUT"].includes(errno));
  }
});

test("MOD-1.2 a network failure has its errno and its phase", () => {
  const kinds = {
    aborted: "ECANCELED",
    timeout: "ETIMEDOUT",
    unreachable: "EIO",
    broken: "EPROTO",
    "too-large": "EPROTO",
    "refused-by-sink": "EPROTO",
  } as const;
  for (const [kind, errno] of Object.entries(kinds)) {
    const failure = networkFailure(party, { kind: kind as keyof typeof kinds, started: false, why: "a reason" });
    expect(failure.error.errno).toBe(errno);
    expect(failure.error.message).toContain("openai at api.openai.com");
    expect(failure.retriesMax > 0).toBe(!["aborted", "too-large"].includes(kind));
    expect(Object.keys(errnos)).toContain(errno);
  }
});

test("MOD-1.3 the window and the credit are told apart from what the status says", () => {
  const e2big = [
    "prompt is too long: 250000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: context length is 200000",
    "This model's maximum context length is 8192 tokens.",
    "the request exceeds the available context size. try increasing the context size",
  ];
  for (const message of e2big) expect(failureOf(400, JSON.stringify({ error: { message } })).error.errno).toBe("E2BIG");
  expect(
    failureOf(400, `{"error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"x"}}`).error.errno,
  ).toBe("E2BIG");
  expect(failureOf(500, `{"error":{"code":500,"message":"x","type":"exceed_context_size_error"}}`).error.errno).toBe("E2BIG");
  expect(failureOf(400, `{"error":{"message":"Your credit balance is too low to access the API"}}`).error.errno).toBe("EDQUOT");
  const broke = failureOf(429, `{"error":{"code":"insufficient_quota","message":"You exceeded your quota"}}`);
  expect(broke).toMatchObject({ error: { errno: "EDQUOT" }, retriesMax: 0 });
});

test("MOD-1.2 the forms of error bodies that servers send are all read", () => {
  const bodies = [
    `{"error":"because"}`,
    `{"error":{"message":"because"}}`,
    `{"object":"error","message":"because"}`,
    `{"detail":"because"}`,
    "because",
  ];
  for (const body of bodies) expect(failureOf(400, body).error.message).toContain("because");
  expect(failureOf(502, "<html><body>Bad gateway</body></html>").error.message).not.toContain("<");
  expect(failureOf(500, "").error.message).toContain("no reason given");
});

test("MOD-1.2 a wait is read in every form it has", () => {
  expect(failureOf(429, "", { "retry-after": "7" }).retryAfterMs).toBe(7_000);
  expect(failureOf(429, "", { "retry-after-ms": "250", "retry-after": "7" }).retryAfterMs).toBe(250);
  expect(failureOf(429, "", { "retry-after": new Date(31_000).toUTCString() }).retryAfterMs).toBe(30_000);
  expect(failureOf(429, "", { "retry-after": "soon" }).retryAfterMs).toBeNull();
  expect(failureOf(429, "", { "retry-after": "7" }).error.message).toContain("try again in 7 s");
});
