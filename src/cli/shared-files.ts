/**
 * daimon shared: the files that processes shared with all others.
 *   CLI-29.1  Without a path each is listed with the process that shared it and its label; JSON: { files: [{ path, bytes, by, at, label, digest }] }.
 *   CLI-29.2  With a path its content is printed as it is to a pipe, and without control bytes to a terminal.
 *   CLI-29.3  `--remove` takes a file out of the tier, also while a kernel runs; the journal keeps what it was.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { ok, type Result } from "../lib/result.ts";
import { tierPath } from "../lib/tier.ts";
import type { sharedOptions } from "./commands.ts";
import { print, printJson, type Io } from "./io.ts";
import type { Input } from "./term/args.ts";
import { formatCount } from "./term/format.ts";
import { neutralise } from "./term/neutralise.ts";
import { columnsOf } from "./term/screen.ts";
import { table } from "./term/table.ts";
import { look, steer } from "./workspace.ts";

export async function run(input: Input<typeof sharedOptions>, io: Io): Promise<Result<number, SysError>> {
  const [word] = input.positionals;
  if (word === undefined && input.options.remove) return fail("EINVAL", "name the file to take out: daimon shared --remove PATH");
  if (word === undefined) return await list(io);
  /** As a process names it, or as this command lists it. */
  const path = tierPath(word)?.path ?? word;
  return input.options.remove ? await remove(path, io) : await show(path, io);
}

async function list(io: Io): Promise<Result<number, SysError>> {
  const seen = await look(io);
  if (!seen.ok) return seen;
  seen.value.close();
  const files = [...seen.value.table.shared]
    .map(([path, file]) => ({ path, ...file }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  if (io.json) {
    printJson(io, { files: files.map(({ blob, ...file }) => ({ ...file, digest: blob })) });
    return ok(0);
  }
  if (files.length === 0) {
    print(io, "no process has shared a file here; fs.share is the call that does");
    return ok(0);
  }
  const rows = files.map(({ path, bytes, by, label }) => [
    path,
    formatCount(bytes),
    String(by),
    label.integrity,
    label.confidentiality,
  ]);
  const columns = [
    { title: "PATH", flexMin: 16 },
    { title: "BYTES", align: "right" },
    { title: "BY", align: "right" },
    { title: "INTEGRITY" },
    { title: "READERS" },
  ] as const;
  io.out.write(table(rows, columns, columnsOf(io.out), io.colours));
  return ok(0);
}

async function show(path: string, io: Io): Promise<Result<number, SysError>> {
  const seen = await look(io);
  if (!seen.ok) return seen;
  const { table: state, blobs, close } = seen.value;
  close();
  const file = state.shared.get(path);
  if (file === undefined)
    return fail("ENOENT", `there is no shared file \`${path.slice(0, 200)}\`; \`daimon shared\` lists what there is`);
  const content = blobs.get(file.blob);
  if (!content.ok) return content;
  const text = content.value.toString("utf8");
  if (io.json) printJson(io, { path, digest: file.blob, by: file.by, label: file.label, text });
  else io.out.write(columnsOf(io.out) === null ? content.value : neutralise(text));
  return ok(0);
}

async function remove(path: string, io: Io): Promise<Result<number, SysError>> {
  const removed = await steer(io, { op: "unshare", path }, ({ kernel }) => kernel.shared.remove(path));
  if (!removed.ok) return removed;
  if (io.json) printJson(io, { removed: path });
  else if (!io.quiet) print(io, `${path} is taken out of the shared tier`);
  return ok(0);
}
