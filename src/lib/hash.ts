/** Hash: SHA-256 in one shot, as hexadecimal text or raw bytes. */
import { hash } from "node:crypto";

/** 64 lower-case hexadecimal digits. */
export type Digest = string;

export function sha256(data: string | Uint8Array): Digest {
  return hash("sha256", data, "hex");
}

export function sha256Bytes(data: Uint8Array): Buffer {
  return hash("sha256", data, "buffer");
}
