/**
 * Hello: the server's name in the first message of a TLS connection (RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3).
 *   DRN-1.1  The name is read however the message is cut into records and pieces; until it is whole, more is asked for.
 *   DRN-1.2  What is no such message, contradicts its own lengths, or has an extension twice or several names is not TLS to the door.
 */

/** more: not whole yet · hello: whole, with the name it asks for, or none · other: it is not the first message of TLS. */
export type Hello =
  { readonly kind: "more" } | { readonly kind: "hello"; readonly name: string | null } | { readonly kind: "other" };

const more: Hello = { kind: "more" };
const other: Hello = { kind: "other" };

export function readHello(bytes: Uint8Array): Hello {
  const message = messageIn(bytes);
  if (message === "more") return more;
  if (message === null) return other;
  const names = namesIn(message);
  return names === null || names.length > 1 ? other : { kind: "hello", name: names[0] ?? null };
}

const handshakeRecord = 22;
const clientHello = 1;
const recordBytesMax = 2 ** 14;

/** The handshake message put together from its records; null: it is none. */
function messageIn(bytes: Uint8Array): Uint8Array | "more" | null {
  const pieces: Uint8Array[] = [];
  let have = 0;
  for (let at = 0; ;) {
    const head = bytes.subarray(at, at + 5);
    if (head.length > 0 && head[0] !== handshakeRecord) return null;
    if (head.length > 1 && head[1] !== 3) return null;
    if (head.length < 5) return "more";
    const length = number(head, 3, 2);
    if (length === 0 || length > recordBytesMax) return null;
    const piece = bytes.subarray(at + 5, at + 5 + length);
    pieces.push(piece);
    have += piece.length;
    const message = Buffer.concat(pieces, have);
    if (have > 0 && message[0] !== clientHello) return null;
    if (have >= 4 && have >= 4 + number(message, 1, 3)) return message.subarray(4, 4 + number(message, 1, 3));
    if (piece.length < length) return "more";
    at += 5 + length;
  }
}

/** null: it contradicts itself. */
function namesIn(message: Uint8Array): readonly string[] | null {
  const reader = new Reader(message);
  reader.skip(2 + 32);
  const session = reader.list(1);
  const ciphers = reader.list(2);
  const compressions = reader.list(1);
  if (session === null || ciphers === null || compressions === null) return null;
  if (reader.left === 0) return [];
  const extensions = reader.list(2);
  if (extensions === null || reader.left > 0) return null;
  const seen = new Set<number>();
  let names: readonly string[] | null = [];
  for (const list = new Reader(extensions); list.left > 0;) {
    const type = list.number(2);
    const content = list.list(2);
    if (type === null || content === null || seen.has(type)) return null;
    seen.add(type);
    if (type === serverName) names = hostNames(content);
  }
  return names;
}

const serverName = 0;
const hostName = 0;

function hostNames(content: Uint8Array): readonly string[] | null {
  const outer = new Reader(content);
  const list = outer.list(2);
  if (list === null || outer.left > 0 || list.length === 0) return null;
  const names: string[] = [];
  for (const entries = new Reader(list); entries.left > 0;) {
    const type = entries.number(1);
    const name = entries.list(2);
    if (type !== hostName || name === null || name.length === 0) return null;
    names.push(Buffer.from(name).toString("latin1"));
  }
  return names;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Below nothing where a field was longer than what there is. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  skip(count: number): void {
    this.#at += count;
  }

  number(size: number): number | null {
    if (this.left < size) return null;
    this.#at += size;
    return number(this.#bytes, this.#at - size, size);
  }

  /** What a length of so many bytes stands before. */
  list(size: number): Uint8Array | null {
    const length = this.number(size);
    if (length === null || this.left < length) return null;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function number(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let n = 0; n < size; n += 1) value = value * 256 + (bytes[at + n] ?? 0);
  return value;
}
