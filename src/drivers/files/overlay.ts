/**
 * Overlay: sessions on overlayfs, mounted by the sandbox helper in its own namespace. Opening costs a mount, whatever the workspace's size.
 * The home holds `upper` (what changed), `work` (the kernel's), `view` (the mount point), `lower` (a link to the workspace) and `base.jsonl`.
 *   FIL-10.1  The workspace is never written; every change lies in `upper` and is there again at the next open.
 *   FIL-10.2  Hidden names (the platform's own folder) are neither seen nor changed through a session.
 *   FIL-10.3  A base is certain only where the workspace's file cannot have changed between being seen and being captured; else it is unknown.
 *   FIL-10.4  A session whose folder cannot be written is not open, with the reason; it can be opened once that is mended.
 */
import {
  appendFileSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import { fail, type SysError } from "../../abi/errno.ts";
import type { Change, FileStat, Session, SessionDriver, Stage } from "../../abi/files.ts";
import { limits } from "../../abi/limits.ts";
import type { Pid } from "../../abi/process.ts";
import type { Usage } from "../../abi/sandbox.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { done, err, ok, type Result } from "../../lib/result.ts";
import type { ZygoteClient } from "../sandbox/zygote-client.ts";
import { BaseTable, unknownBase, type BaseFact } from "./base.ts";
import * as beneath from "./beneath.ts";
import * as walk from "./tree.ts";
import { DigestCache, standing } from "./content.ts";
import { checkExpected, checkHidden, tooLarge } from "./guard.ts";
import { Quota } from "./quota.ts";
import { Secrets, type IsSecret } from "./secrets.ts";
import { closed, type SessionDriverOptions, type SessionSpec } from "./session.ts";
import { differences, isCertain, isWhiteout, statOf, wasCopied, type Difference } from "./upper.ts";

/** Where commands see the workspace; an absolute link below it stays inside. */
const workspace = "/work";

export interface OverlayOptions extends SessionDriverOptions {
  readonly helper: ZygoteClient;
  /** What is closed to commands, by its path. */
  readonly isSecret: IsSecret;
}

export function overlaySessions(options: OverlayOptions): SessionDriver {
  const open = new Map<string, OverlaySession>();
  const secrets = new Map<string, Secrets>();
  const secretsOf = (lower: string): Secrets => {
    const known = secrets.get(lower) ?? new Secrets(lower, options.isSecret, options.hide);
    secrets.set(lower, known);
    return known;
  };
  return {
    name: "overlay",
    async available() {
      const helper = await options.helper.start();
      if (!helper.ok) return helper;
      if (helper.value.mode === "mounts") return done;
      return fail(
        "ENOSYS",
        "overlays cannot be mounted here, most often because user namespaces are turned off; sessions copy files instead",
      );
    },
    async open(spec) {
      if (open.has(spec.home)) return fail("EBUSY", `the session of process ${spec.pid} is open already; close it first`);
      const session = await OverlaySession.open(spec, options, secretsOf(spec.lower), () => open.delete(spec.home));
      if (session.ok) open.set(spec.home, session.value);
      return session;
    },
    async close() {
      await Promise.all([...open.values()].map((session) => session.close()));
    },
  };
}

class OverlaySession implements Session {
  readonly pid: Pid;
  readonly #spec: SessionSpec;
  readonly #options: OverlayOptions;
  readonly #onClose: () => void;
  readonly #hide: ReadonlySet<string>;
  readonly #base: BaseTable;
  readonly #digests = new DigestCache();
  readonly #secrets: Secrets;
  readonly #quota: Quota;
  readonly #lower: walk.Tree;
  #upper: walk.Tree | null = null;
  #view: walk.Tree | null = null;
  #root: string | null = null;
  #mountedAt = 0;

  private constructor(spec: SessionSpec, options: OverlayOptions, secrets: Secrets, lower: walk.Tree, onClose: () => void) {
    this.pid = spec.pid;
    this.#spec = spec;
    this.#options = options;
    this.#hide = new Set(options.hide);
    this.#secrets = secrets;
    this.#lower = lower;
    this.#onClose = onClose;
    this.#base = new BaseTable(join(spec.home, "base.jsonl"));
    const upper = join(spec.home, "upper");
    this.#quota = new Quota(upper, () => measured(options.helper, upper), options.quota);
  }

  static async open(
    spec: SessionSpec,
    options: OverlayOptions,
    secrets: Secrets,
    onClose: () => void,
  ): Promise<Result<OverlaySession, SysError>> {
    const lower = walk.openTree(spec.lower, null, "none");
    if (!lower.ok) return lower;
    let session: OverlaySession;
    try {
      for (const name of ["upper", "work", "view"]) mkdirSync(join(spec.home, name), { recursive: true, mode: 0o755 });
      pointLower(spec);
      session = new OverlaySession(spec, options, secrets, lower.value, onClose);
    } catch (error) {
      walk.closeTree(lower.value);
      return err(walk.translate(error, "the session's own folder"));
    }
    const before = session.#stampedAt();
    const mounted = await session.#mount();
    if (!mounted.ok) {
      await session.close();
      return mounted;
    }
    // What an earlier run left without a base is captured against the time of its mount, not of this one.
    if (before !== null) {
      const now = session.#mountedAt;
      session.#mountedAt = before;
      await session.changes();
      session.#mountedAt = now;
    }
    return ok(session);
  }

  async stage(): Promise<Result<Stage, SysError>> {
    this.#quota.forget();
    const secrets = await this.#secrets.look();
    if (!secrets.ok) return secrets;
    return this.#root === null ? closed() : ok({ root: this.#root, closed: secrets.value, growth: this.#quota.growth });
  }

  read(path: string): Result<Buffer, SysError> {
    if (this.#view === null) return closed();
    const content = beneath.readBeneath(this.#asked(this.#view), path);
    return content.ok ? ok(content.value.data) : content;
  }

  state(path: string): Result<string, SysError> {
    return this.#view === null ? closed() : beneath.stateBeneath(this.#asked(this.#view), path);
  }

  async write(path: string, data: Uint8Array, expect?: Digest | null): Promise<Result<Digest, SysError>> {
    const large = tooLarge(path, data);
    if (large !== null) return large;
    const room = await this.#quota.admit(data.length);
    if (!room.ok) return room;
    if (this.#view === null) return closed();
    const written = beneath.writeBeneath(
      this.#asked(this.#view),
      path,
      data,
      { mode: null, durable: false, last: "follow" },
      (place) => {
        checkHidden(this.#hide, place.real);
        const current = place.stat === null ? null : beneath.readAt(place, path, limits.fileBytesMax);
        checkExpected(path, current?.data ?? null, expect);
        this.#remember(place.real, current);
      },
    );
    return written.ok ? ok(sha256(data)) : written;
  }

  remove(path: string): Result<void, SysError> {
    const view = this.#view;
    if (view === null) return closed();
    return beneath.removeBeneath(this.#asked(view), path, (place) => {
      checkHidden(this.#hide, place.real);
      this.#rememberTree(view, place.real, place.stat);
    });
  }

  stat(path: string): Result<FileStat, SysError> {
    return this.#view === null ? closed() : beneath.statBeneath(this.#asked(this.#view), path);
  }

  list(path: string): Result<readonly FileStat[], SysError> {
    if (this.#view === null) return closed();
    const entries = beneath.listBeneath(this.#asked(this.#view), path);
    return entries.ok ? ok(entries.value.filter((entry) => !this.#hide.has(entry.path))) : entries;
  }

  async changes(): Promise<Result<readonly Change[], SysError>> {
    if (this.#view === null || this.#upper === null) return closed();
    const upper = this.#upper;
    const changes: Change[] = [];
    const layers = { upper, lower: this.#lower, view: this.#view, hide: this.#hide, mountedAt: this.#mountedAt };
    let count = 0;
    for (const difference of differences(layers)) {
      const change = await this.#change(upper, difference);
      if (!change.ok) return change;
      if (change.value !== null) changes.push(change.value);
      count += 1;
      if (count % pauseEvery === 0) await new Promise(setImmediate);
    }
    return ok(changes.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)));
  }

  async settle(settled: readonly { readonly path: string; readonly now: Digest | null }[]): Promise<Result<void, SysError>> {
    const upper = this.#upper;
    if (upper === null) return closed();
    const unmounted = await this.#unmount();
    if (!unmounted.ok) return unmounted;
    this.#quota.forget();
    for (const { path, now } of settled) {
      const stat = statOf(upper, path);
      const digest = stat === null || stat.isDirectory() ? null : await this.#digests.digest(upper, path, stat);
      const same = stat !== null && (isWhiteout(stat) ? now === null : digest !== null && digest.ok && digest.value === now);
      if (same) beneath.removeBeneath(upper, path);
      if (same || stat === null) this.#base.delete(path);
      else this.#base.set(path, { digest: now, executable: (stat.mode & 0o111) !== 0 });
    }
    const mounted = await this.#mount();
    if (!mounted.ok) return mounted;
    for (const { path, now } of settled) if (now !== null) this.#uncover(path, now);
    return done;
  }

  async close(): Promise<void> {
    await this.#unmount();
    walk.closeTree(this.#lower);
    this.#onClose();
  }

  #stampFile(): string {
    return join(this.#spec.home, "mounted");
  }

  #stampedAt(): number | null {
    return statSync(this.#stampFile(), { throwIfNoEntry: false })?.mtimeMs ?? null;
  }

  async #mount(): Promise<Result<void, SysError>> {
    const { home } = this.#spec;
    const { helper, hide } = this.#options;
    const started = await helper.start();
    if (!started.ok) return started;
    // A new file carries the file system's own clock, the one the workspace's times are compared with.
    try {
      rmSync(`${this.#stampFile()}.next`, { force: true });
      appendFileSync(`${this.#stampFile()}.next`, "mounted\n");
    } catch (error) {
      return err(walk.translate(error, "the session's own folder"));
    }
    const mounted = await helper.request({ op: "mount", home, hide }, null);
    if (!mounted.ok) return mounted;
    const root = `/proc/${started.value.pid}/root${home}/view`;
    const view = walk.openTree(root, workspace);
    if (!view.ok) return view;
    const upper = walk.openTree(join(home, "upper"), null, "none");
    if (!upper.ok) return upper;
    this.#view = view.value;
    this.#upper = upper.value;
    this.#root = root;
    renameSync(`${this.#stampFile()}.next`, this.#stampFile());
    this.#mountedAt = this.#stampedAt() ?? 0;
    return done;
  }

  async #unmount(): Promise<Result<void, SysError>> {
    if (this.#view === null) return done;
    const mounted = this.#root?.startsWith(`/proc/${this.#options.helper.pid}/root/`) === true;
    if (this.#view !== null) walk.closeTree(this.#view);
    if (this.#upper !== null) walk.closeTree(this.#upper);
    this.#view = null;
    this.#upper = null;
    this.#root = null;
    if (!mounted) return done;
    const answer = await this.#options.helper.request({ op: "unmount", view: join(this.#spec.home, "view") }, null);
    return answer.ok ? done : answer;
  }

  async #change(upper: walk.Tree, difference: Difference): Promise<Result<Change | null, SysError>> {
    const { path, type, stat } = difference;
    if (type === "folder" || type === "other") {
      const kind = difference.kind === "gone" ? "deleted" : "added";
      return ok({ path, kind, type, base: null, now: null, executable: false, wasExecutable: false });
    }
    const base = this.#base.get(path) ?? this.#capture(path, difference);
    const { digest: was, executable: wasExecutable } = base;
    if (difference.kind === "gone") {
      if (was === null) return ok(null);
      return ok({ path, kind: "deleted", type, base: was, now: null, executable: false, wasExecutable });
    }
    const now = await this.#digests.digest(upper, path, stat);
    if (!now.ok) return now;
    if (type === "link") this.#keepLink(upper, path);
    const executable = type === "file" && (stat.mode & 0o111) !== 0;
    if (was === now.value && executable === wasExecutable) return ok(null);
    return ok({ path, kind: was === null ? "added" : "modified", type, base: was, now: now.value, executable, wasExecutable });
  }

  /** The view as a caller's path walks it; the session's own looks go by real paths. */
  #asked(view: walk.Tree): walk.Tree {
    return { ...view, links: this.#options.links ?? "follow" };
  }

  /** A link is read here and nowhere else: read() follows it. */
  #keepLink(upper: walk.Tree, path: string): void {
    const link = standing(upper, path);
    if (link.ok && link.value?.data) this.#options.blobs.put(link.value.data);
  }

  /** The base of a path changed by a command: what the workspace holds there, if that is surely what the command saw. */
  #capture(path: string, difference: Difference): BaseFact {
    const found = standing(this.#lower, path);
    // A folder is no file's base; its own deletion is another change.
    const lower = found.ok && found.value?.stat.isDirectory() !== true ? found.value : null;
    const viewed = this.#view === null ? null : statOf(this.#view, path);
    const certain = lower === null ? !wasCopied(difference, viewed) : isCertain(lower.stat, difference, viewed, this.#mountedAt);
    return this.#keep(path, certain ? lower : "unknown");
  }

  /** The base of a path about to be changed by a call: what the session shows there now. */
  #remember(path: string, current: beneath.Content | null): void {
    if (this.#base.get(path) !== undefined) return;
    const stat = this.#upper === null ? null : statOf(this.#upper, path);
    if (stat === null) this.#keep(path, current);
    else if (isWhiteout(stat)) this.#capture(path, { kind: "gone", path, type: "file", stat });
    else this.#capture(path, { kind: "present", path, type: "file", stat });
  }

  #rememberTree(view: walk.Tree, path: string, stat: Stats | null): void {
    if (!stat?.isDirectory()) {
      const current = standing(view, path);
      if (current.ok && current.value?.data) this.#remember(path, { stat: current.value.stat, data: current.value.data });
      return;
    }
    const entries = beneath.listBeneath(view, path);
    if (entries.ok) for (const entry of entries.value) this.#rememberTree(view, entry.path, statOf(view, entry.path));
  }

  #keep(path: string, found: { readonly stat: Stats; readonly data: Buffer | null } | "unknown" | null): BaseFact {
    const data = found === null || found === "unknown" ? null : found.data;
    const digest = found === null ? null : data === null ? unknownBase : this.#options.blobs.put(data);
    const executable = found !== null && found !== "unknown" && found.stat.isFile() && (found.stat.mode & 0o111) !== 0;
    const fact = { digest, executable };
    this.#base.set(path, fact);
    return fact;
  }

  /** A folder the session had remade still hides the workspace's; then what was settled is shown as a copy. */
  #uncover(path: string, now: Digest): void {
    if (this.#view === null || statOf(this.#view, path) !== null) return;
    const lower = standing(this.#lower, path);
    if (!lower.ok || lower.value?.data === null || lower.value === null || !lower.value.stat.isFile()) return;
    const { data, stat } = lower.value;
    beneath.writeBeneath(this.#view, path, data, { mode: stat.mode & 0o777, durable: false, last: "keep" });
    this.#base.set(path, { digest: now, executable: (stat.mode & 0o111) !== 0 });
  }
}

/** Paths looked at before other work gets its turn. */
const pauseEvery = 64;

/** Counted by the helper, which may look into folders that a command has shut. */
async function measured(helper: ZygoteClient, folder: string): Promise<Result<Usage, SysError>> {
  const answer = await helper.request({ op: "measure", folder }, null);
  if (!answer.ok) return answer;
  const { reply } = answer.value;
  return reply.op === "measured" ? ok(reply.usage) : fail("EIO", "the sandbox helper gave an answer to something else");
}

function pointLower(spec: SessionSpec): void {
  const link = join(spec.home, "lower");
  try {
    if (readlinkSync(link) === spec.lower) return;
    unlinkSync(link);
  } catch {
    // Not there yet.
  }
  symlinkSync(spec.lower, link);
}
