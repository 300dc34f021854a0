import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { errnos } from "../../src/abi/errno.ts";
import { limits } from "../../src/abi/limits.ts";
import { callsPage } from "../../tools/docs/calls.ts";
import { commandsPage } from "../../tools/docs/commands.ts";
import { errorsPage } from "../../tools/docs/errors.ts";
import { limitsPage } from "../../tools/docs/limits.ts";
import { specPage } from "../../tools/docs/spec.ts";
import { treeOf } from "../../tools/tidy/tree.ts";
import { node, put, scratch } from "./scratch.ts";

const folder = scratch();
const own = join(import.meta.dirname, "../..");
const reference = "docs/reference";

/** A checkout with the real tools and tables, and a call table of its own. */
function checkout(callTable: string): string {
  const root = folder();
  for (const path of ["tools", "src/abi", "src/lib"]) cpSync(join(own, path), join(root, path), { recursive: true });
  symlinkSync(join(own, "node_modules"), join(root, "node_modules"));
  put(root, "package.json", '{"type":"module"}');
  if (callTable !== "") put(root, "src/boot/calls.ts", `/** Calls: a table. */\n${callTable}\n`);
  return root;
}

const read = {
  name: "fs.read",
  summary: "Read a file.",
  input: {
    type: "object",
    properties: { path: { type: "string", description: "Which | one." }, lines: { type: ["integer", "null"] } },
    required: ["path"],
  },
  output: { type: "object", properties: { text: { type: "string" } } },
  effect: "read",
  reversible: true,
  recovery: "pure",
  roles: { path: "path", lines: "option" },
};

describe("docs", () => {
  test("TOOL-6.1 the specification is grouped by area and ordered by number, whatever the order of files", () => {
    const files = [
      { path: "src/lib/b.ts", text: "/**\n * B: second.\n *   ABC-1.10  Ten.\n *   ABC-1.9  Nine.\n */" },
      { path: "src/abi/a.ts", text: "/**\n * A: first.\n *   ABC-1.2  Two.\n */" },
      { path: "tools/c.mjs", text: "/**\n * C: third.\n *   AAA-1.1  One.\n */" },
    ];
    const page = specPage(treeOf("/srv/x", files));
    expect(page.match(/\*\*[A-Z]+-[\d.]+\*\* \w+\./g)).toEqual([
      "**AAA-1.1** One.",
      "**ABC-1.2** Two.",
      "**ABC-1.9** Nine.",
      "**ABC-1.10** Ten.",
    ]);
    expect(page).toContain("### [src/abi/a.ts](src/abi/a.ts)\n\nA: first.\n");
    expect(page).toContain("4 rules: [AAA](#aaa) 1 · [ABC](#abc) 3");
    expect(specPage(treeOf("/srv/x", files.toReversed()))).toBe(page);
  });

  test("TOOL-6.1 the error page has every errno", () => {
    const page = errorsPage(errnos);
    for (const [errno, row] of Object.entries(errnos)) {
      expect(page).toMatch(new RegExp(`\\| \`${errno}\` \\| .* \\| ${row.exit} \\| ${row.http} \\| ${row.rpc} \\|`));
    }
  });

  test("TOOL-6.1 a call's page has its arguments, roles and effects", () => {
    const page = callsPage([read, { name: "no spec" }]);
    expect(page).toContain("| [`fs.read`](#fsread) | Read a file. | read | yes |");
    expect(page).toContain("| `path` | `string` | yes | path | Which \\| one. |");
    expect(page).toContain("| `lines` | `integer \\| null` | no | option |  |");
    expect(page).toContain("It gives `text` (`string`).");
    expect(page).not.toContain("no spec");
  });

  test("TOOL-6.1 a command's page has its usage and options, listed or by name", () => {
    const page = commandsPage([
      {
        name: "run",
        summary: "Run a program.",
        usage: "daimon run NAME",
        options: [{ name: "cpu", value: "NAME", summary: "Which model." }],
      },
      { name: "ps", summary: "List processes.", options: { all: { short: "a", description: "The ended ones too." } } },
    ]);
    expect(page.indexOf("## daimon ps")).toBeLessThan(page.indexOf("## daimon run"));
    expect(page).toContain("```\ndaimon run NAME\n```");
    expect(page).toContain("| `--cpu NAME` | Which model. |");
    expect(page).toContain("| `-a, --all` | The ended ones too. |");
  });

  test("TOOL-6.2 what was written passes the check, and what changed is named", async () => {
    const root = checkout("");
    const script = join(root, "tools/docs.ts");
    const before = await node([script, "--check"]);
    expect(before.code).toBe(1);
    expect(before.stdout).toContain("SPEC.md:1 TOOL-6.2 is out of date");
    expect(existsSync(join(root, "SPEC.md"))).toBe(false);
    expect(await node([script])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await node([script, "--check"])).toEqual({ code: 0, stdout: "", stderr: "" });
    const page = join(root, reference, "errors.md");
    writeFileSync(page, readFileSync(page, "utf8").replace("EPERM", "EPERMS"));
    const after = await node([script, "--check"]);
    expect(after).toMatchObject({ code: 1, stdout: "docs/reference/errors.md:1 TOOL-6.2 is out of date; npm run docs\n" });
  });

  test("TOOL-6.3 a table has a page once it exists, and one that fails is named", async () => {
    const none = checkout("");
    await node([join(none, "tools/docs.ts")]);
    expect(existsSync(join(none, reference, "calls.md"))).toBe(false);
    const some = checkout(`export const callSpecs = () => [${JSON.stringify(read)}];`);
    expect(await node([join(some, "tools/docs.ts")])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(readFileSync(join(some, reference, "calls.md"), "utf8")).toContain("## fs.read");
    const broken = checkout('export function callSpecs(): never { throw new Error("no calls today"); }');
    expect(await node([join(broken, "tools/docs.ts")])).toMatchObject({
      code: 1,
      stdout: "docs: a table could not be loaded: no calls today\n",
    });
  });

  test("TOOL-6.4 every limit is listed with its unit and the comment above it", () => {
    const page = limitsPage(readFileSync(join(own, "src/abi/limits.ts"), "utf8"));
    for (const name of Object.keys(limits)) expect(page).toContain(`| \`${name}\` |`);
    expect(page).toContain(
      "| `inlineBytesMax` | 4 KiB | A value of more bytes goes to the blob store and the journal holds its digest. |",
    );
    expect(page).toContain("| `shellTimeoutMs` | 120 s |");
    expect(page).toContain("| `windowHighShare` | 80 % |");
  });
});
