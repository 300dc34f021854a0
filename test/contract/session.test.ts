/** Every session driver under its contract. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { copySessions } from "../../src/drivers/files/copy.ts";
import { overlaySessions } from "../../src/drivers/files/overlay.ts";
import { ZygoteClient } from "../../src/drivers/sandbox/zygote-client.ts";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { testSession } from "./session.ts";
import { isSecret } from "../../src/security/policy/names.ts";

const top = mkdtempSync(join(tmpdir(), "session-"));
const folder = (): string => mkdtempSync(join(top, "test-"));
const helper = new ZygoteClient();
const options = { blobs: openMemoryBlobs(), hide: [".daimon"] };
const overlay = overlaySessions({ ...options, isSecret, helper });
const available = await overlay.available();

afterAll(async () => {
  await overlay.close();
  await helper.close();
  rmSync(top, { recursive: true, force: true });
});

describe("overlay", () => {
  testSession("overlay", {
    driver: overlay,
    bounded: (quota) => overlaySessions({ ...options, quota, isSecret, helper }),
    blobs: options.blobs,
    folder,
    missing: available.ok ? null : available.error.message,
  });
});

describe("copy", () => {
  testSession("copy", {
    driver: copySessions(options),
    bounded: (quota) => copySessions({ ...options, quota }),
    blobs: options.blobs,
    folder,
    missing: null,
  });
});
