import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { limits } from "../../src/abi/limits.ts";
import type { PolicySet } from "../../src/abi/policy.ts";
import { layoutOf, type Layout } from "../../src/boot/layout.ts";
import { readPolicyCache, writePolicyCache } from "../../src/boot/policy-cache.ts";
import { sha256 } from "../../src/lib/hash.ts";
import { freshFolder, put, surroundings } from "./folder.ts";
import { down, perform, told, up, workspace, type Workspace } from "./machine.ts";

function cacheFiles({ user }: Layout): readonly string[] {
  const folder = path.join(user.cache, "policy");
  return fs.readdirSync(folder).map((name) => path.join(folder, name));
}

async function writing(where: Workspace): Promise<string> {
  const machine = await up(where);
  const [result] = await perform(machine, [["fs.write", { path: "a", text: "a" }]]);
  await down(machine);
  return told(result);
}

const set: PolicySet = { key: sha256("a"), digest: sha256("b"), rules: [], warnings: [] };

describe("policy cache", () => {
  it("BOO-23.1  what was parsed is cached; a cache that was changed, is old or is no cache is made anew", async () => {
    const where = workspace();
    put(path.join(where.layout.user.folder, "policy.cedar"), 'forbid(principal, action == Action::"fs.write", resource);\n');
    expect(await writing(where)).toMatch(/^EPERM/);
    const [file = ""] = cacheFiles(where.layout);
    const whole = fs.readFileSync(file, "utf8");
    const since = fs.statSync(file).mtimeMs;
    expect(await writing(where)).toMatch(/^EPERM/);
    expect(fs.statSync(file).mtimeMs).toBe(since);
    /** Without its forbids the set is well-formed, and not what its digest says. */
    const sealed = JSON.parse(whole) as {
      readonly set: { readonly rules: readonly { readonly effect: string }[]; readonly key: string };
    };
    const rules = sealed.set.rules.filter((rule) => rule.effect === "permit");
    for (const forged of [JSON.stringify({ ...sealed, set: { ...sealed.set, rules } }), "{", "", whole.slice(0, -9)]) {
      fs.writeFileSync(file, forged);
      expect(await writing(where)).toMatch(/^EPERM/);
      expect(fs.readFileSync(file, "utf8")).toBe(whole);
    }
    const old = { ...sealed.set, rules, key: "another" };
    fs.writeFileSync(file, JSON.stringify({ digest: sha256(JSON.stringify(old)), set: old }));
    expect(await writing(where)).toMatch(/^EPERM/);
    put(path.join(where.layout.user.folder, "policy.cedar"), 'forbid(principal, action == Action::"fs.list", resource);\n');
    expect(await writing(where)).toMatch(/^ok/);
    expect(cacheFiles(where.layout)).toHaveLength(2);
    expect(fs.existsSync(path.join(where.layout.folder, "cache"))).toBe(false);
  });

  it("BOO-23.2  a permissive set that others could have put there is not read, and the right policy decides", async () => {
    const where = workspace();
    put(path.join(where.layout.user.folder, "policy.cedar"), 'forbid(principal, action == Action::"fs.write", resource);\n');
    expect(await writing(where)).toMatch(/^EPERM/);
    const [file = ""] = cacheFiles(where.layout);
    const sealed = JSON.parse(fs.readFileSync(file, "utf8")) as { set: { rules: { effect: string }[] } };
    const open = { ...sealed.set, rules: sealed.set.rules.filter((rule) => rule.effect === "permit") };
    fs.writeFileSync(file, JSON.stringify({ digest: sha256(JSON.stringify(open)), set: open }));
    expect(await writing(where), "the forgery is one that would be believed").toMatch(/^ok/);
    const folder = path.dirname(file);
    for (const place of [file, folder, path.dirname(folder)]) {
      const { mode } = fs.statSync(place);
      fs.chmodSync(place, mode | 0o020);
      expect(await writing(where), place).toMatch(/^EPERM/);
      fs.chmodSync(place, mode);
      fs.writeFileSync(file, JSON.stringify({ digest: sha256(JSON.stringify(open)), set: open }));
    }
    for (const place of [file, folder]) {
      fs.renameSync(place, `${place}-real`);
      fs.symlinkSync(`${place}-real`, place);
      expect(await writing(where), place).toMatch(/^EPERM/);
      fs.rmSync(place);
      fs.renameSync(`${place}-real`, place);
      fs.writeFileSync(file, JSON.stringify({ digest: sha256(JSON.stringify(open)), set: open }));
    }
  });

  it("BOO-23.2  another user's cache is neither read nor written", () => {
    const layout = layoutOf(freshFolder(), surroundings(freshFolder()));
    writePolicyCache(layout, set);
    expect(readPolicyCache(layout, set.key)).toEqual(set);
    const other = { ...layout, uid: layout.uid + 1 };
    expect(readPolicyCache(other, set.key)).toBeNull();
    writePolicyCache(other, { ...set, key: sha256("b") });
    expect(cacheFiles(layout)).toHaveLength(1);
  });

  it("BOO-23.3  a cache that cannot be written costs nothing but time", async () => {
    const where = workspace();
    put(where.layout.user.cache, "no folder");
    await down(await up(where));
    expect(fs.readFileSync(where.layout.user.cache, "utf8")).toBe("no folder");
    const layout = layoutOf(freshFolder(), surroundings(freshFolder()));
    put(path.join(layout.user.cache, "policy", `${set.key}.json`, "in the way"), "");
    writePolicyCache(layout, set);
    expect(readPolicyCache(layout, set.key)).toBeNull();
    expect(cacheFiles(layout)).toHaveLength(1);
  });

  it("BOO-23.4  the oldest go first, also what a kill left aside", () => {
    const layout = layoutOf(freshFolder(), surroundings(freshFolder()));
    for (let index = 0; index < limits.policyCacheFilesMax; index++) {
      const file = path.join(layout.user.cache, "policy", index === 0 ? `${sha256("0")}.1.new` : `${sha256(String(index))}.json`);
      put(file, "{}");
      fs.utimesSync(file, index + 1, index + 1);
    }
    fs.chmodSync(path.join(layout.user.cache, "policy"), 0o700);
    fs.chmodSync(layout.user.cache, 0o700);
    writePolicyCache(layout, set);
    const names = cacheFiles(layout).map((file) => path.basename(file));
    expect(names).toHaveLength(limits.policyCacheFilesMax);
    expect(names).toContain(`${set.key}.json`);
    expect(names.filter((name) => name.endsWith(".new"))).toEqual([]);
    expect(readPolicyCache(layout, set.key)).toEqual(set);
  });
});
