import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { CallContext, CallHandler, CallValue, Verdict } from "../../../src/abi/call.ts";
import { fail, type SysError } from "../../../src/abi/errno.ts";
import type { Session } from "../../../src/abi/files.ts";
import { limits } from "../../../src/abi/limits.ts";
import { copySessions } from "../../../src/drivers/files/copy.ts";
import { openMemoryBlobs } from "../../../src/drivers/store/memory-blobs.ts";
import { fsCalls, type FsDeps } from "../../../src/drivers/tool/fs.ts";
import { Texts } from "../../../src/drivers/tool/fs-text.ts";
import { shellCalls } from "../../../src/drivers/tool/shell.ts";
import { sha256 } from "../../../src/lib/hash.ts";
import { isObject, type JsonObject } from "../../../src/lib/json.ts";
import { ok, type Result } from "../../../src/lib/result.ts";
import { estimateTokens } from "../../../src/lib/tokens.ts";
import { value } from "../../contract/session.ts";

const top = mkdtempSync(join(tmpdir(), "calls-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const context: CallContext = { pid: 1, id: "1.0.0", signal: new AbortController().signal, now: 0, frozen: null };

function opened(files: Readonly<Record<string, string | Buffer>>, deps: Partial<FsDeps> = {}) {
  const folder = mkdtempSync(join(top, "test-"));
  const lower = join(folder, "workspace");
  mkdirSync(lower);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(lower, path, ".."), { recursive: true });
    writeFileSync(join(lower, path), text);
  }
  const driver = copySessions({ blobs: openMemoryBlobs(), hide: [] });
  // This driver opens at once.
  const session = value(driver.open({ pid: 1, lower, home: join(folder, "home") }) as Result<Session, SysError>);
  const reads: string[] = [];
  const read = session.read.bind(session);
  session.read = (path) => {
    reads.push(path);
    return read(path);
  };
  const calls = fsCalls({
    session: () => ok(session),
    tier: () => null,
    diff: () => ok(""),
    freeze: () => fail("ENOSYS", "not here"),
    commit: () => fail("ENOSYS", "not here"),
    workspace: () => ok(new Map()),
    searchable: () => () => true,
    ...deps,
  });
  const handler = (name: string): CallHandler => {
    const found = calls.find((call) => call.spec.name === name);
    if (found === undefined) throw new Error(name);
    return found;
  };
  const call = async (name: string, args: JsonObject): Promise<Result<CallValue, SysError>> =>
    handler(name).perform(args as never, context);
  const get = async (name: string, args: JsonObject): Promise<JsonObject> => {
    const result = value(await call(name, args)).value;
    if (!isObject(result)) throw new Error("an object");
    return result;
  };
  const refused = async (name: string, args: JsonObject): Promise<string> => {
    const result = await call(name, args);
    return result.ok ? "ok" : `${result.error.errno} ${result.error.message}`;
  };
  const verify = async (name: string, args: JsonObject): Promise<Verdict> =>
    (await handler(name).verify?.(args as never, context)) ?? { verdict: "unknown", why: "none" };
  return { call, get, refused, verify, calls, session, lower, reads };
}

describe("file calls", () => {
  test("FIL-13.1 fs.read numbers lines and names them as its source", async () => {
    const { call } = opened({ a: "one\ntwo\r\nthree" });
    const result = value(await call("fs.read", { path: "a", from: 2 }));
    expect(result.value).toEqual({ path: "a", lines: "2-3 of 3", digest: sha256("one\ntwo\r\nthree"), text: "2│ two\n3│ three" });
    expect(result.source).toBe("a#L2-L3");
    expect(result.label).toEqual({ integrity: "untrusted", confidentiality: "workspace" });
  });

  test("FIL-13.1 a long file is read on and on until its end, each part within the bound", async () => {
    const lines = Array.from({ length: 900 }, (_, index) => `line ${index + 1} with some words in it`);
    const { get } = opened({ long: lines.join("\n"), wide: "x".repeat(500_000) });
    const got: string[] = [];
    for (let from = 1, rounds = 0; rounds < 50; rounds += 1) {
      const { text } = await get("fs.read", { path: "long", from });
      expect(estimateTokens(String(text))).toBeLessThanOrEqual(limits.resultTokensMax);
      const shown = String(text).split("\n");
      got.push(...shown.filter((line) => line.includes("│ ")).map((line) => line.slice(line.indexOf("│ ") + 2)));
      const next = /"from":(\d+)\}\]$/.exec(String(text))?.[1];
      if (next === undefined) break;
      from = Number(next);
    }
    expect(got).toEqual(lines);
    expect(estimateTokens(String((await get("fs.read", { path: "wide" }))["text"]))).toBeLessThanOrEqual(limits.resultTokensMax);
  });

  test("FIL-13.1 what is not text, not there, or beyond the end says so", async () => {
    const { refused, get } = opened({
      "x.png": Buffer.from("89504e470d0a1a0a00", "hex"),
      latin: Buffer.from([0x67, 0xfc]),
      nul: "a\0b",
      a: "1\n",
      empty: "",
    });
    expect(await refused("fs.read", { path: "x.png" })).toMatch(/^EINVAL .*a PNG image of 9 bytes/);
    expect(await refused("fs.read", { path: "latin" })).toMatch(/^EINVAL .*another encoding/);
    expect(await refused("fs.read", { path: "nul" })).toMatch(/^EINVAL .*binary data of 3 bytes/);
    expect(await refused("fs.read", { path: "none" })).toMatch(/^ENOENT .*fs\.list/);
    expect(await refused("fs.read", { path: "a", from: 5 })).toMatch(/^EINVAL .*has 1 line;/);
    expect(await get("fs.read", { path: "empty" })).toMatchObject({ lines: "none, the file is empty", text: "" });
  });

  test("FIL-13.9 a text is read from its file once for all its windows, and anew when the file changed", async () => {
    const text = Array.from({ length: 400 }, (_, index) => `line ${index + 1} with some words in it`).join("\n");
    const { get, session, lower, reads } = opened({ a: text });
    const line = async (n: number): Promise<unknown> => (await get("fs.read", { path: "a", from: n, to: n }))["text"];
    for (const n of [1, 200, 400]) expect(await line(n)).toContain(`${n}│ line ${n} with some words in it`);
    expect(reads).toEqual(["a"]);
    value(await session.write("a", Buffer.from(text.replace("line 1 ", "LINE 1 ")), sha256(text)));
    expect(await line(1)).toContain("1│ LINE 1 with");
    value(await session.settle(value(await session.changes())));
    expect(await line(1)).toContain("1│ line 1 with");
    writeFileSync(join(lower, "a"), "another");
    expect(await line(1)).toBe("1│ another");
    expect(reads).toEqual(["a", "a", "a", "a"]);
  });

  test("FIL-13.10 the text that was read longest ago is forgotten first, and one beyond the bound at once", async () => {
    const { session, reads } = opened({
      a: "a\n".repeat(100),
      b: "b\n".repeat(100),
      c: "c\n".repeat(100),
      large: "x".repeat(2_000),
    });
    const texts = new Texts(1_300);
    for (const path of ["a", "b", "a", "c", "a", "b", "large", "large", "a"]) value(await texts.read(session, path));
    expect(reads).toEqual(["a", "b", "c", "b", "large", "large", "a"]);
  });

  test("FIL-13.2 fs.edit replaces what occurs once, and says where when it is not once", async () => {
    const { get, refused } = opened({ a: "one\ntwo\none\n$& and  two\n" });
    expect(await refused("fs.edit", { path: "a", old: "one", new: "1" })).toMatch(/^EINVAL .*occurs 2 times in a, at lines 1, 3/);
    expect(await refused("fs.edit", { path: "a", old: "$& and two", new: "x" })).toMatch(
      /^ENOENT .*line 4 is the same but for white space/,
    );
    expect(await refused("fs.edit", { path: "a", old: "three", new: "x" })).toMatch(/^ENOENT .*copy the text exactly/);
    expect(await get("fs.edit", { path: "a", old: "two\n", new: "$&$1\n" }).catch(() => null)).toBeNull();
    expect(await get("fs.edit", { path: "a", old: "\ntwo\n", new: "\n$&$1\n" })).toMatchObject({ replaced: 1, line: 1 });
    expect(await get("fs.edit", { path: "a", old: "one", new: "1", all: true })).toMatchObject({ replaced: 2 });
    expect((await get("fs.read", { path: "a" }))["text"]).toBe("1│ 1\n2│ $&$1\n3│ 1\n4│ $& and  two");
  });

  test("FIL-13.2 fs.edit does not undo what was written between its look and its write", async () => {
    const folder = mkdtempSync(join(top, "race-"));
    mkdirSync(join(folder, "workspace"));
    writeFileSync(join(folder, "workspace", "a"), "mine and more");
    const driver = copySessions({ blobs: openMemoryBlobs(), hide: [] });
    const session = value(await driver.open({ pid: 1, lower: join(folder, "workspace"), home: join(folder, "home") }));
    const read = async (path: string): Promise<Result<Buffer, SysError>> => {
      const before = await session.read(path);
      value(await session.write(path, Buffer.from("mine and theirs")));
      return before;
    };
    const write: Session["write"] = (path, data, expected) => session.write(path, data, expected);
    const raced = Object.create(session, { read: { value: read }, write: { value: write } }) as Session;
    const { refused } = opened({}, { session: () => ok(raced) });
    expect(await refused("fs.edit", { path: "a", old: "mine", new: "yours" })).toMatch(/^ESTALE /);
    expect(value(await session.read("a")).toString()).toBe("mine and theirs");
  });

  test("FIL-13.3 fs.write refuses an empty text and a stale digest", async () => {
    const { get, refused } = opened({ a: "1" });
    expect(await refused("fs.write", { path: "a", text: "" })).toMatch(/^EINVAL /);
    expect(await refused("fs.write", { path: "a", text: "2", expect: sha256("0") })).toMatch(/^ESTALE /);
    expect(await get("fs.write", { path: "a", text: "2\n", expect: sha256("1") })).toEqual({
      path: "a",
      digest: sha256("2\n"),
      lines: 1,
    });
  });

  test("FIL-13.4 fs.search finds literal text and expressions, and narrows by path and glob", async () => {
    const { get, refused } = opened({
      "a.md": "x.y\nxzy\n",
      "d/b.txt": "X.Y\n",
      "d/c.bin": Buffer.from("x.y\0"),
      ".git/x": "x.y",
    });
    expect((await get("fs.search", { query: "x.y" }))["text"]).toBe("a.md:1: x.y\n[left out 1 binary or large file]");
    expect((await get("fs.search", { query: "x.y", regex: true, glob: "*.md" }))["text"]).toBe("a.md:1: x.y\na.md:2: xzy");
    expect((await get("fs.search", { query: "x.y", ignoreCase: true, path: "d", glob: "*.txt" }))["text"]).toBe("d/b.txt:1: X.Y");
    expect(await get("fs.search", { query: "nowhere" })).toMatchObject({ hits: 0 });
    expect(await refused("fs.search", { query: "(?=x)", regex: true })).toMatch(/^EINVAL .*RE2/);
  });

  test("FIL-13.4 an expression that would take others exponential time takes none here, and hits are bounded", async () => {
    const { get } = opened({ evil: `${"a".repeat(20_000)}!\n`, many: "hit\n".repeat(5_000) });
    const start = performance.now();
    expect(await get("fs.search", { query: "^(a+)+$", regex: true, glob: "evil" })).toMatchObject({ hits: 0 });
    expect(performance.now() - start).toBeLessThan(5_000);
    const many = await get("fs.search", { query: "hit" });
    expect(many).toMatchObject({ hits: 100 });
    expect(many["text"]).toContain("[stopped at 100 hits");
  });

  test("FIL-13.4 fs.list is bounded, goes as deep as told, and does not enter version control", async () => {
    const files = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`many/f${index}`, ""]));
    const { get } = opened({ ...files, "d/e/f": "123", ".git/config": "" });
    expect((await get("fs.list", {}))["text"]).toBe(".git/\nd/\nmany/");
    expect((await get("fs.list", { path: "d", depth: 2 }))["text"]).toBe("d/e/\nd/e/f  3 bytes");
    expect((await get("fs.list", { glob: "**/f" }))["text"]).toBe("d/e/f  3 bytes");
    const { entries, text } = await get("fs.list", { path: "many" });
    expect(entries).toHaveLength(500);
    expect(text).toContain("[more than 500 entries");
  });

  test("FIL-13.5 after a crash each write is verified by what the file says", async () => {
    const { call, verify } = opened({ a: "old text\n" });
    const write = { path: "n", text: "new\n" };
    expect(await verify("fs.write", write)).toEqual({ verdict: "did-not-happen" });
    const written = value(await call("fs.write", write));
    expect(await verify("fs.write", write)).toEqual({ verdict: "happened", value: written });
    const edit = { path: "a", old: "old", new: "fresh" };
    expect(await verify("fs.edit", edit)).toEqual({ verdict: "did-not-happen" });
    const edited = value(await call("fs.edit", edit));
    expect(await verify("fs.edit", edit)).toEqual({ verdict: "happened", value: edited });
    for (const [old, text] of [
      ["fresh", "fresher"],
      ["neither", "nor"],
      ["fresh", "text"],
    ] as const)
      expect(await verify("fs.edit", { path: "a", old, new: text })).toMatchObject({ verdict: "unknown" });
    expect(await verify("fs.write", { path: "a", text: "another text" })).toEqual({ verdict: "did-not-happen" });
  });

  test("FIL-13.5 a commit found made after a crash has the value it would have had without one", async () => {
    const { call, verify } = opened({}, { commit: () => ok({ written: ["x"], merged: ["x"] }) });
    value(await call("fs.write", { path: "a", text: "A" }));
    const args = { paths: ["b"] };
    expect(await verify("fs.commit", args)).toEqual({ verdict: "happened", value: value(await call("fs.commit", args)) });
  });

  test("FIL-13.5 a commit happened, did not, or is told to be in between", async () => {
    const there = new Map<string, string | null>([
      ["a", null],
      ["b", null],
    ]);
    const { call, verify } = opened({}, { workspace: () => ok(there) });
    value(await call("fs.write", { path: "a", text: "A" }));
    value(await call("fs.write", { path: "b", text: "B" }));
    const args = { paths: ["."] };
    expect(await verify("fs.commit", args)).toEqual({ verdict: "did-not-happen" });
    there.set("a", sha256("A"));
    expect(await verify("fs.commit", args)).toMatchObject({ verdict: "unknown" });
    there.set("b", sha256("B"));
    expect(await verify("fs.commit", args)).toMatchObject({ verdict: "happened" });
    expect(await verify("fs.commit", { paths: ["unchanged"] })).toMatchObject({ verdict: "happened" });
  });

  test("FIL-13.6 every call names its effect, its recovery and the role of each argument", () => {
    const { calls } = opened({});
    expect(calls.map(({ spec }) => `${spec.name} ${spec.effect} ${spec.recovery}`)).toEqual([
      "fs.read read pure",
      "fs.write write verify",
      "fs.edit write verify",
      "fs.list read pure",
      "fs.search read pure",
      "fs.diff read pure",
      "fs.commit external verify",
    ]);
    for (const { spec, verify } of calls) {
      expect(spec.input["additionalProperties"]).toBe(false);
      const properties = spec.input["properties"];
      expect(Object.keys(isObject(properties) ? properties : {}).toSorted()).toEqual(Object.keys(spec.roles).toSorted());
      expect(verify !== undefined).toBe(spec.recovery === "verify");
    }
  });

  test("SBX-9.1 a session without a merged folder refuses commands; SBX-9.3 nobody can say whether one ran", async () => {
    const folder = mkdtempSync(join(top, "shell-"));
    mkdirSync(join(folder, "w"));
    const session = copySessions({ blobs: openMemoryBlobs(), hide: [] }).open({
      pid: 1,
      lower: join(folder, "w"),
      home: join(folder, "h"),
    });
    const sandbox = {
      name: "none",
      available: () => fail("ENOSYS", "none"),
      run: () => Promise.reject(new Error("ran")),
      close: () => undefined,
    };
    const [call] = shellCalls({ session: () => session, sandbox });
    expect(await call?.perform({ command: "true" } as never, context)).toMatchObject({ ok: false, error: { errno: "ENOSYS" } });
    expect(await call?.verify?.({ command: "true" } as never, context)).toMatchObject({ verdict: "unknown" });
  });

  test("SBX-9.3 a command is never taken to have run or not", async () => {
    const sandbox = {
      name: "none",
      available: () => fail("ENOSYS", "none"),
      run: () => Promise.reject(new Error("ran")),
      close: () => undefined,
    };
    const [call] = shellCalls({ session: () => fail("EIO", "closed"), sandbox });
    expect(call?.spec.recovery).toBe("verify");
    expect(await call?.verify?.({ command: "rm x" } as never, context)).toEqual({
      verdict: "unknown",
      why: "a command leaves no proof of having run",
    });
  });
});
