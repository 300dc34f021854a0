import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect, it } from "vitest";
import { readPage, root, valueOf } from "./scratch.ts";

const examples = readPage("docs/api.md").blocks.filter(({ lang }) => lang === "ts");

it("API-1.1  every exported name stands in an example", () => {
  const source = fs.readFileSync(path.join(root, "src/index.ts"), "utf8");
  const names = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = ""]) =>
    list.split(",").map((name) => name.trim().replace(/^type /, "")),
  );
  expect(names.length).toBeGreaterThan(10);
  const imported = examples.flatMap(({ text }) =>
    [...text.matchAll(/^import (?:type )?\{([^}]*)\} from "daimon";$/gm)].flatMap(([, list = ""]) =>
      list.split(",").map((name) => name.trim()),
    ),
  );
  expect([...new Set(imported)].toSorted()).toEqual(names.toSorted());
});

it("API-1.1  the examples hold before the compiler", { timeout: 60_000 }, () => {
  const folder = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "daimon-api-"));
  try {
    for (const block of examples) fs.writeFileSync(path.join(folder, valueOf(block, "file") ?? "example.ts"), block.text);
    const settings = {
      extends: path.join(root, "tsconfig.json"),
      compilerOptions: {
        paths: { daimon: [path.join(root, "src/index.ts")] },
        typeRoots: [path.join(root, "node_modules/@types")],
        noUnusedLocals: true,
      },
      include: [`${folder}/*.ts`],
    };
    fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(settings));
    fs.writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
    const ran = spawnSync(process.execPath, [path.join(root, "node_modules/.bin/tsc"), "-p", folder], { encoding: "utf8" });
    expect(ran.stdout).toBe("");
    expect(ran.status).toBe(0);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
