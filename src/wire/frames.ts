/**
 * Frames: cut a server-sent event stream into its events (WHATWG HTML, section 9.2.6), with the place where the bytes of each end.
 * push() takes bytes in any cut; each frame, up to and with its empty line, goes to `onFrame`; end() gives out one that the server did not close.
 *   MOD-2.1  Events are the same however the bytes are cut: inside UTF-8, inside CRLF, one byte at a time.
 *   MOD-2.2  The bytes of a frame are bounded; beyond the bound push() returns false and stays so.
 *   MOD-2.3  Comments and unknown fields are ignored; several data lines are joined by a newline; LF, CRLF and CR end lines.
 *   MOD-2.4  A frame with a line that is none of the format's fields, or in which some readers see the end of a line where the format has none, is
 *            marked as odd, because readers differ on what to make of it.
 */

export interface Frame {
  readonly event: string;
  /** null: the frame has none, as a comment that keeps a connection alive. */
  readonly data: string | null;
  readonly odd: boolean;
  /** As it came, with its line ends and the empty line. */
  readonly raw: string;
  /** Where in the chunk that brought its end the next frame begins; 0 for one that end() gives out. */
  readonly end: number;
}

export interface FrameReader {
  /** False once the stream broke its bound; then nothing more is given out. */
  push(chunk: Uint8Array): boolean;
  end(): void;
  /** Nothing of an event has come yet: whoever knows how the next one ends may keep it to himself. */
  readonly between: boolean;
}

const lf = 0x0a;
const cr = 0x0d;

export function frameReader(bytesMax: number, onFrame: (frame: Frame) => void): FrameReader {
  /** The unfinished frame, in pieces, so that a long one cut into bytes is joined only once. */
  let pieces: Uint8Array[] = [];
  let pending = 0;
  /** Nothing stands on the line that the next byte belongs to. */
  let blank = true;
  let afterCr = false;
  let first = true;
  let broken = false;

  function finish(chunk: Uint8Array, from: number, to: number): void {
    broken ||= pending + to - from > bytesMax;
    if (broken) return;
    const text = pieces.length === 0 ? textOf(chunk, from, to) : joined(chunk.subarray(from, to));
    pieces = [];
    pending = 0;
    onFrame(parse(first && text.startsWith("\ufeff") ? text.slice(1) : text, to));
    first = false;
  }

  /** The place of the next line end, or the chunk's end. */
  function throughText(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && chunk[at] !== lf && chunk[at] !== cr) at += 1;
    if (at > from) {
      blank = false;
      afterCr = false;
    }
    return at;
  }

  function joined(last: Uint8Array): string {
    const bytes = Buffer.concat([...pieces, last]);
    return textOf(bytes, 0, bytes.length);
  }

  return {
    push(chunk) {
      let from = 0;
      let at = 0;
      while (at < chunk.length && !broken) {
        at = throughText(chunk, at);
        if (at === chunk.length) break;
        const byte = chunk[at];
        at += 1;
        const second = byte === lf && afterCr;
        afterCr = byte === cr;
        if (second) continue;
        if (!blank) {
          blank = true;
          continue;
        }
        if (afterCr && chunk[at] === lf) {
          afterCr = false;
          at += 1;
        }
        finish(chunk, from, at);
        from = at;
      }
      if (from < chunk.length && !broken) {
        pieces.push(from === 0 ? chunk : chunk.subarray(from));
        pending += chunk.length - from;
        broken = pending > bytesMax;
      }
      return !broken;
    },
    end() {
      if (pending > 0) finish(new Uint8Array(0), 0, 0);
    },
    get between() {
      return pending === 0 && !afterCr && !first && !broken;
    },
  };
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return buffer.toString("utf8", from, to);
}

const otherLineEnds = /[\v\f\x1c-\x1e\x85\u2028\u2029]/;

function parse(frame: string, end: number): Frame {
  const text = frame.includes("\r") ? frame.replace(/\r\n?/g, "\n") : frame;
  let event = "";
  let data: string | null = null;
  let odd = false;
  for (let from = 0, to = 0; from < text.length; from = to + 1) {
    to = text.indexOf("\n", from);
    if (to < 0) to = text.length;
    if (to === from) continue;
    const colon = text.indexOf(":", from);
    // Some readers of lines end them at these as well, and would find a field behind one; inside the JSON of data there is none.
    odd ||= !text.startsWith("data", from) && otherLineEnds.test(text.slice(from, to));
    if (colon === from) continue;
    const bare = colon < 0 || colon > to;
    const name = text.slice(from, bare ? to : colon);
    const value = bare ? "" : text.slice(text.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1, to);
    if (name === "data") data = data === null ? value : `${data}\n${value}`;
    else if (name === "event") event = value;
    else odd ||= name !== "id" && name !== "retry";
  }
  return { event: event === "" ? "message" : event, data, odd, raw: frame, end };
}
