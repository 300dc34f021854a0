/**
 * Telling: what a guest hears of one answer: first the provider's own bytes, then, where daimon has to speak, what it writes in the same answer.
 *   DOR-5.1  What daimon says goes on where the provider's bytes stopped: the guest's client reads one answer.
 *   DOR-5.2  An answer that was begun ends as its format says, also with an error; nobody takes a broken answer for a whole one.
 *   DOR-5.3  A guest that reads slowly slows the provider down, and no memory fills.
 *   DOR-5.5  The guest reads the bytes in the encoding in which they were heard, whatever the provider calls it.
 *   DOR-5.4  While a streamed answer is held, the guest hears from time to time that it is still worked on.
 */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Clock } from "../../abi/clock.ts";
import type { SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Part } from "../../abi/message.ts";
import type { StopReason, Usage } from "../../abi/model.ts";
import type { GuestFormat, Hearing, Question, ReplyWriter } from "../../wire/guest-format.ts";
import { repeat } from "../repeat.ts";

export type HeadFields = Readonly<Record<string, string | readonly string[]>>;

const noUsage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reported: false };

export class Telling {
  readonly #response: ServerResponse;
  readonly #format: GuestFormat;
  readonly #question: Question;
  readonly #id: string;
  readonly #stopTimer: () => void;
  #headers: HeadFields = {};
  /** The reply whose beginning the guest heard as it came. */
  #hearing: Hearing | null = null;
  #writer: ReplyWriter | null = null;
  /** Of an answer in one piece: what it will say. */
  readonly #parts: Part[] = [];
  #usage = noUsage;

  constructor(response: ServerResponse, format: GuestFormat, question: Question, id: string, clock: Clock) {
    this.#response = response;
    this.#format = format;
    this.#question = question;
    this.#id = id;
    this.#stopTimer = question.stream ? repeat(clock, limits.guestKeepAliveMs, () => this.#stillHere()) : () => undefined;
    response.once("close", this.#stopTimer);
  }

  get gone(): boolean {
    return this.#response.destroyed;
  }

  /** The provider answers: its own words about the answer go on with it. */
  head(headers: HeadFields): void {
    this.#headers = inUtf8(headers);
  }

  /** Bytes of a reply as they came. False when the guest does not keep up; `onDrain` says when it does again. */
  pass(hearing: Hearing, pieces: readonly Uint8Array[], onDrain: () => void): boolean {
    this.#hearing = hearing;
    let keepsUp = true;
    for (const piece of pieces) {
      this.#begin();
      keepsUp = this.#response.write(piece) && keepsUp;
    }
    if (!keepsUp) this.#response.once("drain", onDrain);
    return keepsUp;
  }

  /** What is said in this turn of the event loop goes out in one write, with the end behind the last piece: a write costs more than all else here. */
  gather(): void {
    const { socket } = this.#response;
    socket?.cork();
    setImmediate(() => socket?.uncork());
  }

  /** The rest of a reply as it came, and the end. */
  deliver(held: readonly Uint8Array[]): void {
    this.#stopTimer();
    if (this.#question.stream) {
      this.#begin();
      for (const piece of held) this.#response.write(piece);
      this.#response.end();
      return;
    }
    tell(this.#response, 200, this.#headers, held.length === 1 ? (held[0] ?? Buffer.alloc(0)) : Buffer.concat(held));
  }

  /** A provider's own error, as it came. */
  deliverError(status: number, headers: HeadFields, body: Buffer): void {
    if (this.#response.headersSent)
      return this.fail({ errno: "EIO", message: `the provider answered with status ${status}` }, false);
    this.#stopTimer();
    tell(this.#response, status, headers, body);
  }

  say(part: Part): void {
    if (!this.#question.stream) {
      this.#parts.push(part);
      return;
    }
    this.#begin();
    this.#response.write(this.#writing().part(part));
  }

  /** What one round of asking took; the guest reads the sum. */
  spent(usage: Usage): void {
    const was = this.#usage;
    this.#usage = {
      inputTokens: was.inputTokens + usage.inputTokens,
      outputTokens: was.outputTokens + usage.outputTokens,
      cacheReadTokens: was.cacheReadTokens + usage.cacheReadTokens,
      cacheWriteTokens: was.cacheWriteTokens + usage.cacheWriteTokens,
      reported: usage.reported,
    };
  }

  end(stop: StopReason, stopSequence?: string): void {
    this.#stopTimer();
    if (this.#question.stream) {
      this.#begin();
      this.#response.end(this.#writing().end(stop, this.#usage, stopSequence));
      return;
    }
    const body = this.#format.whole(this.#question, this.#parts, stop, this.#usage, this.#id, stopSequence);
    tell(this.#response, 200, { ...this.#headers, "content-type": "application/json" }, body);
  }

  /** `retry`: whether the guest may try again. */
  fail(error: SysError, retry: boolean): void {
    this.#stopTimer();
    if (this.#response.headersSent) this.#response.end(this.#format.refuseEvent(error.errno, error.message));
    else refuse(this.#response, this.#format, error, retry);
  }

  /** The guest has read its provider's error in the stream. */
  close(): void {
    this.#stopTimer();
    this.#response.end();
  }

  #writing(): ReplyWriter {
    this.#writer ??= this.#hearing?.writer(this.#id) ?? this.#format.writer(this.#question, this.#id);
    return this.#writer;
  }

  #begin(): void {
    if (this.#response.headersSent) return;
    const type = this.#headers["content-type"] ?? "text/event-stream; charset=utf-8";
    this.#response.writeHead(200, mutable({ "cache-control": "no-cache", ...this.#headers, "content-type": type }));
  }

  /** A comment, which every reader of event streams passes over. */
  #stillHere(): void {
    this.#begin();
    this.#response.write(": held by daimon\n\n");
  }
}

function inUtf8(headers: HeadFields): HeadFields {
  const type = String(headers["content-type"] ?? "");
  if (/^[^;,]*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) return headers;
  return { ...headers, "content-type": `${type.split(/[;,]/)[0] ?? ""}; charset=utf-8` };
}

export function refuse(response: ServerResponse, format: GuestFormat, { errno, message }: SysError, retry: boolean): void {
  const refusal = format.refuse(errno, message, retry);
  // What is still to come of the request would be read for nothing.
  if (!response.req.complete) response.setHeader("connection", "close");
  tell(response, refusal.status, refusal.headers, refusal.body);
}

/** An answer in one piece. */
export function tell(response: ServerResponse, status: number, headers: HeadFields, body: Uint8Array): void {
  response.writeHead(status, mutable({ ...headers, "content-length": String(body.length) }));
  response.end(body);
}

/** What Node writes it also only reads, and does not say so. */
function mutable(headers: HeadFields): OutgoingHttpHeaders {
  return headers as OutgoingHttpHeaders;
}
