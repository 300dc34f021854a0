/** Golden journals: recorded once, by the version they are named after, and replayed by every version since. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { openMemoryLog } from "../../src/drivers/store/memory-log.ts";
import { decode } from "../../src/kernel/codec.ts";
import { replay, replayBody } from "../../src/kernel/replay.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { tableDigest } from "../../src/kernel/snapshot.ts";
import { scenarioBody } from "./scenario.ts";

interface Golden {
  readonly texts: readonly string[];
  readonly blobs: Readonly<Record<string, string>>;
  readonly digest: string;
}

const folder = join(import.meta.dirname, "golden");
const names = readdirSync(folder).filter((name) => name.endsWith(".json"));

function open(name: string) {
  /** Our own file, recorded by scenario.ts. */
  const golden = JSON.parse(readFileSync(join(folder, name), "utf8")) as Golden;
  const log = openMemoryLog({ image: { texts: golden.texts, segments: [0], tornBytes: 0 } });
  const blobs = openMemoryBlobs({
    image: new Map(Object.entries(golden.blobs).map(([digest, text]) => [digest, Buffer.from(text)])),
  });
  return { golden, log, blobs };
}

test("there is a golden journal, and together they hold every kind of entry", () => {
  const kinds = new Set(names.flatMap((name) => open(name).golden.texts.map((text) => decode(text)?.kind)));
  const all = [
    "answer",
    "boot",
    "call",
    "checkpoint",
    "evict",
    "exec",
    "exit",
    "files",
    "outcome",
    "park",
    "signal",
    "spawn",
    "think",
    "turn",
    "weight",
  ];
  expect([...kinds].map(String).toSorted()).toEqual(all);
});

describe.each(names)("%s", (name) => {
  test("RPL-1.1 replays to the digests it was recorded with", () => {
    const { golden, log, blobs } = open(name);
    const proof = replay({ log, blobs, until: null, pid: null });
    expect(proof.ok && [proof.value.findings, proof.value.digest, proof.value.entries]).toEqual([
      [],
      golden.digest,
      golden.texts.length,
    ]);
    expect(proof.ok && proof.value.proved).toBeGreaterThan(3);
    const recovered = recoverTable(log, blobs);
    expect(recovered.ok && tableDigest(recovered.value.table)).toBe(golden.digest);
  });

  test("RPL-1.2 its body makes the same calls and ends the same way", async () => {
    const { log, blobs } = open(name);
    expect(await replayBody({ log, blobs, until: null, pid: 1, body: scenarioBody })).toEqual({ ok: true, value: [] });
  });
});
