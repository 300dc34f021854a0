/**
 * Base: what each path of a session held when the session first changed it, so that a later merge has its third side.
 * One line of JSON per fact, appended; the last line for a path counts, and a torn last line is left out.
 *   FIL-7.1  A base, once known, does not change until the path is settled.
 */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isObject, parseJson } from "../../lib/json.ts";
import type { Digest } from "../../lib/hash.ts";

export interface BaseFact {
  /** null: nothing was there. */
  readonly digest: Digest | null;
  readonly executable: boolean;
}

/**
 * Something was there, but what the session saw of it cannot be told from what the workspace has now.
 * No content has this digest, so every three-way decision on it is a conflict.
 */
export const unknownBase: Digest = "0".repeat(64);

export class BaseTable {
  readonly #file: string;
  readonly #facts = new Map<string, BaseFact>();

  constructor(file: string) {
    this.#file = file;
    let bytes = 0;
    for (const line of readLines(file)) {
      bytes += line.length;
      const fact = parseJson(line);
      if (!isObject(fact) || typeof fact["path"] !== "string") continue;
      const { path, digest, executable } = fact;
      if (fact["gone"] === true) this.#facts.delete(path);
      else this.#facts.set(path, { digest: typeof digest === "string" ? digest : null, executable: executable === true });
    }
    // Written anew at every open, so a torn last line cannot swallow the next fact.
    if (bytes > 0) this.#compact();
  }

  get(path: string): BaseFact | undefined {
    return this.#facts.get(path);
  }

  set(path: string, fact: BaseFact): void {
    this.#facts.set(path, fact);
    appendFileSync(this.#file, `${JSON.stringify({ path, ...fact })}\n`);
  }

  delete(path: string): void {
    if (this.#facts.delete(path)) appendFileSync(this.#file, `${JSON.stringify({ path, gone: true })}\n`);
  }

  paths(): Iterable<string> {
    return this.#facts.keys();
  }

  /** Writes the facts anew without those that were superseded. */
  #compact(): void {
    const lines = [...this.#facts].map(([path, fact]) => `${JSON.stringify({ path, ...fact })}\n`);
    writeFileSync(`${this.#file}.next`, lines.join(""));
    renameSync(`${this.#file}.next`, this.#file);
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
