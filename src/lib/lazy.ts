/** Lazy: load a package when it is first needed, in a place that cannot wait for a promise. */
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);

/** The package's exports, loaded at the first call. */
export function lazy<T>(name: string): () => T {
  let loaded: T | null = null;
  return () => {
    /** The caller names the type that the package's own declarations give. */
    loaded ??= load(name) as T;
    return loaded;
  };
}
