/**
 * Shared tier: the files that processes shared with all others, as the table holds them.
 *   KRN-18.1  What a process shares carries the process's label, and is untrusted whoever wrote it: who reads it has that label joined to theirs.
 *   KRN-18.2  A path is a file or a folder and never both, and the tier holds a bounded number of files.
 *   KRN-18.3  What was shared is there after a restart, by the journal alone; what a person took out is not.
 */
import type { Clock } from "../abi/clock.ts";
import { fail, type SysError } from "../abi/errno.ts";
import type { Shareable } from "../abi/files.ts";
import { limits } from "../abi/limits.ts";
import type { Pid } from "../abi/process.ts";
import { done, type Result } from "../lib/result.ts";
import { join, label } from "../security/labels.ts";
import type { Recorder } from "./recorder.ts";

type Write = (work: () => Result<void, SysError>) => Result<void, SysError>;

export class SharedTier {
  readonly #recorder: Recorder;
  readonly #clock: Clock;
  readonly #write: Write;

  /** `write` turns a log that cannot be written into an error. */
  constructor(recorder: Recorder, clock: Clock, write: Write) {
    this.#recorder = recorder;
    this.#clock = clock;
    this.#write = write;
  }

  /** A process puts a file into it, or over the one at its path. */
  put(pid: Pid, { path, blob, bytes }: Shareable): Result<void, SysError> {
    const { procs, shared } = this.#recorder.table;
    const proc = procs.get(pid);
    if (proc === undefined || proc.state === "zombie") return fail("ENOENT", `process ${pid} does not run`);
    const other = [...shared.keys()].find((name) => name.startsWith(`${path}/`) || path.startsWith(`${name}/`));
    if (other !== undefined)
      return fail(
        "EEXIST",
        `/shared/${path} would be a file and a folder at once, because of /shared/${other}; choose another path`,
      );
    if (shared.size >= limits.sharedFilesMax && !shared.has(path))
      return fail(
        "EDQUOT",
        `/shared holds ${shared.size} files, as many as it may; share over one of them, or ask a person to take some out`,
      );
    return this.#write(() => {
      const file = { blob, bytes, label: join(proc.label, label("untrusted", "workspace")) };
      this.#recorder.record({ kind: "share", at: this.#clock.now(), pid, path, file });
      return done;
    });
  }

  /** A person takes a file out of it. */
  remove(path: string): Result<void, SysError> {
    if (!this.#recorder.table.shared.has(path))
      return fail("ENOENT", `there is no /shared/${path}; "daimon shared" lists what there is`);
    return this.#write(() => {
      this.#recorder.record({ kind: "share", at: this.#clock.now(), pid: 0, path, file: null });
      return done;
    });
  }
}
