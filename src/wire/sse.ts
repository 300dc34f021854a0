/**
 * SSE: read a server-sent event stream piece by piece (WHATWG HTML, section 9.2.6).
 * push() takes bytes in any cut; each whole event goes to `onEvent`; end() gives out an event the server did not close.
 *   MOD-2.1  Events are the same however the bytes are cut: inside UTF-8, inside CRLF, one byte at a time.
 *   MOD-2.2  A line, and the data of an event, are bounded; beyond the bound push() returns false and stays so.
 *   MOD-2.3  Comments and unknown fields are ignored; several data lines are joined by a newline; LF, CRLF and CR end lines.
 */

export interface SseReader {
  /** False once the stream broke its bound; then nothing more is given out. */
  push(chunk: Uint8Array): boolean;
  end(): void;
}

export function sseReader(charsMax: number, onEvent: (event: string, data: string) => void): SseReader {
  const decoder = new TextDecoder("utf-8");
  /** The unfinished line, in pieces, so that a long line cut into bytes is joined only once. */
  let pieces: string[] = [];
  let pending = 0;
  let skipLf = false;
  let event = "";
  let data: string[] = [];
  let dataChars = 0;
  let broken = false;

  function line(text: string): void {
    if (text === "") {
      if (data.length > 0) onEvent(event === "" ? "message" : event, data.length === 1 ? (data[0] ?? "") : data.join("\n"));
      event = "";
      data = [];
      dataChars = 0;
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(text.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
    if (name === "data") {
      data.push(value);
      dataChars += value.length + 1;
      broken ||= dataChars > charsMax;
    } else if (name === "event") event = value;
  }

  function take(text: string): void {
    let from = 0;
    if (skipLf && text !== "") {
      skipLf = false;
      if (text.charCodeAt(0) === 0x0a) from = 1;
    }
    let lf = text.indexOf("\n", from);
    let cr = text.indexOf("\r", from);
    while (!broken && (lf >= 0 || cr >= 0)) {
      const end = cr < 0 || (lf >= 0 && lf < cr) ? lf : cr;
      const head = text.slice(from, end);
      if (pieces.length === 0) line(head);
      else {
        pieces.push(head);
        line(pieces.join(""));
        pieces = [];
        pending = 0;
      }
      from = end + 1;
      if (end === cr) {
        if (from === text.length) skipLf = true;
        else if (text.charCodeAt(from) === 0x0a) from += 1;
        cr = text.indexOf("\r", from);
      }
      if (lf >= 0 && lf < from) lf = text.indexOf("\n", from);
    }
    if (from < text.length) {
      const rest = from === 0 ? text : text.slice(from);
      pieces.push(rest);
      pending += rest.length;
      broken ||= pending > charsMax;
    }
  }

  return {
    push(chunk) {
      if (!broken) take(decoder.decode(chunk, { stream: true }));
      return !broken;
    },
    end() {
      if (broken) return;
      take(decoder.decode());
      if (pieces.length > 0) line(pieces.join(""));
      pieces = [];
      line("");
    },
  };
}
