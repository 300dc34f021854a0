/**
 * Signature: a note that vouches for the chain's head, and so for every record before it.
 *   STO-1.10  What is signed names the number of records and the head: a signature fits one log at one length.
 */
import { Buffer } from "node:buffer";
import { verify, type KeyObject } from "node:crypto";
import type { Digest } from "../../lib/hash.ts";
import { isObject, parseJson } from "../../lib/json.ts";

/** Ed25519 over what it is given, 64 bytes. */
export type Sign = (message: Buffer) => Buffer;

/** Three lines: what it is, how many records, the head. */
export function signedMessage(records: number, head: Digest): Buffer {
  return Buffer.from(`daimon log head 1\n${records}\n${head}\n`, "latin1");
}

export function signatureNote(sign: Sign, records: number, head: Digest): string {
  const signature = sign(signedMessage(records, head)).toString("base64");
  return JSON.stringify({ note: "signature", records, head, signature });
}

export interface SignatureNote {
  readonly records: number;
  readonly head: Digest;
  readonly signature: string;
}

export function parseSignature(text: string): SignatureNote | null {
  const note = parseJson(text);
  if (!isObject(note) || note["note"] !== "signature") return null;
  const { records, head, signature } = note;
  if (typeof records !== "number" || typeof head !== "string" || typeof signature !== "string") return null;
  return { records, head, signature };
}

export function isSigned(note: SignatureNote, publicKey: KeyObject): boolean {
  return verify(null, signedMessage(note.records, note.head), publicKey, Buffer.from(note.signature, "base64"));
}
