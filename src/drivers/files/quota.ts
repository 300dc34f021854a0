/**
 * Quota: what a session may take of the disk, held against the writes of calls. Commands are held to the same by the sandbox helper.
 *   FIL-16.1  A write that would take the session beyond its bound is EDQUOT and writes nothing; what is there stays.
 *   FIL-16.2  What a session takes is counted when that is not known, and again before a write is refused, so that what was deleted counts.
 *   FIL-16.3  With too little free on the disk a write is ENOSPC before it is tried, so that the journal can still be written.
 */
import { fail, type SysError } from "../../abi/errno.ts";
import { limits } from "../../abi/limits.ts";
import type { Growth, Usage } from "../../abi/sandbox.ts";
import { done, type Result } from "../../lib/result.ts";
import { freeBytesMinOn, freeOn } from "../sandbox/growth.ts";

export type QuotaBounds = Pick<Growth, "bytesMax" | "filesMax"> & Partial<Pick<Growth, "freeBytesMin">>;

const usual: QuotaBounds = { bytesMax: limits.sessionBytesMax, filesMax: limits.sessionFilesMax };

export class Quota {
  readonly growth: Growth;
  readonly #measure: () => Promise<Result<Usage, SysError>>;
  #used: Usage | null = null;

  /** `folder` is there already, and holds what the session changed. */
  constructor(folder: string, measure: () => Promise<Result<Usage, SysError>>, bounds: QuotaBounds = usual) {
    this.growth = { folder, freeBytesMin: freeBytesMinOn(folder), ...bounds };
    this.#measure = measure;
  }

  /** Something else than a call may change the folder. */
  forget(): void {
    this.#used = null;
  }

  /** Whether a file of so many bytes may be written. */
  async admit(bytes: number): Promise<Result<void, SysError>> {
    const { folder, freeBytesMin } = this.growth;
    if (freeOn(folder).bytes < freeBytesMin + bytes)
      return fail("ENOSPC", "the disk is almost full, so nothing is written; free some space and try again");
    if (this.#used === null || this.#isOver(this.#used, bytes)) {
      const measured = await this.#measure();
      if (!measured.ok) return measured;
      this.#used = measured.value;
    }
    if (this.#isOver(this.#used, bytes)) return fail("EDQUOT", fullSession(this.growth));
    this.#used = { bytes: this.#used.bytes + bytes, files: this.#used.files + 1 };
    return done;
  }

  #isOver(used: Usage, bytes: number): boolean {
    return used.bytes + bytes > this.growth.bytesMax || used.files + 1 > this.growth.filesMax;
  }
}

/** What a model or a person is told, with the next step. */
export function fullSession({ bytesMax, filesMax }: Growth): string {
  return (
    `this process's changes would take more than ${Math.floor(bytesMax / 2 ** 20)} MiB or ${filesMax} files of the disk. ` +
    `What is there is kept: delete what you do not need with shell.run and rm, or commit what is done, and try again`
  );
}
