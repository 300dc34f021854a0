/**
 * Key: what a parsed policy set is cached under, known without loading Cedar.
 *   POL-9.6  The Cedar version in the key is the installed one, so that a new Cedar parses anew.
 */
import type { PolicyText } from "../../abi/policy.ts";
import { sha256, type Digest } from "../../lib/hash.ts";
import { canonical, type JsonObject } from "../../lib/json.ts";

/** The version of @cedar-policy/cedar-wasm this build was checked against; a test holds it to the installed one. */
export const cedarVersion = "4.13.0";

export function policyKey(texts: readonly PolicyText[], schema: JsonObject): Digest {
  return sha256(canonical({ texts, schema, cedar: cedarVersion, form: 1 }));
}
