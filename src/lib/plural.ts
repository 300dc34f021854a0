/**
 * Plural: counts in sentences.
 *   LIB-7.1  One is one thing; every other count, and none, are several.
 */

/** `1 line`, `3 lines`, `0 entries` with `more` for a word that takes no s. */
export function plural(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}
