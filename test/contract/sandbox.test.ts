/** The sandbox driver under its contract. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { bwrapSandbox } from "../../src/drivers/sandbox/bwrap.ts";
import { ZygoteClient } from "../../src/drivers/sandbox/zygote-client.ts";
import { testSandbox } from "./sandbox.ts";

const top = mkdtempSync(join(tmpdir(), "sandbox-"));
const driver = bwrapSandbox({ helper: new ZygoteClient() });
const available = await driver.available();

afterAll(async () => {
  await driver.close();
  rmSync(top, { recursive: true, force: true });
});

describe("bwrap", () => {
  testSandbox("bwrap", {
    driver,
    missing: available.ok ? null : available.error.message,
    folder: () => mkdtempSync(join(top, "root-")),
  });
});
