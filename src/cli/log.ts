/**
 * daimon log: the journal, read beside whoever writes it.
 *   CLI-18.1  Filters combine; --grep and --call ask the index, which is first fed with what it has not seen; the rest reads the log itself.
 *   CLI-18.2  A damaged journal is printed as far as it is whole, and the error comes last, with its exit code.
 *   CLI-18.3  --follow goes on with new entries until it is interrupted, and with --json each entry is one line { seq, entry }.
 *   CLI-18.4  --limit gives the last so many of what fits.
 */
import { entryKinds, type Entry } from "../abi/entry.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { IndexDriver, IndexQuery } from "../abi/store.ts";
import { readStores, type Stores } from "../boot/stores.ts";
import { didYouMean } from "../boot/suggest.ts";
import { ok, type Result } from "../lib/result.ts";
import { completed, entryOf } from "./entries.ts";
import type { logOptions } from "./commands.ts";
import { entryLine } from "./entry.ts";
import { interrupts, unless } from "./interrupt.ts";
import { printJson, type Io } from "./io.ts";
import type { Input } from "./term/args.ts";
import { columnsOf } from "./term/screen.ts";
import { layoutHere, parsePid } from "./workspace.ts";

const forms = ["verify", "reindex", "archive"] as const;
const followMs = 200;

export async function run(input: Input<typeof logOptions>, io: Io): Promise<Result<number, SysError>> {
  const [what] = input.positionals;
  const form = forms.find((name) => name === what);
  if (form !== undefined) return await (await import("./log-upkeep.ts"))[form](io);
  const filter = filterOf(what, input.options);
  if (!filter.ok) return filter;
  const stores = readStores(layoutHere(io), io.clock);
  if (!stores.ok) return stores;
  const shown = await printEntries(stores.value, filter.value, io);
  if (!shown.ok || !input.options.follow) {
    await stores.value.log.close();
    return shown.ok ? ok(0) : shown;
  }
  const followed = await follow(stores.value, filter.value, shown.value, io);
  await stores.value.log.close();
  return followed;
}

function isKind(word: string): boolean {
  return entryKinds.some((kind) => kind === word);
}

type Filter = IndexQuery;

function filterOf(what: string | undefined, options: Input<typeof logOptions>["options"]): Result<Filter, SysError> {
  const pid = what === undefined ? ok(undefined) : parsePid(what);
  if (!pid.ok) {
    const hint = didYouMean(what ?? "", forms);
    return hint === ""
      ? pid
      : fail("EINVAL", `\`${(what ?? "").slice(0, 64)}\` is neither a process's number nor a form of this command${hint}`);
  }
  const wrong = options.kind.find((kind) => !isKind(kind));
  if (wrong !== undefined)
    return fail(
      "EINVAL",
      `there is no kind of entry \`${wrong.slice(0, 64)}\`${didYouMean(wrong, entryKinds) || `; they are ${entryKinds.join(", ")}`}`,
    );
  return ok({
    ...(pid.value === undefined ? {} : { pid: pid.value }),
    ...(options.kind.length === 0 ? {} : { kinds: options.kind }),
    ...(options.grep === undefined ? {} : { text: options.grep }),
    ...(options.call === undefined ? {} : { call: options.call }),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
  });
}

/** Returns the seq from which a follower goes on. */
async function printEntries(stores: Stores, filter: Filter, io: Io): Promise<Result<number, SysError>> {
  if (filter.text === undefined && filter.call === undefined) return printDirect(stores, filter, 0, io);
  const index = await openIndex(io);
  if (!index.ok) return index;
  const { feedIndex } = await import("../drivers/index/feed.ts");
  const fed = feedIndex(index.value, stores.log);
  const found =
    filter.limit === undefined ? index.value.query(filter) : index.value.query({ ...filter, descending: true }).toReversed();
  for (const { seq, entry } of found) printEntry({ seq, entry: completed(entry, stores.blobs) }, io);
  const { next } = index.value;
  index.value.close();
  return fed.ok ? ok(next) : fed;
}

function printDirect({ log, blobs }: Stores, filter: Filter, from: number, io: Io): Result<number, SysError> {
  const last: { readonly seq: number; readonly entry: Entry }[] = [];
  let next = from;
  let damage: SysError | null = null;
  for (const record of log.read(from)) {
    if (!record.ok) {
      damage = record.error;
      break;
    }
    const { seq, text } = record.value;
    next = seq + 1;
    const one = { seq, entry: entryOf(text, blobs) };
    if (!fits(one.entry, filter)) continue;
    if (filter.limit === undefined) printEntry(one, io);
    else if (filter.limit > 0) {
      last.push(one);
      if (last.length > filter.limit) last.shift();
    }
  }
  for (const one of last) printEntry(one, io);
  return damage === null ? ok(next) : { ok: false, error: damage };
}

function fits(entry: Entry, { pid, kinds: wanted }: Filter): boolean {
  if (pid !== undefined && !("pid" in entry && entry.pid === pid)) return false;
  return wanted === undefined || wanted.includes(entry.kind);
}

async function follow(stores: Stores, filter: Filter, from: number, io: Io): Promise<Result<number, SysError>> {
  const interrupt = interrupts(io.host);
  let next = from;
  const { limit: _, ...rest } = filter;
  for (;;) {
    const woken = await unless(interrupt, new Promise<true>((wake) => io.clock.after(followMs, () => wake(true))));
    if (woken === null) return ok(interrupt.exitCode() ?? 0);
    const grown = stores.log.refresh();
    if (!grown.ok) return grown;
    if (grown.value <= next) continue;
    const indexed = rest.text !== undefined || rest.call !== undefined;
    const printed = indexed ? await printEntries(stores, { ...rest, from: next }, io) : printDirect(stores, rest, next, io);
    if (!printed.ok) return printed;
    next = printed.value;
  }
}

async function openIndex(io: Io): Promise<Result<IndexDriver, SysError>> {
  const { openSqliteIndex } = await import("../drivers/index/sqlite.ts");
  return openSqliteIndex(layoutHere(io).index);
}

function printEntry({ seq, entry }: { readonly seq: number; readonly entry: Entry }, io: Io): void {
  if (io.json) printJson(io, { seq, entry });
  else io.out.write(`${entryLine(seq, entry, columnsOf(io.out), io.colours)}\n`);
}
