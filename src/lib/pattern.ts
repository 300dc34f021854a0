/**
 * Pattern: regular expressions from outside, on an engine whose time is linear in the text (RE2's algorithm).
 *   LIB-5.1  No pattern and no text makes a match take more than linear time; what the engine does not know is refused when compiled.
 */
import type * as Re2 from "re2js";
import { lazy } from "./lazy.ts";
import { err, ok, type Result } from "./result.ts";

/** Few schemas have a pattern, and the engine costs more to load than all the rest of a check. */
const engine = lazy<typeof Re2>("re2js");

/** Whether the pattern occurs in a text. */
export function linearPattern(pattern: string): Result<(text: string) => boolean, string> {
  try {
    const compiled = engine().RE2JS.compile(pattern);
    return ok((text) => compiled.matcher(text).find());
  } catch (error) {
    return err(error instanceof Error ? error.message : "not a regular expression");
  }
}
