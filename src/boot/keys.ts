/** Keys: the workspace's own key pair (Ed25519). It signs the journal and the repairs, and who never saw `.daimon` cannot know it. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fail, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { syncFolder } from "../drivers/store/disk.ts";
import type { Sign } from "../drivers/store/signature.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Layout } from "./layout.ts";
import { readBytes } from "./read.ts";

export const keyFiles = { secret: "journal.pem", shown: "journal.pub.pem" } as const;

/** The public half lies beside the secret one for `daimon log verify` and for others. Throws what the disk says. */
export function makeKey(folder: string): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const shown = publicKey.export({ type: "spki", format: "pem" });
  const secret = privateKey.export({ type: "pkcs8", format: "pem" });
  fs.writeFileSync(path.join(folder, keyFiles.shown), shown, { mode: 0o600, flag: "wx", flush: true });
  fs.writeFileSync(path.join(folder, keyFiles.secret), secret, { mode: 0o600, flag: "wx", flush: true });
  syncFolder(folder);
}

/** Null where there is none. Both halves: who could exchange the public one alone must not be able to pass a journal off as signed. */
export function keyDigest(folder: string): Digest | null {
  const secret = readBytes(path.join(folder, keyFiles.secret), limits.keyBytesMax);
  const shown = readBytes(path.join(folder, keyFiles.shown), limits.keyBytesMax);
  return secret.ok && shown.ok ? sha256(`${sha256(secret.value)} ${sha256(shown.value)}`) : null;
}

export function signerOf(layout: Layout): Result<Sign, SysError> {
  const key = read(layout, "secret", createPrivateKey);
  return key.ok ? ok((message) => sign(null, message, key.value)) : key;
}

export function shownKey(layout: Layout): Result<KeyObject, SysError> {
  return read(layout, "shown", createPublicKey);
}

function read(layout: Layout, name: keyof typeof keyFiles, parse: (pem: Buffer) => KeyObject): Result<KeyObject, SysError> {
  try {
    const bytes = readBytes(path.join(layout.keys, keyFiles[name]), limits.keyBytesMax);
    if (bytes.ok) return ok(parse(bytes.value));
  } catch {
    // No key in the file: said below.
  }
  return fail("EIO", "the journal's key in .daimon/keys cannot be read; restore it from a backup, or look with daimon fsck");
}
