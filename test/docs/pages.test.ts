import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { errnos } from "../../src/abi/errno.ts";
import { commands } from "../../src/cli/commands.ts";
import { entryKinds } from "../../src/abi/entry.ts";
import { firstMissing, markdownPages, readPage, root, scratch, valueOf, type Scratch } from "./scratch.ts";

const pages = markdownPages();
const open = new Set<Scratch>();
afterEach(() => {
  for (const place of open) place.remove();
  open.clear();
});

describe("links", () => {
  it.each(pages)("%s: every relative link leads to a file, and its anchor to a heading", (page) => {
    const { prose } = readPage(page);
    const wrong = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] ?? "")
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [file = "", anchor] = link.split("#");
        const target = file === "" ? page : path.posix.join(path.posix.dirname(page), file);
        if (!fs.existsSync(path.join(root, target))) return true;
        return anchor !== undefined && !anchors(target).includes(anchor);
      });
    expect(wrong).toEqual([]);
  });

  it("the README's table names only tests that are there", () => {
    const named = readPage("README.md").prose.match(/test\/[\w/.-]+\.test\.ts/g) ?? [];
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((file) => !fs.existsSync(path.join(root, file)))).toEqual([]);
  });

  it("every page is reached from the README or llms.txt", () => {
    const reached = ["README.md", "llms.txt"].map((page) => readPage(page).prose).join("\n");
    for (const page of pages.filter((name) => name.startsWith("docs/"))) expect(reached).toContain(`(${page})`);
  });
});

function anchors(page: string): readonly string[] {
  const headings = readPage(page).prose.match(/^#+ .*$/gm) ?? [];
  return headings.map((heading) => slug(heading.replace(/^#+ /, "")));
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

describe("words", () => {
  const common = ["json", "cwd", "quiet", "help", "no-color"];
  const optionsOf = new Map(commands.map((command) => [command.name, [...Object.keys(command.options), ...common]]));
  const every = new Set([...optionsOf.values()].flat());

  it.each(pages)("%s: every command and option exists", (page) => {
    const { blocks, prose } = readPage(page);
    const inline = [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
    const scripts = blocks.filter(({ lang }) => lang === "sh" || lang === "").flatMap(({ text }) => text.split("\n"));
    const wrong: string[] = [];
    for (const text of [...inline, ...scripts]) {
      const command = /^\s*(?:.*&& )?(?:timeout .* )?daimon (\S+)(.*)$/.exec(text);
      const name = command?.[1] ?? "";
      const isCommand = command !== null && /^[a-z]+$/.test(name) && name !== "log";
      if (isCommand && !optionsOf.has(name) && name !== "rn") wrong.push(text);
      const known = command !== null && optionsOf.has(name) ? new Set(optionsOf.get(name)) : every;
      if (command === null && !text.startsWith("--") && !text.includes(" --cpu")) continue;
      for (const [, option = ""] of text.matchAll(/(?:^|\s)--([a-z][a-z-]*)/g)) if (!known.has(option)) wrong.push(text);
    }
    expect(wrong).toEqual([]);
  });

  it("troubleshooting has a row for each errno, with its exit code", () => {
    const { prose } = readPage("docs/troubleshooting.md");
    for (const [errno, { exit }] of Object.entries(errnos)) expect(prose).toContain(`| ${exit} | \`${errno}\` |`);
  });

  it("programs and configuration name every key that can be written", async () => {
    const { declarationSchema } = await import("../../src/programs/declaration.ts");
    const programs = readPage("docs/programs.md").prose;
    for (const key of Object.keys(declarationSchema["properties"] as object)) expect(programs).toContain(`\`${key}\``);
    const { numberKeys, policyKeys } = await import("../../src/boot/config-file.ts");
    const settings = readPage("docs/configuration.md").blocks[0]?.text ?? "";
    for (const key of [...Object.values(numberKeys).map((spec) => spec.key), ...policyKeys])
      expect(settings).toMatch(new RegExp(`^ *${key}:`, "m"));
  });

  it("journal names every kind of entry", () => {
    const { prose } = readPage("docs/journal.md");
    for (const kind of entryKinds) expect(prose).toMatch(new RegExp(`^\\| .*\`${kind}\`.* \\|`, "m"));
  });

  it("models gives the days of the price table", async () => {
    const { prices } = await import("../../src/drivers/model/prices.ts");
    const days = prices.map((row) => row.asOf).toSorted();
    expect(readPage("docs/models.md").prose).toContain(`the oldest ${days[0]} and the newest ${days.at(-1)}`);
  });

  it("policy names every rule of the platform", async () => {
    const { platformPolicy } = await import("../../src/security/policy/platform.ts");
    const { prose } = readPage("docs/policy.md");
    for (const [, id = ""] of platformPolicy.text.matchAll(/@id\("([^"]+)"\)/g)) expect(prose).toContain(`\`${id}\``);
  });
});

describe("blocks", () => {
  /** The examples' page is run by test/examples. */
  const running = pages.filter(
    (page) => page !== "examples/README.md" && readPage(page).blocks.some(({ words }) => words.includes("run")),
  );

  it.for(running)(
    "%s: every block that is marked to run does what the page says",
    { timeout: 180_000 },
    async (page, { skip }) => {
      if (["docs/sandbox.md", "docs/guests.md", "docs/doors.md"].includes(page) && !(await hasSandbox()))
        skip("no sandbox on this machine: install bubblewrap, allow user namespaces");
      const place = scratch(page === "README.md" ? "examples/inbox" : "inbox");
      open.add(place);
      let printed = "";
      for (const block of readPage(page).blocks) {
        const where = `${page}:${block.line}`;
        const file = valueOf(block, "file");
        if (file !== null) place.put(file, `${linked(block.text)}\n`);
        else if (block.words.includes("run")) {
          const ran = place.bash(block.text);
          printed = ran.text;
          expect(`${where} exit ${ran.code}`, printed).toBe(`${where} exit ${valueOf(block, "exit") ?? 0}`);
        } else if (block.words.includes("output")) {
          const missing = firstMissing(block.text, printed);
          expect(missing, `${where} says this line, and what was printed is:\n${printed}`).toBeNull();
        }
      }
    },
  );

  async function hasSandbox(): Promise<boolean> {
    const { bwrapSandbox } = await import("../../src/drivers/sandbox/bwrap.ts");
    const { ZygoteClient } = await import("../../src/drivers/sandbox/zygote-client.ts");
    const helper = new ZygoteClient();
    const usable = await bwrapSandbox({ helper }).available();
    const started = await helper.start();
    await helper.close();
    return usable.ok && started.ok && started.value.mode === "mounts";
  }

  /** The package's name, as if it were installed. */
  function linked(text: string): string {
    return text.replaceAll(/ from "daimon";/g, ` from ${JSON.stringify(path.join(root, "src/index.ts"))};`);
  }
});
