/**
 * A kernel in a process of its own that commits or rolls back and is killed with SIGKILL between intent and outcome.
 * `commit-child.ts FOLDER ACT COUNT`: after the intent of ACT is durable and COUNT files of it are written.
 */
import * as fs from "node:fs";
import { boot } from "../../src/boot/boot.ts";
import { filesDeps } from "../../src/boot/world-calls.ts";
import { commitSession, rollbackSession } from "../../src/boot/workspace-files.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";

const [, , folder = "", act = "commit", count = "0"] = process.argv;
const world = { cwd: `${folder}/work`, env: {}, home: `${folder}/home`, uid: process.getuid?.() ?? 0 };
const clock = systemClock();
const booted = await boot({ world, clock, cpu: "reflex", policyEngine: "compiled", processes: "leave" });
if (!booted.ok) throw new Error(booted.error.message);
const { sessions, layout, kernel, blobs } = booted.value;
const session = await sessions.open(1);
if (!session.ok) throw new Error(session.error.message);

/** apply() asks for each content right before it writes it: the next look after COUNT writes is the last. */
let begun = false;
let left = Number(count);
kernel.on((entry) => {
  if (entry.kind !== "files" || entry.act !== act) return;
  // Everything is written, and the outcome is not in the log yet.
  if (entry.phase === "outcome") process.kill(process.pid, "SIGKILL");
  begun = true;
});
const dying = {
  ...filesDeps(layout, blobs, clock, kernel),
  blobs: {
    name: blobs.name,
    dirty: false,
    put: blobs.put.bind(blobs),
    flush: blobs.flush.bind(blobs),
    has: blobs.has.bind(blobs),
    list: blobs.list.bind(blobs),
    get: (digest: string) => {
      if (begun && left-- === 0) process.kill(process.pid, "SIGKILL");
      return blobs.get(digest);
    },
  },
};
if (act === "commit") await commitSession(session.value, { paths: null, resolutions: {} }, dying);
else await rollbackSession(session.value, dying);
fs.writeSync(1, "not killed");
process.exit(0);
