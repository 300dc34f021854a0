import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/abi/entry.ts";
import { limits } from "../../src/abi/limits.ts";
import type { Part } from "../../src/abi/message.ts";
import { openMemoryBlobs } from "../../src/drivers/store/memory-blobs.ts";
import { decode, encode, movedFrom, whole } from "../../src/kernel/codec.ts";
import { recoverTable } from "../../src/kernel/recover.ts";
import { replay } from "../../src/kernel/replay.ts";
import type { Json } from "../../src/lib/json.ts";
import { ok } from "../../src/lib/result.ts";
import { calls, finish, handler, reborn, rig, stepOf } from "./rig.ts";

const small = fc.string({ maxLength: 40 });
const large = fc.integer({ min: 0, max: 3 * limits.inlineBytesMax }).map((n) => "é".repeat(n));
const text = fc.oneof(small, large);
const json = fc.oneof(fc.jsonValue(), text, fc.record({ text, large: text })) as fc.Arbitrary<Json>;
const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({ type: fc.constant("text" as const), text }),
  fc.record({ type: fc.constant("call" as const), id: small, name: small, args: json }),
  fc.record({ type: fc.constant("opaque" as const), dialect: small, value: json }),
);
const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, reported: true };
const intent = { verb: "allow", rules: [] } as const;
const label = { integrity: "user", confidentiality: "workspace" } as const;
const head = { manifest: "m", cpu: "c", headTokens: 1, windowTokensMax: 1 };
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.array(part, { maxLength: 4 }).map((parts): Entry => {
    const base = { kind: "turn", at: 1, pid: 1, step: 0, stop: "end", usage, tokens: 1, costUsd: null, model: "m" } as const;
    return { ...base, parts, intents: [] };
  }),
  json.map((args): Entry => ({ kind: "call", at: 1, pid: 1, id: "1.0.0", name: "x", args, intent })),
  json.map((goal): Entry => ({
    ...head,
    kind: "spawn",
    at: 1,
    pid: 1,
    parent: 0,
    call: null,
    goal,
    label,
    session: 1,
    weight: 1,
  })),
  json.map((goal): Entry => ({ ...head, kind: "exec", at: 1, pid: 1, goal })),
  json.map((value): Entry => ({ kind: "exit", at: 1, pid: 1, status: { ok: true, value }, digest: "d" })),
);

describe("codec", () => {
  test("KRN-17.1 an entry comes back whole, however large its parts are and whatever a model calls them", () => {
    fc.assert(
      fc.property(entry, (one) => {
        const blobs = openMemoryBlobs();
        const stored = decode(encode(one, (data) => blobs.put(data)));
        expect(stored).not.toBe(null);
        if (stored === null) return;
        const read = (digest: string): Json => {
          const data = blobs.get(digest);
          if (!data.ok) throw new Error(data.error.message);
          return JSON.parse(data.value.toString("utf8")) as Json;
        };
        expect(whole(stored, read)).toEqual(JSON.parse(JSON.stringify(one)));
        expect([...blobs.list()].toSorted()).toEqual([...new Set(movedFrom(stored))].toSorted());
      }),
    );
  });

  test("KRN-17.2 a record stays small: of every part only what is small stays in it", () => {
    fc.assert(
      fc.property(entry, (one) => {
        const parts = one.kind === "turn" ? one.parts.length : 1;
        expect(encode(one, () => "0".repeat(64)).length).toBeLessThan((parts + 1) * (limits.inlineBytesMax + 400));
      }),
    );
  });
});

test("KRN-17.2 a reply of very many parts is cut, and says so", async () => {
  const many = calls(...Array.from({ length: 5_000 }, () => ["x.none", {}] as const));
  let shown: readonly Part[] = [];
  const machine = rig({
    script: (request) => {
      shown = request.messages[1]?.parts ?? shown;
      return ok(stepOf(request) === 0 ? many : finish("done"));
    },
  });
  expect((await machine.run({})).status).toEqual(ok("done"));
  expect(shown).toHaveLength(limits.partsPerReplyMax + 1);
  expect(shown.at(-1)).toEqual({ type: "text", text: "[cut: 3976 more parts of this reply]" });
});

test("KRN-17.2 a reply of many large calls is written, performed, and recovered by the next kernel", async () => {
  const got: number[] = [];
  const take = handler({ name: "x.take", effect: "write", recovery: "idempotent" }, (args) => {
    got.push(String(args["text"]).length);
    return ok({ value: "taken" });
  });
  const big = Array.from({ length: 40 }, (_, n) => ["x.take", { text: `${n}`.repeat(500_000) }] as const);
  const options = {
    handlers: [take],
    windowTokens: 100_000_000,
    script: (request: Parameters<typeof stepOf>[0]) =>
      ok(stepOf(request) === 0 ? calls(...big) : finish({ text: "r".repeat(9_000) })),
  };
  const machine = rig(options);
  const { status } = await machine.run({}, { task: "g".repeat(50_000) });
  expect(status).toEqual(ok({ text: "r".repeat(9_000) }));
  expect(got).toHaveLength(40);
  for (const record of machine.log.read(0)) expect(record.ok && record.value.text.length).toBeLessThan(32_000);
  const next = reborn(machine, options);
  expect(next.kernel.recorder.table.procs.get(1)?.exit).toEqual(status);
  expect(replay({ log: machine.log, blobs: machine.blobs, until: null, pid: null })).toMatchObject({ value: { findings: [] } });
  expect(recoverTable(machine.log, openMemoryBlobs())).toMatchObject({ ok: false, error: { errno: "EUCLEAN" } });
});
