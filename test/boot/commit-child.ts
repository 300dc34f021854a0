/**
 * A kernel in a process of its own that commits, rolls back or undoes that, and is killed with SIGKILL between intent and outcome.
 * `commit-child.ts FOLDER WORK ACT COUNT`: after the intent of the first ACT of WORK is durable and COUNT files of it are written.
 */
import * as fs from "node:fs";
import { boot } from "../../src/boot/boot.ts";
import { filesDeps } from "../../src/boot/world-calls.ts";
import type { FilesEntry } from "../../src/abi/entry.ts";
import { rollbackSession, undoRollback } from "../../src/boot/rollback.ts";
import { commitSession } from "../../src/boot/workspace-files.ts";
import { decode } from "../../src/kernel/codec.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";

const [, , folder = "", work = "commit", act = "commit", count = "0"] = process.argv;
const world = { cwd: `${folder}/work`, env: {}, home: `${folder}/home`, uid: process.getuid?.() ?? 0 };
const clock = systemClock();
const booted = await boot({ world, clock, cpu: "reflex", policyEngine: "compiled", processes: "leave" });
if (!booted.ok) throw new Error(booted.error.message);
const { sessions, layout, kernel, blobs, log } = booted.value;
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
const entries = [...log.read(0)].flatMap((record): FilesEntry[] => {
  const entry = record.ok ? decode(record.value.text) : null;
  return entry?.kind === "files" ? [entry] : [];
});
if (work === "commit") await commitSession(session.value, { paths: null, resolutions: {} }, dying);
else if (work === "rollback") await rollbackSession(sessions, 1, dying);
else await undoRollback(sessions, 1, entries, dying);
fs.writeSync(1, "not killed");
process.exit(0);
