import fc from "fast-check";
import { expect, test } from "vitest";
import { foldPath } from "../../../src/lib/fold.ts";
import {
  envTemplates,
  envFiles,
  isObeyed,
  isSecret,
  obeyedFiles,
  obeyedFolders,
  secretFiles,
  secretFolders,
} from "../../../src/security/policy/names.ts";
import { platformPolicy } from "../../../src/security/policy/platform.ts";
import { engineOf, question } from "./fixture.ts";

const engine = engineOf([platformPolicy]);
const denied = (call: string, path: string): boolean => engine.decide(question(call, path, { declared: true })).verb === "deny";

/** Names close to those of the lists: with something before, behind, in the place of a star, or disguised. */
const part = fc.constantFrom("", "a", "x.y", ".d", "/b", "\u200d", " ", ".");
const listed = fc
  .tuple(
    fc.constantFrom(...secretFiles, ...envFiles, ...envTemplates, ...secretFolders, ...obeyedFiles, ...obeyedFolders, "notes.md"),
    fc.constantFrom("", "-1", "/c", "x"),
    part,
    part,
    fc.boolean(),
  )
  .map(([name, star, before, behind, upper]) => {
    const text = `${before}${name.replaceAll("*", star)}${behind}`;
    return upper ? text.toUpperCase() : text;
  });
const paths = fc
  .array(listed, { minLength: 1, maxLength: 3 })
  .map((segments) =>
    segments
      .join("/")
      .replace(/\/{2,}/g, "/")
      .replace(/^\/|\/$/g, ""),
  ) // prettier-ignore
  .filter((path) => path !== "" && !path.split("/").some((segment) => segment === "." || segment === ".."));

test("POL-15.1 a file is secret exactly where the platform refuses to read it", () => {
  fc.assert(
    fc.property(paths, (path) => {
      expect(isSecret(path, "file")).toBe(denied("fs.read", path));
    }),
    { numRuns: 5_000 },
  );
});

test("POL-15.1 of a folder that is secret nothing can be read, and of another there is a name that can", () => {
  fc.assert(
    fc.property(paths, listed.filter((name) => !/^[./]*$/.test(name)), (path, child) => {
      const inside = `${path}/${child}`.replace(/\/{2,}/g, "/");
      if (isSecret(path, "folder")) expect(denied("fs.read", inside)).toBe(true);
      else expect(denied("fs.read", `${path}/.env.example`) && denied("fs.read", `${path}/any.md`)).toBe(false);
    }),
    { numRuns: 2_000 },
  ); // prettier-ignore
});

test("POL-14.5  isObeyed() agrees with the rules on names close to the listed ones, with a star in them too", () => {
  const forbidden = (path: string): boolean =>
    engine
      .decide(question("fs.commit", path, { declared: true }))
      .rules.some((rule) => rule.startsWith("platform.no-commit-of-"));
  fc.assert(
    fc.property(paths, (path) => {
      expect(isObeyed(path)).toBe(forbidden(path));
    }),
    { numRuns: 5_000 },
  );
});

test("POL-14.3  each guarded name is guarded at any depth, in capitals, with what nobody sees in it, and with dots behind it", () => {
  const names = [
    ...obeyedFiles.map((name) => name.replaceAll("*", "x")),
    ...obeyedFolders,
    ...obeyedFolders.map((name) => `${name}/x`),
  ];
  for (const name of names) {
    for (const path of [name, `deep/er/${name}`, name.toUpperCase(), `${name[0]}\u200d${name.slice(1)}`, `${name}. `]) {
      expect(denied("fs.commit", path), path).toBe(true);
    }
  }
});

test("POL-14.4  each secret name is refused at any depth and in every disguise", () => {
  const names = [...secretFiles, ...envFiles].map((name) => name.replaceAll("*", "x")).concat(secretFolders, secretFolders.map((name) => `${name}/x`)); // prettier-ignore
  for (const name of names) {
    for (const path of [name, `deep/er/${name}`, name.toUpperCase(), `${name[0]}\u00ad${name.slice(1)}`, `${name}. .`]) {
      expect(denied("fs.read", path), path).toBe(true);
    }
  }
});

test("POL-14.3  the names are written as they are compared, and each folder begins with a dot", () => {
  for (const name of [...obeyedFiles, ...obeyedFolders, ...secretFiles, ...envFiles, ...envTemplates, ...secretFolders]) {
    expect(foldPath(name)).toBe(name);
  }
  for (const folder of [...obeyedFolders, ...secretFolders, ...envFiles]) expect(folder).toMatch(/^\./);
  for (const list of [obeyedFiles, obeyedFolders, secretFiles]) expect(new Set(list).size).toBe(list.length);
});
