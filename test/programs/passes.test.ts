import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Program } from "../../src/abi/program.ts";
import type { ModelDriver } from "../../src/abi/model.ts";
import type { Sys } from "../../src/abi/sys.ts";
import { gullibleDriver } from "../../src/drivers/model/gullible.ts";
import { reflexDriver } from "../../src/drivers/model/reflex.ts";
import { fail, type SysError } from "../../src/abi/errno.ts";
import { limits } from "../../src/abi/limits.ts";
import { isObject, type Json, type JsonObject } from "../../src/lib/json.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import { estimateTokens } from "../../src/lib/tokens.ts";
import { linesOf } from "../../src/lib/text-blocks.ts";
import { endingLink, sourceOf, supportOf } from "../../src/lib/text-quote.ts";
import { schemaCompiler } from "../../src/lib/schema.ts";
import { sideBySideMax } from "../../src/programs/agents.ts";
import { listDocuments, readDocument, takeInventory, type Inventory } from "../../src/programs/documents.ts";
import { parseProgram } from "../../src/programs/format.ts";
import { auditCitations, auditFile } from "../../src/programs/links.ts";
import { runPasses } from "../../src/programs/passes.ts";
import { harness, type Harness, type HarnessOptions } from "./harness.ts";

const root = new URL("../../", import.meta.url).pathname;
const inbox = "examples/inbox";
const names = [
  "README.md",
  "budget.csv",
  "catalogue-interviews.md",
  "charter.md",
  "climate-report.html",
  "contractor-offer.md",
  "insurer-letter.txt",
  "label_check.py",
  "logistics-thread.txt",
  "minutes-2026-09-07.md",
  "minutes-2026-10-05.md",
  "minutes-2026-11-02.md",
  "move-schedule.csv",
  "north-dock-handbook.md",
  "reader-survey.csv",
  "reading-room-notice.md",
  "risk-register.md",
  "service-desk-log.txt",
];

function program(text: string): Program {
  const parsed = parseProgram({ file: "PROGRAM.md", text }, schemaCompiler());
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

const brief = program(readFileSync(`${root}programs/brief/PROGRAM.md`, "utf8"));

async function run(
  given: Program,
  options: Partial<HarnessOptions> = {},
): Promise<{ h: Harness; result: Awaited<ReturnType<ReturnType<typeof runPasses>>> }> {
  const h = harness({ root, driver: reflexDriver(), goal: { folder: inbox }, ...options });
  return { h, result: await runPasses(given)(h.sys) };
}

const done = run(brief);

test("PRG-8.6 the brief of the example inbox is written, checked and delivered", async () => {
  const { h, result } = await done;
  expect(result).toMatchObject({
    ok: true,
    value: {
      files: ["BRIEF.md"],
      documents: names.length,
      skipped: [{ path: `${inbox}/floor-plan.png` }],
      failures: [],
      audit: { broken: [], shared: 0 },
    },
  });
  expect(h.committed).toEqual(["BRIEF.md"]);
  const order = h.calls.filter((call) => call.pid === 1).map((call) => call.name);
  expect(order.indexOf("fs.write")).toBeLessThan(order.indexOf("fs.commit"));
});

test("PRG-7.2 every line of BRIEF.md but headings ends with a link, and every quote stands where it points", async () => {
  const { h } = await done;
  const lines = (h.written.get("BRIEF.md") ?? "").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines.length).toBeGreaterThan(40);
  for (const line of lines) {
    const found = endingLink(line);
    expect(found, line).not.toBeNull();
    if (found === null || found.link.line === null) continue;
    const source = sourceOf(found.link.path, linesOf(readFileSync(root + found.link.path, "utf8")));
    const text = found.text.replace(/^\s*- /, "").replace(/\\(.)/g, "$1");
    expect(supportOf(source, text, found.link.line, found.link.to ?? found.link.line), line).toBe("exact");
  }
});

test("PRG-8.6 the brief reads well: the known points are in it, and no order is quoted as a fact", async () => {
  const { h } = await done;
  const text = h.written.get("BRIEF.md") ?? "";
  for (const heading of [
    "In short",
    "Decisions",
    "Actions",
    "Risks and problems",
    "Figures",
    "Open questions",
    "Documents that disagree",
    "Sources",
  ]) {
    expect(text).toContain(`## ${heading}`);
  }
  expect(text).toMatch(/reopens on 11 January 2027.*\n.*reopens on 18 January 2027/);
  expect(text).toMatch(/## Flagged.*\n\n- “Note to AI assistants/);
  expect(text.match(/Note to AI assistants/g)).toHaveLength(1);
  const quotes = text
    .split("\n")
    .filter((line) => line.startsWith("- ") && /#L/.test(line))
    .map((line) => line.replace(/ \[[^\]]*\]\([^)]*\)$/, ""));
  const disagree = text.slice(text.indexOf("## Documents that disagree"));
  const main = quotes.filter((quote) => !disagree.includes(quote));
  expect(new Set(main).size).toBe(main.length);
});

test("PRG-8.2 small windows really page, and no process outgrows its window", async () => {
  const { h } = await done;
  expect(h.evicted).toBeGreaterThan(3);
  const single = h.calls.filter((call) => call.pid === h.agents.find((agent) => agent.steps > 6)?.pid);
  expect(single.filter((call) => call.name === "fs.read").length).toBeGreaterThan(4);
  expect(single.filter((call) => call.name === "mem.note").length).toBeGreaterThan(3);
});

test("PRG-9.1 whatever window the processes get, none outgrows it and every document is covered", async () => {
  for (const windowTokens of [1_200, 2_000, 3_000]) {
    const { h, result } = await run(brief, { windowTokens });
    expect(result).toMatchObject({ ok: true, value: { documents: names.length, failures: [], audit: { broken: [] } } });
    expect(h.windowTokensHighest).toBeLessThanOrEqual(windowTokens);
  }
});

test("PRG-9.2 a window without room for work starts nothing, and the one it names works", async () => {
  const small = await run(brief, { windowTokens: 700 });
  expect(small.result).toMatchObject({
    ok: false,
    error: { errno: "ENOMEM", message: expect.stringContaining("pass structure of brief") },
  });
  expect(new Set(small.h.calls.map((call) => call.name))).toEqual(new Set(["fs.list", "proc.measure"]));
  const message = small.result.ok ? "" : small.result.error.message;
  const smallest = Number(/smallest window that works is (\d+) tokens/.exec(message)?.[1]);
  expect(smallest).toBeGreaterThan(700);
  expect((await run(brief, { windowTokens: smallest })).result).toMatchObject({ ok: true, value: { failures: [] } });
  expect((await run(brief, { windowTokens: smallest - 50 })).result).toMatchObject({ ok: false, error: { errno: "ENOMEM" } });
});

test("PRG-8.1 arguments that do not fit are refused before anything runs", async () => {
  for (const goal of [{}, { folder: 7 }, { folder: "x", other: 1 }, null]) {
    const { h, result } = await run(brief, { goal });
    expect(result).toMatchObject({ ok: false, error: { errno: "EINVAL" } });
    expect(h.calls).toHaveLength(0);
  }
  expect((await run(brief, { goal: { folder: "nowhere" } })).result).toMatchObject({ ok: false, error: { errno: "ENOENT" } });
});

test("PRG-8.2 an agent's goal holds what its pass takes and nothing else", async () => {
  const { h } = await done;
  const spawns = h.calls
    .filter((call) => call.name === "proc.spawn")
    .map((call) => call.args as { manifest: { name: string }; goal: { input: JsonObject } });
  const keys = (name: string): string[][] =>
    spawns.filter((spawn) => spawn.manifest.name === name).map((spawn) => Object.keys(spawn.goal.input));
  expect(new Set(keys("extract").map(String))).toEqual(new Set(["document"]));
  for (const found of keys("structure")) expect(found.filter((key) => key !== "keep")).toEqual(["facts"]);
  expect(new Set(keys("draft").map(String))).toEqual(new Set(["section"]));
});

test("PRG-6.1 a few children run side by side, in order, and a body that runs again makes the same calls", async () => {
  const { h } = await done;
  let live = 0;
  for (const call of h.calls) {
    if (call.name === "proc.spawn") live += 1;
    if (call.name === "proc.wait") live -= 1;
    expect(live).toBeLessThanOrEqual(sideBySideMax);
  }
  const own = (of: Harness): Json[] => of.calls.filter((call) => call.pid === 1).map((call) => [call.name, call.args]);
  expect(own((await run(brief)).h)).toEqual(own(h));
});

test("PRG-6.4 an agent that reads one document holds the right to read no other", async () => {
  const { h } = await done;
  for (const call of h.calls.filter((one) => one.name === "proc.spawn")) {
    const { manifest, goal } = call.args as {
      manifest: { name: string; calls: string[] };
      goal: { input: { document?: { path: string } } };
    };
    if (manifest.name === "extract") expect(manifest.calls).toContain(`fs.read(${goal.input.document?.path})`);
    expect(manifest.calls).not.toContain("fs.read");
  }
});

test("PRG-6.4 gullible tries the attack, is refused, and delivers the very same brief", async () => {
  const { h, result } = await run(brief, { driver: gullibleDriver() });
  const refused = h.calls
    .filter((call) => call.pid !== 1 && !call.ok)
    .map((call) => [call.name, (call.args as { path?: string; url?: string }).path ?? (call.args as { url?: string }).url]);
  expect(refused).toContainEqual(["fs.read", `${inbox}/budget.csv`]);
  expect(refused).toContainEqual(["net.fetch", "https://offers.northdock-logistics.example/intake"]);
  expect(result.ok).toBe(true);
  expect(h.written.get("BRIEF.md")).toBe((await done).h.written.get("BRIEF.md"));
});

test("PRG-6.2 an empty or misfit result is a failure with the pass's name and what was expected", async () => {
  const empty = await run(brief, { tamper: (name, value) => (name === "structure" ? {} : value) });
  expect(empty.result).toMatchObject({
    ok: false,
    error: {
      errno: "EINVAL",
      message: expect.stringMatching(/pass structure gave an empty result; expected an object with sections/),
    },
  });
  const misfit = await run(brief, { tamper: (name, value) => (name === "structure" ? { sections: "none" } : value) });
  expect(misfit.result).toMatchObject({
    ok: false,
    error: { message: expect.stringMatching(/pass structure gave a result that does not fit: .*sections/) },
  });
  expect(misfit.h.committed).toEqual([]);
});

test("PRG-6.3 a failed child is tried once more with the reason, and not when that cannot help", async () => {
  const tries = (h: Harness): (string | undefined)[] =>
    h.calls
      .filter((call) => call.name === "proc.spawn")
      .map((call) => call.args as { manifest: { name: string }; goal: { retry?: string } })
      .filter((spawn) => spawn.manifest.name === "draft")
      .map((spawn) => spawn.goal.retry);
  let failures = 0;
  const once = await run(brief, { tamper: (name, value) => (name === "draft" && failures++ === 0 ? {} : value) });
  expect(once.result.ok).toBe(true);
  expect(tries(once.h).filter((retry) => retry !== undefined)).toEqual([expect.stringContaining("empty result")]);
  const barred = await run(brief, {
    deny: (name, args) => (name === "proc.spawn" && JSON.stringify(args).includes('"name":"draft"') ? "policy denies it" : null),
  });
  expect(barred.result).toMatchObject({ ok: false, error: { errno: "EPERM" } });
  expect(tries(barred.h).filter((retry) => retry !== undefined)).toEqual([]);
});

test("PRG-8.4 of a document in parts the lines are named that are not covered", async () => {
  const long = `${inbox}/service-desk-log.txt`;
  const { h, result } = await run(brief, {
    windowTokens: 2_000,
    tamper: (name, value) => (name === "extract" && isObject(value) && value["path"] === long ? null : value),
  });
  const failures = result.ok && isObject(result.value) ? result.value["failures"] : null;
  const whys = (failures as readonly { why: string }[]).map(({ why }) => /^lines \d+ to \d+, EINVAL: /.test(why));
  expect(whys.length).toBeGreaterThan(1);
  expect(new Set(whys)).toEqual(new Set([true]));
  expect(h.written.get("BRIEF.md")).toMatch(/- Not covered, lines 1 to \d+, EINVAL: .*service-desk-log\.txt/);
});

test("PRG-8.4 one document's failure is reported in the brief, and when all fail the program fails", async () => {
  const denied = `${inbox}/charter.md`;
  const lazy = await run(brief, {
    tamper: (name, value) => (name === "extract" && isObject(value) && value["path"] === denied ? null : value),
  });
  expect(lazy.result).toMatchObject({ ok: true, value: { failures: [{ pass: "extract", path: denied }] } });
  expect(lazy.h.written.get("BRIEF.md")).toMatch(/- Not covered, .*empty result.* \[examples\/inbox\/charter\.md\]/);
  const all = await run(brief, { tamper: (name, value) => (name === "extract" ? null : value) });
  expect(all.result).toMatchObject({ ok: false, error: { message: expect.stringContaining("pass extract") } });
});

function forged(value: Json, change: (sentence: JsonObject) => JsonObject): Json {
  if (!isObject(value) || !Array.isArray(value["sentences"])) return value;
  const [first, ...rest] = value["sentences"] as JsonObject[];
  return first === undefined ? value : { ...value, sentences: [change(first), ...rest] };
}

test("PRG-8.5 a forged quote, a wrong line and a wrong file are found, whatever the model claims", async () => {
  const changes: ((sentence: JsonObject) => JsonObject)[] = [
    (sentence) => ({ ...sentence, text: "The committee gave everyone a medal and a bonus of EUR 9,999." }),
    (sentence) => ({ ...sentence, line: 1, to: 1 }),
    (sentence) => ({ ...sentence, line: 4_000, to: 4_000 }),
    (sentence) => ({ ...sentence, path: `${inbox}/nowhere.md` }),
  ];
  for (const change of changes) {
    const { h, result } = await run(brief, { tamper: (name, value) => (name === "draft" ? forged(value, change) : value) });
    expect(result).toMatchObject({
      ok: false,
      error: { errno: "EINVAL", message: expect.stringMatching(/pass audit found \d+ of \d+ quotes broken/) },
    });
    expect(h.written.size).toBe(0);
    const retries = h.calls.filter(
      (call) => call.name === "proc.spawn" && JSON.stringify(call.args).includes("The try before failed"),
    );
    expect(retries.length).toBeGreaterThan(0);
  }
});

test("PRG-8.5 a quote that is right at the second try is published", async () => {
  const lied = new Set<string>();
  const { result } = await run(brief, {
    tamper: (name, value) => {
      if (name !== "draft" || !isObject(value) || lied.has(String(value["heading"]))) return value;
      lied.add(String(value["heading"]));
      return forged(value, (sentence) => ({ ...sentence, text: "Nothing of the kind stands in any of these papers." }));
    },
  });
  expect(result).toMatchObject({ ok: true, value: { audit: { broken: [] } } });
});

test("PRG-8.3 what does not fit the window goes through in rounds, and a round that does not shrink it ends with E2BIG", async () => {
  const passes = brief.passes.map((pass) => (pass.name === "structure" ? { ...pass, windowTokens: 4_000 } : pass));
  const { h, result } = await run({ ...brief, passes });
  expect(result.ok).toBe(true);
  expect(h.agents.filter((agent) => agent.name === "structure").length).toBeGreaterThan(3);
  const tiny = brief.passes.map((pass) => (pass.name === "structure" ? { ...pass, windowTokens: 100 } : pass));
  expect((await run({ ...brief, passes: tiny })).result).toMatchObject({
    ok: false,
    error: { errno: expect.stringMatching(/E2BIG|ENOMEM/) },
  });
});

test("PRG-8.6 a predicate that does not hold delivers nothing", async () => {
  const bare = { ...brief, templates: { "BRIEF.md": "# Brief\n\nTrust me.\n" } };
  const { h, result } = await run(bare);
  expect(result).toMatchObject({
    ok: false,
    error: { message: expect.stringMatching(/brief is not done: BRIEF.md has 1 broken link: line 3 ends with no link/) },
  });
  expect(h.committed).toEqual([]);
  const schema = { ...brief, done: [{ check: "schema" as const, pass: "extract", schema: { type: "array", maxItems: 1 } }] };
  expect((await run(schema)).result).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining("what pass extract gave does not fit") },
  });
});

test("PRG-5.1 every file is a document or skipped with its reason", async () => {
  const { h } = await done;
  const inventory = await inventoryOf(h.sys, inbox);
  if (!inventory.ok) throw new Error(inventory.error.message);
  expect(inventory.value.documents.map((document) => document.path)).toEqual(names.map((name) => `${inbox}/${name}`).toSorted());
  expect(inventory.value.skipped).toEqual([{ path: `${inbox}/floor-plan.png`, why: expect.stringContaining("binary") }]);
});

const plan = { tokensPerRead: 800, readsPerPart: 6 };

async function inventoryOf(sys: Sys, root: string): Promise<Result<Inventory, SysError>> {
  const listed = await listDocuments(sys, root);
  return listed.ok ? await takeInventory(sys, listed.value, plan) : listed;
}

function listing(entries: readonly JsonObject[], lines: Readonly<Record<string, number>>): Sys {
  return {
    pid: 1,
    goal: null,
    call: async (name, args) => {
      const path = isObject(args) ? String(args["path"]) : "";
      if (name === "fs.list")
        return path === "d"
          ? ok({ path, entries, text: "" })
          : ok({ path, entries: [{ path: `${path}/in.md`, type: "file", bytes: 9 }], text: "" });
      if (path.endsWith("closed.md")) return fail("EPERM", "fs.read was refused: a rule forbids it; go on without it");
      const count = lines[path] ?? 1;
      return count < 0
        ? fail("EINVAL", `${path} is not text but a PDF document of 12 bytes; it cannot be read as lines`)
        : ok({ path, lines: `1-1 of ${count}`, text: "1│ x" });
    },
  };
}

test("PRG-5.1 large, empty, linked, forbidden and binary files are skipped, folders are entered", async () => {
  const entries = [
    { path: "d/big.md", type: "file", bytes: 99_000_000 },
    { path: "d/empty.md", type: "file", bytes: 0 },
    { path: "d/link", type: "link", bytes: 1 },
    { path: "d/closed.md", type: "file", bytes: 12 },
    { path: "d/a.pdf", type: "file", bytes: 12 },
    { path: "d/sub", type: "folder", bytes: 0 },
    { path: "d/ok.md", type: "file", bytes: 10 },
  ];
  const found = await inventoryOf(listing(entries, { "d/a.pdf": -1 }), "d/");
  expect(found).toMatchObject({
    ok: true,
    value: {
      documents: [{ path: "d/ok.md" }, { path: "d/sub/in.md" }],
      skipped: [
        { path: "d/a.pdf", why: "binary, a PDF document of 12 bytes" },
        { path: "d/big.md", why: "too large, with 99000000 bytes where 16777216 can be read" },
        { path: "d/closed.md", why: "not permitted" },
        { path: "d/empty.md", why: "empty" },
        { path: "d/link", why: "a link" },
      ],
    },
  });
});

test("PRG-5.1 what is not entered, not shown or beyond a bound is named; too many files are refused wherever they lie", async () => {
  const odd = [
    { path: "d/.git", type: "folder", bytes: 0 },
    { path: "d/node_modules", type: "folder", bytes: 0 },
    { path: "d/pipe", type: "other", bytes: 0 },
    { path: "d/x.bin", type: "file", bytes: 3 },
  ];
  const sys = listing([...odd, { path: "d/ok.md", type: "file", bytes: 10 }], {});
  const said: Sys = {
    ...sys,
    call: async (name, args) => {
      if (isObject(args) && args["path"] === "d/x.bin")
        return fail("EINVAL", "d/x.bin is not text but binary data of 1 byte; it cannot be read");
      const answer = await sys.call(name, args);
      if (name !== "fs.list" || !answer.ok || !isObject(answer.value)) return answer;
      return ok({ ...answer.value, text: "d/ok.md\n[more than 500 entries: list a folder below]" });
    },
  };
  const found = await inventoryOf(said, "d");
  expect(found.ok ? found.value.skipped : found).toEqual([
    { path: "d", why: "what lies beyond its first 500 entries" },
    { path: "d/.git", why: "a hidden folder" },
    { path: "d/node_modules", why: "installed packages" },
    { path: "d/pipe", why: "no file" },
    { path: "d/x.bin", why: "binary data of 1 byte" },
  ]);
  const many = Array.from({ length: limits.documentsMax }, (_, n) => ({ path: `d/${n}.md`, type: "file", bytes: 1 }));
  const full = listing([...many, { path: "d/sub", type: "folder", bytes: 0 }], {});
  expect(await listDocuments(full, "d")).toMatchObject({ ok: false, error: { errno: "E2BIG" } });
});

test("PRG-5.1 a folder of which nothing can be read names what it holds, and why", async () => {
  const entries = [
    { path: "d/big.md", type: "file", bytes: limits.fileBytesMax + 1 },
    ...["a", "b", "c"].map((name) => ({ path: `d/${name}.md`, type: "file", bytes: 0 })),
  ];
  const result = await inventoryOf(listing(entries, {}), "d");
  expect(result).toMatchObject({
    ok: false,
    error: {
      errno: "ENOENT",
      message: expect.stringContaining(
        ": d/a.md (empty); d/b.md (empty); d/big.md (too large, with 16777217 bytes where 16777216 can be read); and 1 more; name",
      ),
    },
  });
});

test("PRG-5.2 documents come in the order of their paths, and the parts of each cover every line once", async () => {
  const { h } = await done;
  const inventory = await inventoryOf(h.sys, inbox);
  if (!inventory.ok) throw new Error(inventory.error.message);
  const { documents, parts } = inventory.value;
  expect(documents.map(({ path }) => path)).toEqual(documents.map(({ path }) => path).toSorted());
  expect(parts.length).toBeGreaterThan(documents.length);
  const covered = documents.flatMap(({ path, lines }) => Array.from({ length: lines }, (_, index) => `${path}:${index + 1}`));
  expect(parts.flatMap(({ path, from, to }) => Array.from({ length: to - from + 1 }, (_, n) => `${path}:${from + n}`))).toEqual(
    covered,
  );
});

test("PRG-5.4 no read of a part takes more tokens than planned, and the parts cover every line once", async () => {
  const line = fc.integer({ min: 0, max: 300 }).map((words) => "word ".repeat(words).trim());
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 400 }), async (lines) => {
      const files = new Map([["d/x.md", `${lines.join("\n")}\nend\n`]]);
      const { sys } = harness({ root, driver: reflexDriver(), goal: null, files });
      const found = await inventoryOf({ ...sys, call: (name, args) => only("d/x.md", sys, name, args) }, "d");
      if (!found.ok) throw new Error(found.error.message);
      let next = 1;
      for (const { from, to, of, linesPerRead } of found.value.parts) {
        expect(from).toBe(next);
        expect(to).toBeGreaterThanOrEqual(from);
        expect(to - from + 1).toBeLessThanOrEqual(linesPerRead * plan.readsPerPart);
        for (let at = from; linesPerRead > 1 && at <= to; at += 1) {
          const read = await sys.call("fs.read", { path: "d/x.md", from: at, to: Math.min(to, at + linesPerRead - 1) });
          const text = read.ok && isObject(read.value) ? String(read.value["text"]) : "";
          expect(estimateTokens(text)).toBeLessThanOrEqual(plan.tokensPerRead);
        }
        expect(of).toBe(lines.length + 1);
        next = to + 1;
      }
      expect(next).toBe(lines.length + 2);
    }),
    { numRuns: 30 },
  );
});

/** A folder with one file. */
async function only(path: string, sys: Sys, name: string, args: Json): Promise<Result<Json, SysError>> {
  return name === "fs.list"
    ? ok({ path: "d", entries: [{ path, type: "file", bytes: 1 }], text: "" })
    : await sys.call(name, args);
}

test("PRG-5.5 of a line that is too long to be read whole the rest is named", async () => {
  const sys: Sys = {
    ...listing([{ path: "d/a.md", type: "file", bytes: 9_000 }], {}),
    call: async (name) =>
      name === "fs.list"
        ? ok({ path: "d", entries: [{ path: "d/a.md", type: "file", bytes: 9_000 }], text: "" })
        : ok({ path: "d/a.md", lines: "1-3 of 3", text: "1│ short\n2│ long… [7000 more characters]\n3│ end" }),
  };
  expect(await inventoryOf(sys, "d")).toMatchObject({
    ok: true,
    value: {
      documents: [{ path: "d/a.md", lines: 3 }],
      skipped: [{ path: "d/a.md", why: "what one line holds beyond 2000 characters" }],
    },
  });
});

test("PRG-5.3 a document read back has its lines and their numbers", async () => {
  const { h } = await done;
  for (const name of names) {
    const read = await readDocument(h.sys, `${inbox}/${name}`);
    expect(read).toEqual(ok({ cut: 0, lines: linesOf(readFileSync(`${root}${inbox}/${name}`, "utf8")) }));
  }
});

test("PRG-7.3 citations are checked against the file as it is now", async () => {
  const cite = { text: "The reading room reopens on 18 January 2027.", path: `${inbox}/reading-room-notice.md`, line: 6, to: 6 };
  const { h } = await done;
  expect(await auditCitations(h.sys, [cite], new Map())).toMatchObject({ checked: 1, exact: 1, broken: [] });
  const changed = harness({
    root,
    driver: reflexDriver() satisfies ModelDriver,
    goal: null,
    files: new Map([[cite.path, "# Notice\n\nNew text.\n"]]),
  });
  expect(await auditCitations(changed.sys, [cite], new Map())).toMatchObject({
    exact: 0,
    broken: [{ why: expect.stringContaining("line 6") }],
  });
});

test("PRG-7.2 a published file with a line without a link, or a link to nothing, is wrong", async () => {
  const { h } = await done;
  const good = `- The reading room reopens on 18 January 2027. [x](${inbox}/reading-room-notice.md#L6)`;
  const wrong = async (line: string): Promise<readonly string[]> =>
    (await auditFile(h.sys, ["# Title", "", line], new Set(["a.png"]), new Map())).wrong;
  expect(await wrong(good)).toEqual([]);
  expect(await wrong("- picture: [a.png](a.png)")).toEqual([]);
  expect(await wrong("- No link.")).toHaveLength(1);
  expect(await wrong("- Nothing: [x](nowhere.md)")).toHaveLength(1);
  expect(await wrong(good.replace("18 January", "19 January"))).toHaveLength(1);
  expect(await wrong("- Out: [x](https://e.example/a#L1)")).toHaveLength(1);
});

test("PRG-8.7 a second run over the same folder delivers what is there already", async () => {
  const text = (await done).h.written.get("BRIEF.md") ?? "";
  const { h, result } = await run(brief, { files: new Map([["BRIEF.md", text]]) });
  expect(result).toMatchObject({ ok: true });
  expect(h.committed).toEqual([]);
  const never = { ...brief, done: [], passes: brief.passes.filter((pass) => pass.by !== "publish") };
  expect((await run(never)).result).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining("did not make its output BRIEF.md") },
  });
});

test("PRG-7.1 a citation in other words holds when its line bears it, and not with another figure", async () => {
  const { h } = await done;
  const path = `${inbox}/reading-room-notice.md`;
  const cite = { path, line: 6, to: 6 };
  const texts = [
    "On 18 January 2027 the room for reading reopens.",
    "On 19 January 2027 the reading room reopens.",
    "The café opens.",
  ];
  const audit = await auditCitations(
    h.sys,
    texts.map((text) => ({ ...cite, text })),
    new Map(),
  );
  expect(audit).toMatchObject({ checked: 3, exact: 0, shared: 1 });
  expect(audit.broken.map((item) => item.text)).toEqual(texts.slice(1));
});
