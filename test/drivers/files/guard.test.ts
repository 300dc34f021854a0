import { expect, test } from "vitest";
import { limits } from "../../../src/abi/limits.ts";
import { temporaryName } from "../../../src/drivers/files/beneath.ts";
import { checkHidden, isHidden, tooLarge } from "../../../src/drivers/files/guard.ts";

const hide = new Set([".daimon"]);

/** What is thrown is read by the walk, which turns it into the call's error. */
function refused(check: () => void): string {
  try {
    check();
    return "ok";
  } catch (error) {
    return (error as { readonly error: { readonly errno: string } }).error.errno;
  }
}

test("FIL-10.2 a hidden folder is hidden however its name is spelled, and no other is", () => {
  for (const path of [".daimon", ".daimon/keys", ".DAIMON/keys", ".Daimon.", ".dai\u200bmon/x"]) {
    expect([path, isHidden(hide, path), refused(() => checkHidden(hide, path))]).toEqual([path, true, "EPERM"]);
  }
  for (const path of ["daimon", "a/.daimon", ".daimons", "a"]) {
    expect([path, isHidden(hide, path), refused(() => checkHidden(hide, path))]).toEqual([path, false, "ok"]);
  }
});

test("FIL-6.4 the name under which files are written is nobody's, at any depth", () => {
  expect(refused(() => checkHidden(hide, temporaryName))).toBe("EINVAL");
  expect(refused(() => checkHidden(hide, `a/b/${temporaryName}`))).toBe("EINVAL");
});

test("a file is written up to the bound and not beyond it", () => {
  expect(tooLarge("f", Buffer.alloc(limits.fileBytesMax))).toBeNull();
  expect(tooLarge("f", Buffer.alloc(limits.fileBytesMax + 1))).toMatchObject({ ok: false, error: { errno: "E2BIG" } });
});
