/**
 * WebSocket: the server's side of the protocol, as bytes (RFC 6455). Text alone, no extensions.
 *   WSK-1.1  Messages are the same however their bytes are cut, in frames and in chunks; control frames may stand between the frames of one.
 *   WSK-1.2  A frame that the protocol does not allow, text that is no UTF-8, bytes instead of text, and a message beyond the bound end the connection with
 *            the code for it, and nothing of it is taken.
 *   WSK-1.3  Only a request that asks for this version with a key of its own is answered as an opening.
 */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

export interface FrameTaker {
  message(text: string): void;
  ping(payload: Buffer): void;
  /** The other side closes, or has to be closed with this code. */
  close(code: number): void;
}

/** What a piece of a message costs beside its own bytes: many empty ones are much, too. */
const pieceBytes = 64;

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Opcode = keyof typeof opcodes;

/** What answers the key of an opening; null: the request opens no WebSocket. */
export function acceptOf(headers: IncomingHttpHeaders): string | null {
  const key = headers["sec-websocket-key"] ?? "";
  if (headers.upgrade?.toLowerCase() !== "websocket" || headers["sec-websocket-version"] !== "13") return null;
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return null;
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** A frame of the server's: whole, and never masked. */
export function frameOf(opcode: Opcode, payload: Uint8Array): Buffer {
  const length = payload.length;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extra);
  head[0] = 0x80 | opcodes[opcode];
  head[1] = extra === 0 ? length : extra === 2 ? 126 : 127;
  if (extra === 2) head.writeUInt16BE(length, 2);
  if (extra === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

export function closeFrame(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frameOf("close", payload);
}

interface Head {
  readonly fin: boolean;
  readonly opcode: number;
  /** Of the head itself, with its mask. */
  readonly headBytes: number;
  readonly length: number;
}

/** Takes a client's bytes; after a close nothing more. */
export function frameParser(bytesMax: number, taker: FrameTaker): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let waiting = 0;
  /** Until so many bytes are there nothing can be read. */
  let needed = 2;
  let pieces: Buffer[] | null = null;
  let messageBytes = 0;
  let over = false;

  function end(code: number): void {
    over = true;
    chunks = [];
    pieces = null;
    taker.close(code);
  }

  function take({ fin, opcode }: Head, payload: Buffer): void {
    if (opcode === opcodes.close) return end(payload.length === 1 ? 1002 : 1000);
    if (opcode === opcodes.ping) return taker.ping(payload);
    if (opcode === opcodes.pong) return;
    if (opcode === opcodes.binary) return end(1003);
    if ((opcode === opcodes.continuation) === (pieces === null)) return end(1002);
    if (pieces === null) pieces = [payload];
    else pieces.push(payload);
    messageBytes += payload.length + pieceBytes;
    if (!fin) return;
    const text = utf8(Buffer.concat(pieces));
    pieces = null;
    messageBytes = 0;
    if (text === null) end(1007);
    else taker.message(text);
  }

  return (chunk) => {
    if (over) return;
    chunks.push(chunk);
    waiting += chunk.length;
    if (waiting < needed) return;
    let all = Buffer.concat(chunks);
    while (!over) {
      const head = headOf(all);
      if (typeof head === "number") {
        needed = head;
        break;
      }
      if (head === null) return end(1002);
      if (head.length + messageBytes > bytesMax) return end(1009);
      needed = head.headBytes + head.length;
      if (all.length < needed) break;
      const payload = unmasked(all, head);
      all = all.subarray(needed);
      needed = 2;
      take(head, payload);
    }
    chunks = over || all.length === 0 ? [] : [all];
    waiting = all.length;
  };
}

/** A number: so many bytes have to be there first. null: no client may send this. */
function headOf(bytes: Buffer): Head | number | null {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return 2;
  const opcode = first & 0x0f;
  const fin = (first & 0x80) !== 0;
  const short = second & 0x7f;
  const known = opcode <= opcodes.binary || (opcode >= opcodes.close && opcode <= opcodes.pong);
  // Extensions that nobody agreed on, and what is not masked.
  if ((first & 0x70) !== 0 || (second & 0x80) === 0 || !known) return null;
  if (opcode >= opcodes.close && (!fin || short > 125)) return null;
  const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
  const headBytes = 2 + extra + 4;
  if (bytes.length < headBytes) return headBytes;
  if (extra === 8 && bytes.readUInt32BE(2) !== 0) return { fin, opcode, headBytes, length: Number.MAX_SAFE_INTEGER };
  const length = extra === 0 ? short : extra === 2 ? bytes.readUInt16BE(2) : bytes.readUInt32BE(6);
  return { fin, opcode, headBytes, length };
}

function unmasked(bytes: Buffer, { headBytes, length }: Head): Buffer {
  const mask = bytes.subarray(headBytes - 4, headBytes);
  const payload = Buffer.from(bytes.subarray(headBytes, headBytes + length));
  for (let n = 0; n < payload.length; n += 1) payload[n] = (payload[n] ?? 0) ^ (mask[n & 3] ?? 0);
  return payload;
}

function utf8(bytes: Buffer): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
