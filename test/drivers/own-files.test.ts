import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { modulePath, packageRoot } from "../../src/drivers/own-files.ts";

test("DRV-1.1 our own files are found from the package's root", () => {
  expect(JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"))).toMatchObject({ name: "daimon" });
  expect(existsSync(join(packageRoot(), "programs/brief/PROGRAM.md"))).toBe(true);
  expect(existsSync(modulePath("drivers/sandbox/zygote"))).toBe(true);
  expect(modulePath("no/such")).toBe(join(packageRoot(), "dist/no/such.js"));
});
