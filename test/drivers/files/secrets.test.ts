/** Which paths of a workspace are closed to commands: real folders, and what happens to them between two looks. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { Secrets, type IsSecret } from "../../../src/drivers/files/secrets.ts";
import { isSecret } from "../../../src/security/policy/names.ts";
import { value } from "../../contract/session.ts";

const top = mkdtempSync(join(tmpdir(), "secrets-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));

function workspace(...paths: readonly string[]): string {
  const root = mkdtempSync(join(top, "test-"));
  for (const path of paths) put(root, path);
  return root;
}

function put(root: string, path: string): void {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  writeFileSync(join(root, path), "");
}

const look = async (secrets: Secrets): Promise<readonly string[]> => value(await secrets.look());

test("FIL-15.1 secrets are found at any depth, folders as a whole; links and hidden names are left out", async () => {
  const root = workspace(
    ".env",
    ".env.example",
    "a/b/c/Server.KEY",
    "a/.ssh/config",
    "a/.ssh/deep/id_rsa",
    ".docker/config.json",
    "docker/config.json",
    ".daimon/keys/log.key",
    "x/.daimon/other.key",
    "notes.md",
  );
  symlinkSync("notes.md", join(root, "linked.pem"));
  symlinkSync("a", join(root, "way"));
  const secrets = new Secrets(root, isSecret, [".daimon"]);
  expect(await look(secrets)).toEqual([".docker/config.json", ".env", "a/.ssh", "a/b/c/Server.KEY", "x/.daimon/other.key"]);
});

test("FIL-15.2 a folder that changed right before or after it was read is read again, though its time may be the same", async () => {
  const root = workspace("a/x");
  const never = new Secrets(root, isSecret, []);
  expect(await look(never)).toEqual([]);
  put(root, "a/.env");
  expect(await look(never)).toEqual(["a/.env"]);
});

test("FIL-15.2 a folder that changed just before a look is read at the next one, and one long unchanged is not", async () => {
  const root = workspace("a/n.md", "b.md");
  for (const [ahead, again] of [
    [0, true],
    [3_600_000, false],
  ] as const) {
    let asked = 0;
    const counted: IsSecret = (path, type) => {
      asked += 1;
      return isSecret(path, type);
    };
    const secrets = new Secrets(root, counted, [], () => Date.now() + ahead);
    await look(secrets);
    const first = asked;
    await look(secrets);
    expect([ahead, first, asked - first > 0]).toEqual([ahead, 3, again]);
  }
});

const act = fc.oneof(
  fc.record({ op: fc.constant("put" as const), path: fc.constantFrom("a/.env", "a/b/x.pem", "b/c/d/.env", "c/n.md", ".aws/k", "a/b/c/n") }),
  fc.record({ op: fc.constant("remove" as const), path: fc.constantFrom("a", "a/.env", "a/b", "b/c", ".aws") }),
  fc.record({ op: fc.constant("move" as const), path: fc.constantFrom("a", "a/b", "b/c"), to: fc.constantFrom("m", "a/m", "b/a") }),
); // prettier-ignore

test("FIL-15.2 after any changes a later look finds what a first look finds", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(act, { maxLength: 4 }), { maxLength: 4 }), async (turns) => {
      const root = workspace("a/b/n.md", "b/c/n.md");
      // A clock far ahead makes every folder count as long unchanged, so that nothing but its state tells of a change.
      const later = new Secrets(root, isSecret, [], () => Date.now() + 3_600_000);
      for (const turn of turns) {
        for (const step of turn) perform(root, step);
        expect(await look(later)).toEqual(await look(new Secrets(root, isSecret, [])));
      }
    }),
    { numRuns: 40 },
  );
});

function perform(
  root: string,
  step: { readonly op: "put" | "remove" | "move"; readonly path: string; readonly to?: string },
): void {
  try {
    if (step.op === "put") put(root, step.path);
    else if (step.op === "remove") rmSync(join(root, step.path), { recursive: true, force: true });
    else renameSync(join(root, step.path), join(root, step.to ?? ""));
  } catch {
    // What is not there cannot be moved; the next step may do more.
  }
}

test("FIL-15.3 with too many, the folders with the most are closed whole; spread too widely they are refused", async () => {
  const many = Array.from({ length: limits.closedPathsMax }, (_, index) => `certs/${index}.pem`);
  const root = workspace(...many, "a/1.key", "a/2.key", ".env");
  expect(await look(new Secrets(root, isSecret, []))).toEqual([".env", "a/1.key", "a/2.key", "certs"]);
  const wide = workspace(...Array.from({ length: limits.closedPathsMax + 1 }, (_, index) => `${index}/x.pem`));
  expect(await new Secrets(wide, isSecret, []).look()).toMatchObject({ ok: false, error: { errno: "E2BIG" } });
});

test("FIL-15.5 a secret behind a name that is not UTF-8 closes the folder around it, and at the top there is none", async () => {
  const latin = (root: string, ...names: readonly string[]): Buffer =>
    Buffer.concat([Buffer.from(`${root}/`), ...names.map((name) => Buffer.from(name, "latin1"))]);
  const root = workspace("a/.env", "b/n.md");
  const later = new Secrets(root, isSecret, [], () => Date.now() + 3_600_000);
  mkdirSync(latin(root, "b/caf\u00e9/deep"), { recursive: true });
  writeFileSync(latin(root, "b/caf\u00e9/deep/n.md"), "");
  expect(await look(later)).toEqual(["a/.env"]);
  writeFileSync(latin(root, "b/caf\u00e9/deep/.env"), "");
  expect(await look(later)).toEqual(["a/.env", "b"]);
  mkdirSync(latin(root, "caf\u00e9"));
  expect(await look(later)).toEqual(["a/.env", "b"]);
  writeFileSync(latin(root, "caf\u00e9/\u00e9.pem"), "");
  expect(await later.look()).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
});

test("FIL-15.4 a workspace that cannot be looked through at all is an error, not an empty list", async () => {
  const refused = await new Secrets("/proc/self/mem/nothing", isSecret, []).look();
  expect(refused).toEqual({ ok: true, value: [] });
  const unreadable = new Secrets(join(top, "n".repeat(300)), isSecret, []);
  expect(await unreadable.look()).toMatchObject({ ok: false, error: { errno: "EIO" } });
  const broken = new Secrets(
    workspace("a"),
    () => {
      throw Object.assign(new Error("disk"), { code: "EIO" });
    },
    [],
  );
  expect(await broken.look()).toMatchObject({ ok: false, error: { errno: "EIO" } });
});
