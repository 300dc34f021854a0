/** A program as a TypeScript module: list the documents of a folder by length and deliver the list. */
import type { Sys } from "../../src/abi/sys.ts";

interface Row {
  readonly path: string;
  readonly lines: number;
}

/** Every act goes through `sys.call`, so the kernel decides on it, writes it down, and can run the program again after a crash. */
async function body(sys: Sys): Promise<Awaited<ReturnType<Sys["call"]>>> {
  const { folder } = sys.goal as { readonly folder: string };
  const listed = await sys.call("fs.list", { path: folder });
  if (!listed.ok) return listed;
  const { entries } = listed.value as { readonly entries: readonly { readonly path: string; readonly type: string }[] };
  const rows: Row[] = [];
  for (const entry of entries.filter(({ type }) => type === "file")) {
    const read = await sys.call("fs.read", { path: entry.path, from: 1, to: 1 });
    /** What cannot be read as text is left out. */
    if (!read.ok) continue;
    const { lines } = read.value as { readonly lines: string };
    rows.push({ path: entry.path, lines: Number(/ of (\d+)$/.exec(lines)?.[1] ?? 0) });
  }
  rows.sort((a, b) => b.lines - a.lines || (a.path < b.path ? -1 : 1));
  const text = ["# Documents by length", "", ...rows.map(({ path, lines }) => `- ${lines} lines: [${path}](${path})`), ""].join(
    "\n",
  );
  const written = await sys.call("fs.write", { path: "LONGEST.md", text });
  if (!written.ok) return written;
  const committed = await sys.call("fs.commit", { paths: ["LONGEST.md"] });
  return committed.ok ? { ok: true, value: { documents: rows.length, longest: rows[0]?.path ?? null } } : committed;
}

export default {
  name: "longest",
  version: "1.0.0",
  summary: "List the documents of a folder by length.",
  input: {
    type: "object",
    properties: { folder: { type: "string", description: "The folder to look into." } },
    required: ["folder"],
  },
  outputs: ["LONGEST.md"],
  calls: ["fs.list", "fs.read", "fs.write", "fs.commit"],
  body,
};
