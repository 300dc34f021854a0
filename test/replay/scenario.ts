/** One scenario with every kind of entry: what a golden journal is recorded from. Run this file to record a new one; never change an old one. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Body } from "../../src/abi/sys.ts";
import { fail } from "../../src/abi/errno.ts";
import { noLimits } from "../../src/abi/budget.ts";
import { tableDigest } from "../../src/kernel/snapshot.ts";
import { ok } from "../../src/lib/result.ts";
import { calls, finish, handler, rig, say, stepOf } from "../kernel/rig.ts";
import { settled } from "../kernel/settled.ts";
import { answer } from "../kernel/answer.ts";

export const scenarioBody: Body = async (sys) => {
  const page = await sys.call("x.page", { n: 9_000 });
  const refused = await sys.call("x.forbidden", {});
  const child = await sys.call("proc.spawn", {
    manifest: {
      name: "child",
      instructions: "Read, note, finish.",
      calls: ["x.page", "mem.*", "task.done"],
      windowTokens: 3_000,
    },
    goal: "child",
  });
  const waited = child.ok ? await sys.call("proc.wait", child.value) : child;
  return ok([page.ok && String(page.value).length, refused.ok, waited.ok && waited.value]);
};

async function record(): Promise<{
  readonly texts: readonly string[];
  readonly blobs: Record<string, string>;
  readonly digest: string;
}> {
  const page = handler({ name: "x.page" }, (args) =>
    ok({
      value: "p".repeat(Number(args["n"])),
      source: "a.md#L1-L9",
      label: { integrity: "untrusted", confidentiality: "workspace" },
    }),
  );
  const send = handler({ name: "x.send", effect: "external" }, () => ok({ value: "sent" }));
  const forbidden = handler({ name: "x.forbidden", effect: "irreversible" }, () => ok({ value: "never" }));
  let down = true;
  const machine = rig({
    handlers: [page, send, forbidden],
    bodies: { parent: scenarioBody },
    remote: true,
    price: { inputUsd: 3, outputUsd: 15, cacheReadUsd: 0.3, cacheWriteUsd: 3.75 },
    decide: (request) => {
      if (request.action.id === "x.forbidden") return { verb: "deny", rules: ["test#9"] };
      return { verb: request.action.id === "x.send" ? "ask" : "allow", rules: ["test#1"] };
    },
    script: (request) => {
      const step = stepOf(request);
      const goal = request.messages[0]?.parts[0]?.type === "text" ? request.messages[0].parts[0].text : "";
      if (goal === "child")
        return ok(
          step < 6
            ? calls(["x.page", { n: 3_000 }])
            : step === 6
              ? calls(["mem.note", { key: "k", text: "kept" }], ["mem.read", { page: "2.0.0" }])
              : finish({ read: 6 }),
        );
      if (goal === "asks")
        return ok(
          step === 0 ? calls(["x.send", { to: "a" }]) : step === 1 ? calls(["ask", { question: "Which?" }]) : say("done"),
        );
      if (goal === "first")
        return ok(
          calls(["proc.exec", { manifest: { name: "n", instructions: "Second.", calls: ["task.done"] }, goal: "second" }]),
        );
      if (goal === "degraded" && down) return fail("EIO", "the provider is down");
      return ok(finish("fine"));
    },
  });
  const parent = machine.spawn({ kind: "body", name: "parent", instructions: "parent" });
  await machine.kernel.wait(parent);
  const asks = machine.spawn({ name: "asks" }, "asks");
  await settled(machine, asks, "parked");
  machine.kernel.nice(asks, 200);
  answer(machine.kernel, asks, { by: "golden" });
  await settled(machine, asks, "parked");
  answer(machine.kernel, asks, { text: "the second", by: "golden" });
  await machine.kernel.wait(asks);
  const degraded = machine.spawn({ name: "degraded", limits: { ...noLimits, tokens: 100 } }, "degraded");
  await settled(machine, degraded, "parked");
  answer(machine.kernel, degraded, { by: "golden", raise: { tokens: 1_000_000 } });
  await settled(machine, degraded, "parked");
  down = false;
  answer(machine.kernel, degraded, { by: "golden" });
  await machine.kernel.wait(degraded);
  await machine.kernel.wait(machine.spawn({ name: "goes-on" }, "first"));
  const killed = machine.spawn({ name: "killed" }, "asks");
  await settled(machine, killed, "parked");
  machine.kernel.signal(killed, "kill", "golden");
  const changes = [{ path: "a.md", from: null, to: "0".repeat(64) }];
  for (const phase of ["intent", "outcome"] as const)
    machine.kernel.recorder.record({ kind: "files", at: 1, pid: parent, act: "commit", phase, changes, safety: "1".repeat(64) });
  await machine.kernel.recorder.rotateIfLarge(machine.clock.now(), true);
  await machine.kernel.close();
  const digest = tableDigest(machine.kernel.recorder.table);
  const blobs = Object.fromEntries(
    [...machine.blobs.list()].map((name) => {
      const data = machine.blobs.get(name);
      return [name, data.ok ? data.value.toString("utf8") : ""];
    }),
  );
  return { texts: machine.log.crash(() => 0.999).texts, blobs, digest };
}

if (import.meta.main) {
  const folder = join(import.meta.dirname, "golden");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${process.argv[2] ?? "new"}.json`), `${JSON.stringify(await record(), null, 1)}\n`, { flag: "wx" });
}
