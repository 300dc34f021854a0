import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { acceptFile } from "../../src/boot/accept.ts";
import { put } from "./folder.ts";
import { down, must, perform, refusedBoot, told, up, workspace, type Workspace } from "./machine.ts";

const fetchLocal = ["net.fetch", { url: "http://127.0.0.1:9/" }] as const;

describe("policies", () => {
  it("BOO-10.1  an error refuses the boot with file, line and what to do, in every way policy is written", async () => {
    const broken: readonly (readonly [string, (where: Workspace) => void, RegExp])[] = [
      [
        "syntax",
        (where) => put(path.join(where.layout.user.folder, "policy.cedar"), "// one\npermit(\n  principal action, resource);\n"),
        /policy\.cedar:3/,
      ],
      [
        "an unknown call",
        (where) =>
          put(
            path.join(where.layout.user.folder, "policy.cedar"),
            '\npermit(principal, action == Action::"fs.raed", resource);\n',
          ),
        /policy\.cedar:2[^]*fs\.raed/,
      ],
      [
        "short-hand",
        (where) => where.put("daimon.yaml", "policy:\n  deny:\n    - net.fetch\n    - fs.raed(\n"),
        /daimon\.yaml:4/,
      ],
      [
        "a listed file that is not there",
        (where) => where.put("daimon.yaml", "policy:\n  files:\n    - rules.cedar\n"),
        /daimon\.yaml:3[^]*rules\.cedar/,
      ],
      [
        "a listed file with an error",
        (where) => {
          where.put("daimon.yaml", "policy:\n  files:\n    - rules.cedar\n");
          where.put("rules.cedar", "forbid(principal, action, resource) when { context.nothing };\n");
        },
        /rules\.cedar:1/,
      ],
      [
        "a link in a file's place",
        (where) => {
          fs.mkdirSync(where.layout.user.folder, { recursive: true });
          fs.symlinkSync("/dev/zero", path.join(where.layout.user.folder, "policy.cedar"));
        },
        /policy\.cedar/,
      ],
    ];
    for (const [what, spoil, says] of broken) {
      const where = workspace();
      spoil(where);
      const refused = await refusedBoot(where);
      expect(refused.message, what).toMatch(says);
      expect(refused.message, what).not.toContain(where.root);
      expect(fs.readdirSync(where.layout.lock), what).toEqual([]);
    }
  });

  it("BOO-10.1  two policy files of one name in two folders are two files", async () => {
    const where = workspace();
    where.put("a/rules.cedar", 'forbid(principal, action == Action::"fs.list", resource);\n');
    where.put("b/rules.cedar", 'forbid(principal, action == Action::"fs.search", resource);\n');
    where.put("daimon.yaml", "policy:\n  files:\n    - a/rules.cedar\n    - b/rules.cedar\n    - ./a/rules.cedar\n");
    const machine = await up(where);
    const names = machine.steps.map((step) => step.name);
    expect(names).toEqual(expect.arrayContaining(["policy:project:a/rules.cedar", "policy:project:b/rules.cedar"]));
    const results = await perform(machine, [
      ["fs.list", {}],
      ["fs.search", { query: "x" }],
      ["fs.write", { path: "c", text: "a" }],
    ]);
    expect(results.map((result) => told(result).split(" ")[0])).toEqual(["EPERM", "EPERM", "ok"]);
  });

  it("BOO-10.3  of a project that nobody trusted only forbids count, in files and in lists; once trusted, its permits do too", async () => {
    const where = workspace();
    where.put(
      "rules.cedar",
      'permit(principal, action == Action::"net.fetch", resource);\nforbid(principal, action == Action::"fs.list", resource);\n',
    );
    where.put("daimon.yaml", "policy:\n  files:\n    - rules.cedar\n  allow:\n    - fs.commit\n  deny:\n    - fs.search\n");
    const machine = await up(where);
    expect(machine.findings.map((finding) => finding.message).join("\n")).toContain("config trust daimon.yaml");
    const calls = [fetchLocal, ["fs.list", {}], ["fs.search", { query: "x" }]] as const;
    const before = await perform(machine, calls);
    expect(told(before[0])).toMatch(/^EPERM .*no rule permits/);
    expect(told(before[1])).toMatch(/^EPERM/);
    expect(told(before[2])).toMatch(/^EPERM/);
    await down(machine);
    must(await acceptFile(where.layout, "daimon.yaml", 0));
    const trusted = await up(where);
    const after = await perform(trusted, calls);
    expect(told(after[0])).not.toMatch(/no rule permits/);
    expect(told(after[1])).toMatch(/^EPERM/);
    expect(told(after[2])).toMatch(/^EPERM/);
  });
});
