/** Every log and blob driver under its contract. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import type { BlobDriver, LogDriver } from "../../src/abi/store.ts";
import { openFileBlobs } from "../../src/drivers/store/file-blobs.ts";
import { openMemoryBlobs, type MemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog, type MemoryLog } from "../../src/drivers/store/memory-log.ts";
import { openSegmentLog } from "../../src/drivers/store/segment-log.ts";
import { makeFolder } from "../drivers/store/folder.ts";
import { testBlobs } from "./store-blobs.ts";
import { testLog } from "./store-log.ts";

function opened<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: { readonly message: string } },
): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

describe("segments", () => {
  testLog("segments", () => {
    const dir = join(makeFolder(), "log");
    const open = (): LogDriver => opened(openSegmentLog({ dir, now: () => 1 }));
    const reopen = async (log: LogDriver): Promise<LogDriver> => {
      await log.close();
      return open();
    };
    return { open, reopen };
  });
});

describe("memory log", () => {
  const harness = (asynchronous: boolean) => () => {
    const open = (): MemoryLog => openMemoryLog({});
    const reopen = async (log: LogDriver): Promise<LogDriver> => {
      await log.close();
      // It was opened here, so it is a memory log; a crash after close() loses nothing.
      return openMemoryLog({ image: (log as MemoryLog).crash(() => 0), asynchronous });
    };
    return { open, reopen };
  };
  testLog("memory", harness(false));
  testLog("memory, answering later", harness(true));
});

describe("files", () => {
  testBlobs("files", () => {
    const dir = join(makeFolder(), "blobs");
    const open = (): BlobDriver => opened(openFileBlobs({ dir }));
    const spoil = (_: BlobDriver, digest: string): void => {
      writeFileSync(join(dir, digest.slice(0, 2), digest.slice(2)), "something else");
    };
    return { open, reopen: open, spoil };
  });
});

describe("memory blobs", () => {
  testBlobs("memory", () => ({
    open: () => openMemoryBlobs(),
    // They were opened here, so they are memory blobs.
    reopen: (blobs) => openMemoryBlobs({ image: (blobs as MemoryBlobs).crash(() => 0) }),
    spoil: (blobs, digest) => (blobs as MemoryBlobs).spoil(digest),
  }));
});
