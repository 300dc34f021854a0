/** Decoder: the bytes of a compressed HTTP body as they arrive. */
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";

export type Decoder = ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>;

/** For a `content-encoding`; null where the bytes are what they stand for, or in an encoding nobody here knows. */
export function decoderFor(encoding: string): Decoder | null {
  switch (encoding.trim().toLowerCase()) {
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "br":
      return createBrotliDecompress();
    case "zstd":
      return createZstdDecompress();
    case "deflate":
      return createInflate();
    default:
      return null;
  }
}
