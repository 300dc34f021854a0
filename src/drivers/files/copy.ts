/**
 * Copy: sessions without a mount, for machines where overlays cannot be mounted. A file is copied when it first changes, never before.
 * There is no merged folder, so `root` is null and commands are refused; calls see the upper folder over the workspace.
 * The home holds `upper` (what changed), `gone.jsonl` (paths whose workspace content is hidden) and `base.jsonl`.
 *   FIL-11.1  A path is looked for in `upper`, then, unless it or a folder above it is hidden, in the workspace.
 *   FIL-11.2  A deletion hides what was there when it was made; what is added to the workspace below it later is not reported as deleted.
 */
import { mkdirSync, type Stats } from "node:fs";
import { join } from "node:path";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Change, FileStat, Session, SessionDriver } from "../../abi/files.ts";
import type { Pid } from "../../abi/process.ts";
import { limits } from "../../abi/limits.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { done, err, ok, type Result } from "../../lib/result.ts";
import { BaseTable } from "./base.ts";
import * as beneath from "./beneath.ts";
import * as walk from "./tree.ts";
import { DigestCache, standing } from "./content.ts";
import { checkExpected, checkHidden, isHidden, tooLarge } from "./guard.ts";
import { Quota } from "./quota.ts";
import { closed, type SessionDriverOptions, type SessionSpec } from "./session.ts";
import { statOf, typeOf } from "./upper.ts";
import { usageOf } from "./usage.ts";

export function copySessions(options: SessionDriverOptions): SessionDriver {
  const open = new Map<string, CopySession>();
  return {
    name: "copy",
    available: () => done,
    open(spec) {
      if (open.has(spec.home)) return fail("EBUSY", `the session of process ${spec.pid} is open already; close it first`);
      const session = CopySession.open(spec, options, () => open.delete(spec.home));
      if (session.ok) open.set(spec.home, session.value);
      return session;
    },
    close() {
      for (const session of [...open.values()]) session.close();
    },
  };
}

interface Trees {
  readonly lower: walk.Tree;
  /** The same folder with its links: only to learn what a path means. */
  readonly lowerFollowed: walk.Tree;
  readonly upper: walk.Tree;
}

class CopySession implements Session {
  readonly pid: Pid;
  readonly #options: SessionDriverOptions;
  readonly #onClose: () => void;
  readonly #hide: ReadonlySet<string>;
  readonly #base: BaseTable;
  /** Hidden paths, kept in the same form as bases. */
  readonly #gone: BaseTable;
  readonly #digests = new DigestCache();
  readonly #quota: Quota;
  #trees: Trees | null;

  private constructor(spec: SessionSpec, options: SessionDriverOptions, trees: Trees, onClose: () => void) {
    this.pid = spec.pid;
    this.#options = options;
    this.#hide = new Set(options.hide);
    this.#trees = trees;
    this.#onClose = onClose;
    this.#base = new BaseTable(join(spec.home, "base.jsonl"));
    this.#gone = new BaseTable(join(spec.home, "gone.jsonl"));
    const upper = join(spec.home, "upper");
    this.#quota = new Quota(upper, async () => ok(await usageOf(upper)), options.quota);
  }

  static open(spec: SessionSpec, options: SessionDriverOptions, onClose: () => void): Result<CopySession, SysError> {
    const trees = openTrees(spec, options.links);
    if (!trees.ok) return trees;
    try {
      return ok(new CopySession(spec, options, trees.value, onClose));
    } catch (error) {
      closeTrees(trees.value);
      return err(walk.translate(error, "the session's own folder"));
    }
  }

  read(path: string): Result<Buffer, SysError> {
    const place = this.#there(path);
    if (!place.ok) return place;
    const content = beneath.readBeneath(place.value.tree, place.value.real);
    return content.ok ? ok(content.value.data) : content;
  }

  state(path: string): Result<string, SysError> {
    const place = this.#there(path);
    return place.ok ? beneath.stateBeneath(place.value.tree, place.value.real) : place;
  }

  async write(path: string, data: Uint8Array, expect?: Digest | null): Promise<Result<Digest, SysError>> {
    const large = tooLarge(path, data);
    if (large !== null) return large;
    const room = await this.#quota.admit(data.length);
    if (!room.ok) return room;
    const trees = this.#trees;
    if (trees === null) return closed();
    const place = this.#locate(path);
    if (!place.ok) return place;
    const { tree, real } = place.value;
    const blocked = tree === null ? this.#blockedBy(real) : null;
    if (blocked !== null) return fail("ENOENT", `${path} cannot be written: ${blocked} on the way is a file, not a folder`);
    const current = tree === null ? ok(null) : readOrFolder(tree, real);
    if (!current.ok) return current;
    const mode = current.value === null ? null : current.value.stat.mode & 0o777;
    const written = beneath.writeBeneath(trees.upper, real, data, { mode, durable: false, last: "keep" }, () => {
      checkHidden(this.#hide, real);
      checkExpected(path, current.value?.data ?? null, expect);
      this.#remember(real, current.value);
    });
    return written.ok ? ok(sha256(data)) : written;
  }

  remove(path: string): Result<void, SysError> {
    const trees = this.#trees;
    if (trees === null) return closed();
    const place = this.#there(path, "keep");
    if (!place.ok) return place;
    const { tree, real } = place.value;
    if (real === ".") return fail("EPERM", "the workspace itself cannot be removed; name what is in it");
    const checked = walk.at(tree, real, { last: "keep" }, () => checkHidden(this.#hide, real));
    if (!checked.ok) return checked;
    this.#rememberTree(real);
    if (statOf(trees.lower, real) !== null) this.#gone.set(real, { digest: null, executable: false });
    return statOf(trees.upper, real) === null ? done : beneath.removeBeneath(trees.upper, real);
  }

  stat(path: string): Result<FileStat, SysError> {
    const place = this.#there(path, "keep");
    if (!place.ok) return place;
    return beneath.statBeneath(place.value.tree, place.value.real);
  }

  list(path: string): Result<readonly FileStat[], SysError> {
    const trees = this.#trees;
    if (trees === null) return closed();
    const place = this.#there(path);
    if (!place.ok) return place;
    const { tree, real } = place.value;
    const first = beneath.listBeneath(tree, real);
    if (!first.ok) return first;
    const entries = new Map(first.value.map((entry) => [entry.path, entry]));
    if (tree === trees.upper && !this.#covered(real) && statOf(trees.lower, real)?.isDirectory()) {
      const below = beneath.listBeneath(trees.lower, real);
      if (below.ok) for (const entry of below.value) if (!entries.has(entry.path)) entries.set(entry.path, entry);
    }
    const shown = [...entries.values()].filter((entry) => !isHidden(this.#hide, entry.path));
    const kept = shown.filter((entry) => statOf(trees.upper, entry.path) !== null || !this.#covered(entry.path));
    return ok(kept.toSorted((a, b) => (a.path < b.path ? -1 : 1)));
  }

  stage(): Result<never, SysError> {
    return fail(
      "ENOSYS",
      "commands are refused: this machine cannot mount an overlay, so there is no folder to run them in; use the fs calls",
    );
  }

  async changes(): Promise<Result<readonly Change[], SysError>> {
    const trees = this.#trees;
    if (trees === null) return closed();
    const changes = new Map<string, Change>();
    for (const [path, stat] of filesBelow(trees.upper, ".")) {
      if (stat.isDirectory() && statOf(trees.lower, path)?.isDirectory()) continue;
      const change = await this.#present(trees.upper, path, stat);
      if (!change.ok) return change;
      if (change.value !== null) changes.set(path, change.value);
    }
    for (const path of this.#base.paths()) {
      const fact = this.#base.get(path);
      if (fact === undefined || fact.digest === null || changes.has(path) || !this.#covered(path)) continue;
      const upper = statOf(trees.upper, path);
      if (upper !== null && !upper.isDirectory()) continue;
      const { digest: base, executable: wasExecutable } = fact;
      changes.set(path, { path, kind: "deleted", type: "file", base, now: null, executable: false, wasExecutable });
    }
    for (const path of this.#gone.paths()) {
      if (changes.has(path) || statOf(trees.upper, path) !== null || !statOf(trees.lower, path)?.isDirectory()) continue;
      changes.set(path, {
        path,
        kind: "deleted",
        type: "folder",
        base: null,
        now: null,
        executable: false,
        wasExecutable: false,
      });
    }
    return ok([...changes.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)));
  }

  async settle(settled: readonly { readonly path: string; readonly now: Digest | null }[]): Promise<Result<void, SysError>> {
    const trees = this.#trees;
    if (trees === null) return closed();
    for (const { path, now } of settled) {
      const stat = statOf(trees.upper, path);
      const digest = stat === null || stat.isDirectory() ? null : await this.#digests.digest(trees.upper, path, stat);
      if (digest !== null && (!digest.ok || digest.value !== now)) {
        this.#base.set(path, { digest: now, executable: (stat?.mode ?? 0) % 2 === 1 });
        continue;
      }
      if (now === null) this.#gone.delete(path);
      // A hidden folder above still covers the workspace's file, so the session's own copy stays and becomes the base.
      else if (this.#coveredAbove(path)) this.#base.set(path, { digest: now, executable: (stat?.mode ?? 0) % 2 === 1 });
      else {
        if (digest !== null) beneath.removeBeneath(trees.upper, path);
        this.#gone.delete(path);
      }
      if (now === null || !this.#coveredAbove(path)) this.#base.delete(path);
    }
    return done;
  }

  close(): void {
    if (this.#trees !== null) closeTrees(this.#trees);
    this.#trees = null;
    this.#onClose();
  }

  /** Where something is at the path, without links; ENOENT where nothing is. */
  #there(
    path: string,
    last: "follow" | "keep" = "follow",
  ): Result<{ readonly tree: walk.Tree; readonly real: string }, SysError> {
    const place = this.#locate(path, last);
    if (!place.ok) return place;
    const { tree, real } = place.value;
    return tree === null
      ? fail("ENOENT", `${path} is not there; list its folder with fs.list to see what is`)
      : ok({ tree, real });
  }

  /** The path without links, and the layer that has it; null where nothing is. */
  #locate(
    path: string,
    last: "follow" | "keep" = "follow",
  ): Result<{ readonly tree: walk.Tree | null; readonly real: string }, SysError> {
    const trees = this.#trees;
    if (trees === null) return closed();
    const normal = walk.normalPath(path);
    if (!normal.ok) return normal;
    if (isHidden(this.#hide, normal.value)) return ok({ tree: null, real: normal.value });
    if (statOf(trees.upper, normal.value) !== null) return ok({ tree: trees.upper, real: normal.value });
    const meant = walk.at(trees.lowerFollowed, normal.value, { last }, (place) => ({
      real: place.real,
      there: place.stat !== null,
    }));
    if (!meant.ok) return meant.error.errno === "ENOENT" ? ok({ tree: null, real: normal.value }) : meant;
    const { real, there } = meant.value;
    if (isHidden(this.#hide, real)) return ok({ tree: null, real });
    if (statOf(trees.upper, real) !== null) return ok({ tree: trees.upper, real });
    return ok({ tree: there && !this.#covered(real) ? trees.lower : null, real });
  }

  #covered(path: string): boolean {
    return this.#gone.get(path) !== undefined || this.#coveredAbove(path);
  }

  #coveredAbove(path: string): boolean {
    for (let cut = path.lastIndexOf("/"); cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
      if (this.#gone.get(path.slice(0, cut)) !== undefined) return true;
    }
    return false;
  }

  /** A file that stands where the path needs a folder. */
  #blockedBy(path: string): string | null {
    for (let cut = path.indexOf("/"); cut > 0; cut = path.indexOf("/", cut + 1)) {
      const folder = path.slice(0, cut);
      const upper = this.#trees === null ? null : statOf(this.#trees.upper, folder);
      const lower = this.#trees === null || this.#covered(folder) ? null : statOf(this.#trees.lower, folder);
      if ((upper ?? lower)?.isDirectory() === false) return folder;
    }
    return null;
  }

  async #present(upper: walk.Tree, path: string, stat: Stats): Promise<Result<Change | null, SysError>> {
    const type = typeOf(stat);
    if (type === "folder")
      return ok({ path, kind: "added", type, base: null, now: null, executable: false, wasExecutable: false });
    const fact = this.#base.get(path) ?? { digest: null, executable: false };
    const now = await this.#digests.digest(upper, path, stat);
    if (!now.ok) return now;
    const executable = (stat.mode & 0o111) !== 0;
    if (fact.digest === now.value && fact.executable === executable) return ok(null);
    const kind = fact.digest === null ? "added" : "modified";
    return ok({ path, kind, type, base: fact.digest, now: now.value, executable, wasExecutable: fact.executable });
  }

  #remember(path: string, current: beneath.Content | null): void {
    if (this.#base.get(path) !== undefined) return;
    const executable = current !== null && (current.stat.mode & 0o111) !== 0;
    this.#base.set(path, { digest: current === null ? null : this.#options.blobs.put(current.data), executable });
  }

  #rememberTree(path: string): void {
    const trees = this.#trees;
    if (trees === null || this.#covered(path)) return;
    const stat = statOf(trees.lower, path);
    if (stat?.isDirectory()) {
      const entries = beneath.listBeneath(trees.lower, path);
      if (entries.ok) for (const entry of entries.value) this.#rememberTree(entry.path);
      return;
    }
    const found = standing(trees.lower, path);
    if (found.ok && found.value?.data) this.#remember(path, { stat: found.value.stat, data: found.value.data });
  }
}

function* filesBelow(tree: walk.Tree, folder: string): Generator<[string, Stats]> {
  const entries = beneath.listBeneath(tree, folder);
  if (!entries.ok) return;
  for (const { path } of entries.value) {
    const stat = statOf(tree, path);
    if (stat === null || path.endsWith(beneath.temporaryName)) continue;
    yield [path, stat];
    if (stat.isDirectory()) yield* filesBelow(tree, path);
  }
}

function readOrFolder(tree: walk.Tree, path: string): Result<beneath.Content | null, SysError> {
  return walk.at(tree, path, { last: "keep" }, (place) => {
    if (place.stat?.isDirectory()) throw walk.refusal("EINVAL", `${path} is a folder; name a file`);
    return place.stat === null ? null : beneath.readAt(place, path, limits.fileBytesMax);
  });
}

function openTrees(spec: SessionSpec, links: SessionDriverOptions["links"] = "follow"): Result<Trees, SysError> {
  const upperPath = join(spec.home, "upper");
  try {
    mkdirSync(upperPath, { recursive: true });
  } catch (error) {
    return err(walk.translate(error, "the session's own folder"));
  }
  const lower = walk.openTree(spec.lower, null, "none");
  if (!lower.ok) return lower;
  const upper = walk.openTree(upperPath, null, "none");
  if (!upper.ok) return upper;
  return ok({ lower: lower.value, lowerFollowed: { ...lower.value, links }, upper: upper.value });
}

function closeTrees(trees: Trees): void {
  walk.closeTree(trees.lower);
  walk.closeTree(trees.upper);
}
