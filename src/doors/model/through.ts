/**
 * Through: a conversation with a provider that speaks the guest's own format: its request goes on as it is, and the reply comes back as it is.
 *   DOR-8.1  A request is sent again only while nothing of an answer has come, within bounds of number and time; a provider that says no is not asked.
 *   DOR-8.3  Of an answer that is neither a reply nor an error, as a redirection, nothing goes to the guest: some clients take it for a reply.
 *   DOR-8.5  A reply that never ends is cut at the bound of a reply with an error, and its provider is left.
 *   DOR-8.4  What a guest breaks off, and what falls silent, before the answer begins was asked for all the same, and is paid for.
 *   DOR-8.2  To be asked again the request grows by the reply and the answers to its calls, and keeps all else.
 */
import type { Clock } from "../../abi/clock.ts";
import { sysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Upstream, UpstreamExchange, UpstreamSink } from "../../abi/upstream.ts";
import type { GuestProcess, Ticket } from "../../kernel/guest.ts";
import { parseJson, tooDeep } from "../../lib/json.ts";
import type { CallAnswer, GuestFormat, Hearing, Question } from "../../wire/guest-format.ts";
import type { KeptBody } from "./body.ts";
import type { Conversation, Said, Unsaid } from "./conversation.ts";
import type { HeadFields, Telling } from "./telling.ts";

export interface ThroughOptions {
  readonly guest: GuestProcess;
  readonly format: GuestFormat;
  readonly question: Question;
  readonly upstream: Upstream;
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Body;
  readonly clock: Clock;
}

type Body = Pick<KeptBody, "bytes" | "send" | "text">;

export function through(options: ThroughOptions): Conversation {
  const { format } = options;
  let body = options.body;
  const line: Line = { exchange: null };
  return {
    ask: (ticket, telling, atOnce) => ask(options, body, ticket, telling, atOnce, line),
    answer({ parts }, answers: readonly CallAnswer[]) {
      const json = parseJson(body.text());
      const said = parts.filter((part) => part.type === "opaque");
      const next = json === undefined || tooDeep(json, limits.jsonDepthMax) ? null : format.again(json, said, answers);
      if (next === null) return false;
      const text = JSON.stringify(next);
      const bytes = Buffer.from(text);
      body = { bytes: bytes.length, send: () => bytes, text: () => text };
      return true;
    },
    abort: () => line.exchange?.abort(),
  };
}

/** What is under way for a request of a guest: it ends with the guest's connection. */
interface Line {
  exchange: UpstreamExchange | null;
}

async function ask(
  options: ThroughOptions,
  body: Body,
  ticket: Ticket,
  telling: Telling,
  atOnce: boolean,
  line: Line,
): Promise<Said | Unsaid> {
  const { guest, format, question, upstream, path, headers, clock } = options;
  for (let tries = 1; ; tries += 1) {
    const hearing = format.hear(question);
    const listener = new Listener(hearing, atOnce ? telling : null);
    const exchange = upstream.send({ method: "POST", path, headers, body: body.send(), bytes: body.bytes }, listener);
    listener.exchange = line.exchange = exchange;
    const unsent = telling.gone;
    if (unsent) exchange.abort();
    const ended = await exchange.ended;
    const { status } = listener;
    if (status < 300 && (ended.ok || hearing.failed())) {
      const heard = hearing.end();
      if (heard.ok) return { reply: heard.value.reply, parts: heard.value.said, held: heard.value.held };
      const { trouble, told, outputTokens } = heard.error;
      const error = sysError(
        "EPROTO",
        `${upstream.name} gave no whole reply: ${trouble.message || trouble.type || "it broke off"}`,
      );
      guest.lost(ticket, error, true, outputTokens);
      return { trouble: error, answer: null, told };
    }
    const error = ended.ok
      ? sysError(status === 429 ? "EAGAIN" : "EIO", `${upstream.name} answered with status ${status}`)
      : ended.error;
    const waitMs = tries < limits.guestTriesMax ? retryAfter(listener, ended.ok, tries) : null;
    if (waitMs !== null && !telling.gone) {
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
      continue;
    }
    const cut = !ended.ok && status !== 0;
    const seen = cut ? hearing.end() : null;
    const left = !ended.ok && !unsent && (error.errno === "ECANCELED" || error.errno === "ETIMEDOUT");
    guest.lost(ticket, error, cut || left, seen === null || seen.ok ? 0 : seen.error.outputTokens);
    const answer = ended.ok && status >= 400 ? { status, headers: listener.headers, body: Buffer.concat(listener.error) } : null;
    return { trouble: error, answer, told: false };
  }
}

/** Milliseconds; null: it is the guest's to try again, or nobody's. */
function retryAfter({ status, headers }: Listener, answered: boolean, tries: number): number | null {
  const backoff = limits.modelBackoffMsBase * 2 ** (tries - 1);
  if (!answered) return status === 0 ? backoff : null;
  if (headers["x-should-retry"] === "false" || (status !== 429 && status < 500)) return null;
  const after = headers["retry-after"];
  if (after === undefined) return status === 429 ? null : backoff;
  const ms = Number(after) * 1_000;
  return ms >= 0 && ms <= limits.guestRetryAfterMsMax ? ms : null;
}

/** Takes one answer of the provider. */
class Listener implements UpstreamSink {
  readonly #hearing: Hearing;
  readonly #telling: Telling | null;
  exchange: UpstreamExchange | null = null;
  status = 0;
  headers: HeadFields = {};
  readonly error: Uint8Array[] = [];

  constructor(hearing: Hearing, telling: Telling | null) {
    this.#hearing = hearing;
    this.#telling = telling;
  }

  head(status: number, headers: HeadFields): void {
    this.status = status;
    this.headers = headers;
    if (status < 300) this.#telling?.head(headers);
  }

  data(chunk: Uint8Array): boolean {
    if (this.status >= 300) {
      this.error.push(chunk);
      return true;
    }
    const pieces = this.#hearing.push(chunk);
    if (this.#hearing.failed()) this.exchange?.abort();
    return this.#telling === null || this.#telling.pass(this.#hearing, pieces, () => this.exchange?.resume());
  }

  end(): void {
    this.#telling?.gather();
  }
}
