/**
 * Wire: what the kernel and its sandbox helper say to each other, in frames over a pipe.
 * A frame is: length of all that follows (u32, big endian), length of the header (u32), header as JSON, payload bytes.
 *   SBX-1.1  Any cut of a stream of frames into pieces gives the same frames.
 *   SBX-1.2  A frame beyond the bound is refused before memory is taken for it.
 */
import type { Errno } from "../../abi/errno.ts";
import type { Full, SandboxCommand, Usage } from "../../abi/sandbox.ts";

export const frameBytesMax = 64 * 1024 * 1024;

export type Request =
  | { readonly op: "run"; readonly id: number; readonly command: SandboxCommand }
  | { readonly op: "cancel"; readonly id: number }
  | { readonly op: "mount"; readonly id: number; readonly home: string; readonly hide: readonly string[] }
  | { readonly op: "measure"; readonly id: number; readonly folder: string }
  | { readonly op: "unmount"; readonly id: number; readonly view: string };

/** mounts: the helper owns a mount namespace · plain: it has none, so there are no overlays. */
export type ZygoteMode = "mounts" | "plain";

export type Reply =
  | {
      readonly op: "hello";
      readonly id: 0;
      readonly mode: ZygoteMode;
      readonly limits: "cgroup" | "rlimit";
      readonly covers: string;
    }
  | { readonly op: "done"; readonly id: number }
  | { readonly op: "measured"; readonly id: number; readonly usage: Usage }
  | { readonly op: "ran"; readonly id: number; readonly result: RunReply }
  | { readonly op: "failed"; readonly id: number; readonly errno: Errno; readonly message: string; readonly cause: string };

/** The texts of a SandboxResult travel as the payload: first standard output, then standard error. */
export interface RunReply {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly truncated: boolean;
  readonly full: Full | null;
  readonly ms: number;
  readonly stdoutBytes: number;
}

export function encodeFrame(header: Request | Reply, payload: readonly Uint8Array[] = []): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const size = payload.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.allocUnsafe(8);
  head.writeUInt32BE(4 + text.length + size, 0);
  head.writeUInt32BE(text.length, 4);
  return Buffer.concat([head, text, ...payload]);
}

export interface Frame<T> {
  readonly header: T;
  readonly payload: Buffer;
}

/** Returns a function that takes pieces of the stream and gives the frames that became whole; throws RangeError on a frame beyond the bound. */
export function frameReader<T extends Request | Reply>(): (piece: Buffer) => Frame<T>[] {
  let pieces: Buffer[] = [];
  let bytes = 0;
  let wanted = 4;
  return (piece) => {
    pieces.push(piece);
    bytes += piece.length;
    const frames: Frame<T>[] = [];
    while (bytes >= wanted) {
      let all = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
      const length = all.readUInt32BE(0);
      if (length < 4 || length > frameBytesMax) throw new RangeError(`frame of ${length} bytes`);
      if (all.length >= 4 + length) {
        const headerBytes = all.readUInt32BE(4);
        if (headerBytes > length - 4) throw new RangeError(`header of ${headerBytes} bytes in a frame of ${length}`);
        // Both ends are our own code, started together, so the header has the type it was sent with.
        const header = JSON.parse(all.toString("utf8", 8, 8 + headerBytes)) as T;
        frames.push({ header, payload: all.subarray(8 + headerBytes, 4 + length) });
        all = all.subarray(4 + length);
      }
      pieces = all.length > 0 ? [all] : [];
      bytes = all.length;
      wanted = bytes >= 4 ? 4 + all.readUInt32BE(0) : 4;
    }
    return frames;
  };
}
