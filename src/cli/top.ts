/**
 * daimon top: the process table, live, on a screen of its own.
 *   CLI-23.1  It tails the journal without a lock, so it shows a kernel in another terminal, and stands still where none runs.
 *   CLI-23.2  The terminal is as it was, whatever ends it: q, Esc, Ctrl-C, a signal, an error.
 *   CLI-23.3  Without a terminal, and with --json, the table is printed once.
 */
import type { Entry, StoredEntry } from "../abi/entry.ts";
import type { SysError } from "../abi/errno.ts";
import type { Inspection } from "../boot/inspect.ts";
import { whole } from "../kernel/codec.ts";
import { apply } from "../kernel/fold.ts";
import { foldInput, MissingBlob } from "../kernel/recorder.ts";
import { ok, type Result } from "../lib/result.ts";
import { entryOf } from "./entries.ts";
import { entryLine } from "./entry.ts";
import { interrupts } from "./interrupt.ts";
import type { Io } from "./io.ts";
import { processTable, rowsOf, type Row } from "./processes.ts";
import { run as runPs } from "./ps.ts";
import { formatCount, formatUsd } from "./term/format.ts";
import { isLive } from "./term/screen.ts";
import { cut } from "./term/width.ts";
import { isRunning, look } from "./workspace.ts";

const frameMs = 500;
const tailMax = 200;

export async function run(io: Io): Promise<Result<number, SysError>> {
  if (io.json || io.input.isTTY !== true || !isLive(io.out, io.world.env)) {
    const options = { all: true, json: io.json, cwd: undefined, quiet: io.quiet, help: false, "no-color": false };
    return await runPs({ options, positionals: [], rest: [] }, io);
  }
  const seen = await look(io);
  if (!seen.ok) return seen;
  const interrupt = interrupts(io.host);
  const leave = enter(io);
  try {
    return await watch(seen.value, io, interrupt.signal, () => interrupt.exitCode());
  } finally {
    leave();
    interrupt.close();
  }
}

/** The alternate screen, without a cursor, and keys as they are pressed; returns how to leave it, which may be called twice. */
function enter(io: Io): () => void {
  let open = true;
  const leave = (): void => {
    if (!open) return;
    open = false;
    io.input.setRawMode?.(false);
    io.input.pause();
    io.out.write("\u001b[?25h\u001b[?1049l");
    io.host.off("exit", leave);
  };
  io.host.on("exit", leave);
  io.out.write("\u001b[?1049h\u001b[?25l");
  io.input.setRawMode?.(true);
  io.input.resume();
  return leave;
}

/** What is on the screen and how it got there. */
interface View {
  seen: Inspection;
  next: number;
  scroll: number;
  readonly tail: { readonly seq: number; readonly entry: Entry }[];
}

async function watch(
  first: Inspection,
  io: Io,
  stopped: AbortSignal,
  code: () => number | null,
): Promise<Result<number, SysError>> {
  const view: View = { seen: first, next: first.log.next, scroll: 0, tail: [] };
  remember(view, Math.max(0, view.next - tailMax));
  let wake = (): void => {};
  let quit = false;
  const onKey = (chunk: Buffer | string): void => {
    // Keys pressed fast arrive together.
    for (const [key] of chunk.toString().matchAll(/\u001b[[O][A-D]|[\s\S]/g)) {
      if (key === "q" || key === "Q" || key === "\u001b" || key === "\u0003") quit = true;
      else if (/^\u001b.A$|^k$/.test(key)) view.scroll = Math.max(0, view.scroll - 1);
      else if (/^\u001b.B$|^j$/.test(key)) view.scroll += 1;
    }
    wake();
  };
  const onStop = (): void => wake();
  io.input.on("data", onKey);
  stopped.addEventListener("abort", onStop);
  try {
    while (!quit && !stopped.aborted) {
      const problem = await advance(view, io);
      if (problem !== null) return { ok: false, error: problem };
      draw(view, await isRunning(view.seen.layout), io);
      await new Promise<void>((resolve) => {
        const cancel = io.clock.after(frameMs, resolve);
        wake = () => {
          cancel();
          resolve();
        };
        if (quit || stopped.aborted) wake();
      });
    }
    return ok(code() ?? 0);
  } finally {
    io.input.off("data", onKey);
    stopped.removeEventListener("abort", onStop);
    view.seen.close();
  }
}

/** Fold what was written since the last frame. */
async function advance(view: View, io: Io): Promise<SysError | null> {
  const grown = view.seen.log.refresh();
  if (!grown.ok) return grown.error;
  const input = foldInput(view.seen.blobs);
  for (const record of view.seen.log.read(view.next)) {
    if (!record.ok) return record.error;
    const stored = JSON.parse(record.value.text) as StoredEntry;
    // A boot may declare earlier entries void; then the table is made anew.
    if (stored.kind === "boot" && stored.cut !== undefined) return await restart(view, io);
    let entry: Entry;
    try {
      entry = whole(stored, (blob) => input.value(blob));
      apply(view.seen.table, entry, input);
    } catch (error) {
      // The record is there before its payload: the next frame finds both.
      if (error instanceof MissingBlob) return null;
      throw error;
    }
    view.next = record.value.seq + 1;
    view.tail.push({ seq: record.value.seq, entry });
    if (view.tail.length > tailMax) view.tail.shift();
  }
  return null;
}

async function restart(view: View, io: Io): Promise<SysError | null> {
  const again = await look(io);
  if (!again.ok) return again.error;
  view.seen.close();
  view.seen = again.value;
  view.next = again.value.log.next;
  view.tail.length = 0;
  remember(view, Math.max(0, view.next - tailMax));
  return null;
}

function remember(view: View, from: number): void {
  for (const record of view.seen.log.read(from)) {
    if (!record.ok || record.value.seq >= view.next) return;
    view.tail.push({ seq: record.value.seq, entry: entryOf(record.value.text, view.seen.blobs) });
  }
}

function draw(view: View, running: boolean, io: Io): void {
  const width = Math.max(20, io.out.columns ?? 80);
  const height = Math.max(6, io.out.rows ?? 24);
  const rows = rowsOf(view.seen.table, true);
  const now = io.clock.now();
  const tailRoom = Math.min(view.tail.length, Math.max(3, Math.floor(height / 4)));
  const room = Math.max(1, height - 5 - tailRoom);
  view.scroll = Math.min(view.scroll, Math.max(0, rows.length - room));
  const body = processTable(liveFirst(rows, room, view.scroll), running, now, width, io.colours);
  const lines = [
    headLine(rows, running, view, io, width),
    "",
    ...body
      .trimEnd()
      .split("\n")
      .slice(0, room + 1),
    "",
    ...view.tail.slice(-tailRoom).map(({ seq, entry }) => entryLine(seq, entry, width - 1, io.colours)),
  ];
  const keys = io.colours.paint("dim", cut("q quits · ↑ ↓ scroll", width - 1));
  // Painted over in place: clearing first would flicker.
  const text = [...lines.slice(0, height - 1), keys].map((line) => `${line}\u001b[K`).join("\r\n");
  io.out.write(`\u001b[H${text}\u001b[J`);
}

/** Where not all rows fit, those that still live stay in sight until a person scrolls. */
function liveFirst(rows: readonly Row[], room: number, scroll: number): readonly Row[] {
  if (scroll > 0 || rows.length <= room) return rows.slice(scroll, scroll + room);
  const live = rows.filter(({ summary, depth }) => summary.exit === null || depth === 0);
  const ended = rows.filter(({ summary, depth }) => summary.exit !== null && depth > 0);
  const kept = new Set([...live.slice(0, room), ...ended.slice(-Math.max(0, room - live.length) || rows.length)].slice(0, room));
  return rows.filter((row) => kept.has(row));
}

function headLine(rows: readonly Row[], running: boolean, view: View, io: Io, width: number): string {
  const roots = rows.filter(({ depth }) => depth === 0);
  const sum = (pick: (row: Row) => number): number => roots.reduce((total, row) => total + pick(row), 0);
  const live = rows.filter(({ summary }) => summary.exit === null).length;
  const parked = rows.filter(({ summary }) => summary.state === "parked").length;
  const words = [
    "daimon top",
    running ? "kernel running" : "no kernel",
    `${live} live, ${rows.length - live} ended`,
    ...(parked > 0 ? [`${parked} wait for you: daimon approve`] : []),
    `${formatCount(sum(({ summary }) => summary.spend.tokens))} tokens`,
    formatUsd(sum(({ summary }) => summary.spend.costUsd)),
    `${view.next} entries`,
  ];
  return io.colours.paint("strong", cut(words.join(" · "), width - 1));
}
