/** Entries: the journal as the commands read it, with what was moved out of a record back in its place. */
import type { Entry, StoredEntry } from "../abi/entry.ts";
import type { BlobDriver } from "../abi/store.ts";
import { whole } from "../kernel/codec.ts";
import type { Json } from "../lib/json.ts";

type Blobs = Pick<BlobDriver, "get">;

/** `text` comes from the log, whose chain has shown that a kernel wrote it. */
export function entryOf(text: string, blobs: Blobs): Entry {
  return completed(JSON.parse(text) as StoredEntry, blobs);
}

/** What is lost is said where it stood: a reader sees the rest. */
export function completed(entry: StoredEntry, blobs: Blobs): Entry {
  return whole(entry, (digest) => {
    const data = blobs.get(digest);
    return data.ok ? (JSON.parse(data.value.toString("utf8")) as Json) : `[${data.error.errno}: ${data.error.message}]`;
  });
}
