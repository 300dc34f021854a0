/**
 * Passage: one request of a guest to a model, and its answer. What the guest sends goes on as it is, what the model says comes back as it is, and
 * between them stand the budget, the journal, and the decision on each call before the guest hears of it.
 *   DOR-4.1  Where nothing has to be changed the request and the answer are the same bytes on both sides, errors included.
 *   DOR-4.2  Nothing is asked of a model before the budget has room for it, and nothing of an answer is told before the journal durably says that it
 *            was asked for.
 *   DOR-4.3  A call reaches the guest when it is allowed. When one is refused none of its reply does: the model is told why, may go on within a bound,
 *            and the guest reads in the same answer what was refused.
 *   DOR-4.4  A guest that was ended gets a last answer without a call, so that it can end by itself; after that it gets errors.
 *   DOR-4.5  A provider that fails before it answered is asked again within bounds; then its own error goes to the guest, and the process shows it.
 *   DOR-4.6  A guest that goes away ends what it asked for; what was generated until then is paid for.
 */
import type { ServerResponse } from "node:http";
import type { Clock } from "../../abi/clock.ts";
import { sysError, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Upstream, UpstreamExchange, UpstreamSink } from "../../abi/upstream.ts";
import type { Priced } from "../../kernel/admission.ts";
import type { GuestProcess, Ticket, Verdict } from "../../kernel/guest.ts";
import { parseJson } from "../../lib/json.ts";
import type { GuestFormat, Heard, Hearing, Question } from "../../wire/guest-format.ts";
import type { KeptBody } from "./body.ts";
import { Telling, type HeadFields } from "./telling.ts";

export interface Passage {
  readonly guest: GuestProcess;
  readonly format: GuestFormat;
  readonly question: Question;
  readonly model: Priced;
  readonly upstream: Upstream;
  readonly path: string;
  readonly headers: readonly string[];
  readonly outputTokensMax: number;
  readonly clock: Clock;
  /** For ids of what daimon writes itself. */
  readonly id: string;
  /** Whether the guest had its last answer already; says so from then on. */
  lastAnswer(): boolean;
}

type Body = Pick<KeptBody, "bytes" | "send" | "whole">;

export async function pass(passage: Passage, body: Body, response: ServerResponse): Promise<void> {
  const { guest, format, question } = passage;
  const telling = new Telling(response, format, question, passage.id, passage.clock);
  const line: Line = { exchange: null };
  response.once("close", () => line.exchange?.abort());
  const { windowTokens } = question;
  let asked = body;
  for (let round = 0; ; round += 1) {
    const ticket = await guest.admit({ model: passage.model, windowTokens, outputTokensMax: passage.outputTokensMax });
    if (!ticket.ok) return stopped(passage, telling, ticket.error);
    const heard = await ask(passage, ticket.value, asked, telling, round === 0, line);
    if ("trouble" in heard) return failed(telling, heard);
    const { reply, said, held } = heard;
    telling.spent(reply.usage);
    const verdicts = await guest.settle(ticket.value, reply);
    if (!verdicts.ok) return stopped(passage, telling, verdicts.error);
    const refused = verdicts.value.flatMap((verdict) => (verdict.refused === null ? [] : [verdict.refused.message]));
    if (refused.length === 0 && round === 0) return telling.deliver(held);
    if (refused.length === 0) {
      for (const part of said) telling.say(part);
      return telling.end(reply.stop);
    }
    /** The stream has told already what stood before the first call. */
    const words = reply.parts.filter((part) => part.type !== "call");
    if (round > 0 || !question.stream) for (const part of words) telling.say(part);
    for (const message of refused) telling.say({ type: "text", text: `\n[daimon refused: ${message}]\n` });
    const next = round < limits.guestReasksMax ? again(passage, asked, heard, verdicts.value) : null;
    if (next === null) return telling.end("end");
    asked = next;
  }
}

/** The model learns what was refused and why; the calls beside it were not made either, and it may make them again. */
function again({ guest, format }: Passage, body: Body, { reply, said }: Heard, verdicts: readonly Verdict[]): Body | null {
  const answers = verdicts.map(({ modelId, refused }, n) => {
    if (refused === null) guest.unmade(modelId);
    const name = reply.parts.filter((part) => part.type === "call")[n]?.name ?? "";
    return { id: modelId, name, text: refused?.message ?? notMade };
  });
  const json = parseJson(Buffer.from(body.whole()).toString("utf8"));
  const next = json === undefined ? null : format.again(json, said, answers);
  if (next === null) return null;
  const bytes = Buffer.from(JSON.stringify(next));
  return { bytes: bytes.length, send: () => bytes, whole: () => bytes };
}

const notMade = "not made, because another call of the same reply was refused; make it again if it is still needed";

/** The guest is told that it is over in a way that ends it by itself; where only this kernel leaves it may try again. */
function stopped(passage: Passage, telling: Telling, error: SysError): void {
  if (error.errno !== "ECANCELED" || passage.lastAnswer()) return telling.fail(error, error.errno === "EAGAIN");
  telling.say({ type: "text", text: `[daimon: ${error.message}]` });
  telling.end("end");
}

interface Unheard {
  readonly trouble: SysError;
  /** The provider's own answer, where it gave one. */
  readonly answer: { readonly status: number; readonly headers: HeadFields; readonly body: Buffer } | null;
  /** The guest has read of it already. */
  readonly told: boolean;
}

function failed(telling: Telling, { trouble, answer, told }: Unheard): void {
  if (told) return telling.close();
  if (answer !== null) return telling.deliverError(answer.status, answer.headers, answer.body);
  telling.fail(trouble, trouble.errno !== "ECANCELED");
}

/** What is under way for a request of a guest: it ends with the guest's connection. */
interface Line {
  exchange: UpstreamExchange | null;
}

/** `atOnce`: the guest hears the reply while it comes, and not only when it was decided on. */
async function ask(
  passage: Passage,
  ticket: Ticket,
  body: Body,
  telling: Telling,
  atOnce: boolean,
  line: Line,
): Promise<Heard | Unheard> {
  const { guest, format, question, upstream, path, headers, clock } = passage;
  for (let tries = 1; ; tries += 1) {
    const hearing = format.hear(question);
    const listener = new Listener(hearing, atOnce ? telling : null, ticket.durable);
    const exchange = upstream.send({ method: "POST", path, headers, body: body.send(), bytes: body.bytes }, listener);
    listener.exchange = line.exchange = exchange;
    if (telling.gone) exchange.abort();
    const ended = await exchange.ended;
    const durable = await ticket.durable;
    if (!durable.ok) return { trouble: durable.error, answer: null, told: false };
    const { status } = listener;
    if (status < 300 && (ended.ok || hearing.failed())) {
      const heard = hearing.end();
      if (heard.ok) return heard.value;
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
    guest.lost(ticket, error, cut, seen === null || seen.ok ? 0 : seen.error.outputTokens);
    const answer = ended.ok ? { status, headers: listener.headers, body: Buffer.concat(listener.error) } : null;
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
  #errorBytes = 0;
  /** What came before the intent to ask was durable. */
  #early: Uint8Array[] | null = null;

  constructor(hearing: Hearing, telling: Telling | null, durable: Ticket["durable"]) {
    this.#hearing = hearing;
    this.#telling = telling;
    if (!(durable instanceof Promise)) return;
    this.#early = [];
    void durable.then((result) => this.#begin(result.ok));
  }

  #begin(durable: boolean): void {
    const early = this.#early ?? [];
    this.#early = null;
    if (!durable) return this.exchange?.abort();
    for (const chunk of early) this.data(chunk);
    if (early.length > 0) this.exchange?.resume();
  }

  head(status: number, headers: HeadFields): void {
    this.status = status;
    this.headers = headers;
    if (status < 300) this.#telling?.head(headers);
  }

  data(chunk: Uint8Array): boolean {
    if (this.#early !== null) {
      this.#early.push(chunk);
      return false;
    }
    if (this.status >= 300) {
      this.#errorBytes += chunk.length;
      if (this.#errorBytes <= limits.guestErrorBytesMax) this.error.push(chunk);
      return true;
    }
    const pieces = this.#hearing.push(chunk);
    if (this.#hearing.failed()) this.exchange?.abort();
    return this.#telling === null || this.#telling.pass(this.#hearing, pieces, () => this.exchange?.resume());
  }
}
