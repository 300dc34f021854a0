/**
 * Refusals: a failed request in the words of each format, so that a guest stops or tries again as it should.
 * No status stops every guest: each format takes the one that the agents which speak it were seen to give up on soonest.
 *   WRT-1.1  What may be tried again has a status that guests try again on, and all else one that they stop at.
 *   WRT-1.2  A refusal in the middle of a stream is the error event of the format, and clients take it for an error.
 */
import { errnos, type Errno } from "../abi/errno.ts";
import type { JsonObject } from "../lib/json.ts";
import type { GuestFormat } from "./guest-format.ts";
import { jsonBytes } from "./parts.ts";

type Kind = "denied" | "spent" | "wrong" | "busy" | "failed";

interface Row {
  readonly status: number;
  readonly type: string;
}

function kindOf(errno: Errno, retry: boolean): Kind {
  if (retry) return errno === "EAGAIN" || errno === "EBUSY" ? "busy" : "failed";
  if (errno === "EDQUOT") return "spent";
  return errno === "EINVAL" || errno === "E2BIG" || errno === "ENOENT" || errno === "ENOSYS" ? "wrong" : "denied";
}

/** Claude Code gives up at once on 402 and 403, and tries a 400 six times; it never gives up on 429. */
const messagesRows: Readonly<Record<Kind, Row>> = {
  denied: { status: 403, type: "permission_error" },
  spent: { status: 402, type: "billing_error" },
  wrong: { status: 400, type: "invalid_request_error" },
  busy: { status: 429, type: "rate_limit_error" },
  failed: { status: 529, type: "overloaded_error" },
};

export const messagesRefusals = refusals(
  messagesRows,
  (row, _errno, message) => messagesError(row, message),
  (row, _errno, message) => `event: error\ndata: ${JSON.stringify(messagesError(row, message))}\n\n`,
);

function messagesError({ type }: Row, message: string): JsonObject {
  return { type: "error", error: { type, message } };
}

/** The agents of this format give up soonest on 400; some of them try a 402, 403 and 429 for long, and a code that speaks of quota for ever. */
const chatRows: Readonly<Record<Kind, Row>> = {
  denied: { status: 400, type: "invalid_request_error" },
  spent: { status: 400, type: "invalid_request_error" },
  wrong: { status: 400, type: "invalid_request_error" },
  busy: { status: 429, type: "rate_limit_error" },
  failed: { status: 502, type: "server_error" },
};

export const chatRefusals = refusals(
  chatRows,
  openaiError,
  (row, errno, message) => `data: ${JSON.stringify(openaiError(row, errno, message))}\n\n`,
);

/** Codex gives up at once on 400 and on 429, and tries everything else again. */
const responsesRows: Readonly<Record<Kind, Row & { readonly code: string }>> = {
  denied: { status: 400, type: "invalid_request_error", code: "invalid_prompt" },
  spent: { status: 400, type: "invalid_request_error", code: "insufficient_quota" },
  wrong: { status: 400, type: "invalid_request_error", code: "invalid_prompt" },
  busy: { status: 503, type: "server_error", code: "rate_limit_exceeded" },
  failed: { status: 502, type: "server_error", code: "server_error" },
};

/** Codex reads only that the response failed, and the client libraries only the error. */
export const responsesRefusals = refusals(responsesRows, openaiError, ({ type, code }, _errno, message) => {
  const response = { id: "", object: "response", status: "failed", error: { code, message }, output: [] };
  const failed = { type: "response.failed", response };
  const error = { type: "error", code, message, param: null, error: { type, code, message, param: null } };
  return `event: response.failed\ndata: ${JSON.stringify(failed)}\n\nevent: error\ndata: ${JSON.stringify(error)}\n\n`;
});

/** Gemini CLI gives up at once on 400, 402 and 403, and tries a 429 for minutes. */
const geminiRows: Readonly<Record<Kind, Row>> = {
  denied: { status: 403, type: "PERMISSION_DENIED" },
  spent: { status: 400, type: "FAILED_PRECONDITION" },
  wrong: { status: 400, type: "INVALID_ARGUMENT" },
  busy: { status: 503, type: "UNAVAILABLE" },
  failed: { status: 500, type: "INTERNAL" },
};

export const geminiRefusals = refusals(
  geminiRows,
  (row, _errno, message) => googleError(row, message),
  (row, _errno, message) => `data: ${JSON.stringify(googleError(row, message))}\r\n\r\n`,
);

function googleError({ status, type }: Row, message: string): JsonObject {
  return { error: { code: status, message, status: type } };
}

/** The errno is the code, for programs that want to know. */
function openaiError({ type }: Row, errno: Errno, message: string): JsonObject {
  return { error: { message, type, param: null, code: errno } };
}

/** What the formats have in common: `body` is the answer to a request that failed, `event` what ends a stream that was begun. */
function refusals<R extends Row>(
  rows: Readonly<Record<Kind, R>>,
  body: (row: R, errno: Errno, message: string) => JsonObject,
  event: (row: R, errno: Errno, message: string) => string,
): Pick<GuestFormat, "refuse" | "refuseEvent"> {
  return {
    refuse: (errno, message, retry) => {
      const row = rows[kindOf(errno, retry)];
      const headers = { "content-type": "application/json", "x-should-retry": String(retry) };
      return { status: row.status, headers, body: jsonBytes(body(row, errno, message)) };
    },
    refuseEvent: (errno, message) => Buffer.from(event(rows[kindOf(errno, errnos[errno].retry === "later")], errno, message)),
  };
}
