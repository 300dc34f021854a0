/**
 * Modules: a program's code and all it imports as one measured thing, and the only code that runs under that measure.
 * Both passes go through Node's own loader, with hooks that give it the bytes; a graph that is linked and not evaluated is loaded whole.
 *   BOO-27.1  Every file of the static import graph is measured, and where each bare name led; a change of any of it is another digest.
 *   BOO-27.2  Measuring runs nothing of it.
 *   BOO-27.3  What runs are the bytes that were measured; the disk is not looked at again, and an import that was not measured is refused.
 *   BOO-27.4  A program imports files of its workspace by relative path, packages that lie in it, JSON, `node:` and `daimon`; anything else is
 *             refused: what lies outside, a link, CommonJS, a URL, more files than the bound.
 */
import { randomUUID } from "node:crypto";
import { realpathSync } from "node:fs";
import { registerHooks, type LoadFnOutput, type ResolveFnOutput } from "node:module";
import * as path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { sysError, type Errno, type SysError } from "../abi/errno.ts";
import { limits } from "../abi/limits.ts";
import { packageRoot } from "../drivers/own-files.ts";
import { canonical } from "../lib/json.ts";
import { sha256, type Digest } from "../lib/hash.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { readBytes } from "./read.ts";

export interface ModuleGraph {
  /** Relative to the workspace, as every path here. */
  readonly entry: string;
  /** Over the entry's name, all files and where bare names led. */
  readonly digest: Digest;
  readonly files: Readonly<Record<string, Digest>>;
  readonly bytes: ReadonlyMap<string, Buffer>;
  /** `FROM SPECIFIER` to the path it led to, or to a URL of daimon itself. */
  readonly names: ReadonlyMap<string, string>;
}

/** Loads the graph and links it to an entry that cannot be linked, so that nothing of it is evaluated. */
export async function measureModules(root: string, entry: string): Promise<Result<ModuleGraph, SysError>> {
  const bytes = new Map<string, Buffer>();
  const names = new Map<string, string>();
  const id = randomUUID();
  const unlinked = `unlinked_${id.replaceAll("-", "_")}`;
  const loading = load(`import { ${unlinked} } from "${scheme}//${id}/"; import "${urlOf(id, entry)}";`, {
    id,
    file: (file) => {
      const known = bytes.get(file) ?? read(root, file, bytes.size);
      bytes.set(file, known);
      return known;
    },
    name: (from, specifier, next) => {
      const found = inside(root, specifier, next(pathToFileURL(path.join(root, from)).href));
      names.set(`${from} ${specifier}`, found);
      return found;
    },
  });
  const failed = await loading.then(
    () => sysError("ENOEXEC", `${entry} was loaded without being measured`),
    (error: unknown) => (error instanceof SyntaxError && error.message.includes(unlinked) ? null : reasonOf(error, entry)),
  );
  if (failed !== null) return err(failed);
  const files: Record<string, Digest> = {};
  for (const file of [...bytes.keys()].toSorted(order)) files[file] = sha256(bytes.get(file) ?? "");
  const led: Readonly<Record<string, string>> = Object.fromEntries(names);
  return ok({ entry, digest: graphDigest(entry, files, led), files, bytes, names });
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function graphDigest(entry: string, files: ModuleGraph["files"], names: Readonly<Record<string, string>>): Digest {
  return sha256(canonical({ entry, files, names }));
}

/** The entry's default export; undefined where it has none. */
export async function runModules(graph: ModuleGraph): Promise<Result<unknown, SysError>> {
  const { entry, digest, bytes, names } = graph;
  const loading = load(`import * as program from "${urlOf(digest, entry)}"; export default program.default;`, {
    id: digest,
    file: (file) => bytes.get(file) ?? refuse("EKEYREJECTED", `${file} was not measured, so it is not loaded`),
    name: (from, specifier) =>
      names.get(`${from} ${specifier}`) ??
      refuse("EKEYREJECTED", `${JSON.stringify(specifier)} was not measured, so it is not loaded`),
  });
  return await loading.then(
    (value) => ok(value),
    (error: unknown) => err(reasonOf(error, entry)),
  );
}

/** What changed of the files a person accepted, in words: `lib/a.ts changed`. */
export function changesOf(accepted: Readonly<Record<string, Digest>>, { files }: ModuleGraph): readonly string[] {
  const names = [...new Set([...Object.keys(accepted), ...Object.keys(files)])].toSorted(order);
  return names.flatMap((name) => {
    if (accepted[name] === files[name]) return [];
    return accepted[name] === undefined ? [`${name} is new`] : [`${name} ${files[name] === undefined ? "is gone" : "changed"}`];
  });
}

const scheme = "daimon-program:";

/** Where the loader's questions about one graph go. */
interface Source {
  /** One graph in one pass: the loader keeps what it has loaded under a URL, and graphs never share one. */
  readonly id: string;
  file(file: string): Buffer;
  /** A bare name; `next` asks Node for it as if a file at this URL had. */
  name(from: string, specifier: string, next: (parent: string) => string): string;
}

/** The entry is a text in a URL: it has no file that could change. */
async function load(entry: string, source: Source): Promise<unknown> {
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      const from = fileOf(source.id, context.parentURL);
      const own = from !== null || specifier.startsWith(`${scheme}//${source.id}/`);
      if (!own || specifier.startsWith("node:")) return next(specifier, context);
      return resolve(
        source,
        specifier,
        from,
        context.parentURL ?? "",
        (parent) => next(specifier, { ...context, parentURL: parent }).url,
      );
    },
    load: (url, context, next) => {
      const file = fileOf(source.id, url);
      return file === null ? next(url, context) : loaded(file, source);
    },
  });
  try {
    const url = `data:text/javascript,${encodeURIComponent(entry)}`;
    const module = (await import(url)) as { readonly default?: unknown };
    return module.default;
  } finally {
    hooks.deregister();
  }
}

function resolve(
  source: Source,
  specifier: string,
  from: string | null,
  parent: string,
  next: (parent: string) => string,
): ResolveFnOutput {
  if (from === null) return { url: specifier, shortCircuit: true };
  if (/^\.{0,2}\//.test(specifier)) return { url: new URL(specifier, parent).href, shortCircuit: true };
  if (URL.canParse(specifier))
    return refuse("EINVAL", `${from} imports the URL ${JSON.stringify(specifier)}; name a file of the workspace`);
  const found = source.name(from, specifier, next);
  return { url: URL.canParse(found) ? found : urlOf(source.id, found), shortCircuit: true };
}

function loaded(file: string, source: Source): LoadFnOutput {
  if (file === "") return { format: "module", source: "", shortCircuit: true };
  const format = formats[path.extname(file)];
  if (format === undefined) {
    const what = `${file} is no ES module; a program is made of .ts, .mts, .js, .mjs and .json files, written with import and export`;
    return refuse("EINVAL", what);
  }
  return { format, source: source.file(file), shortCircuit: true };
}

const formats: Readonly<Record<string, string>> = {
  ".ts": "module-typescript",
  ".mts": "module-typescript",
  ".js": "module",
  ".mjs": "module",
  ".json": "json",
};

function read(root: string, file: string, count: number): Buffer {
  if (count >= limits.programFilesMax)
    return refuse("E2BIG", `a program has at most ${limits.programFilesMax} files with all it imports; import less`);
  const data = readBytes(path.join(root, file), limits.configBytesMax);
  return data.ok ? data.value : refuse(data.error.errno, `${file}: ${data.error.message}`);
}

/** Daimon's own modules are trusted as daimon is. */
function inside(root: string, specifier: string, url: string): string {
  if (url.startsWith("node:")) return url;
  const file = url.startsWith("file:") ? fileURLToPath(url) : "";
  if (/^daimon(?:\/|$)/.test(specifier) && file.startsWith(packageRoot() + path.sep)) return url;
  /** Node names the real file, whatever links lead to it. */
  const relative = file === "" ? "" : path.relative(realpathSync(root), file);
  if (relative !== "" && !relative.startsWith("..")) return relative.split(path.sep).join("/");
  return refuse("EINVAL", `the import ${JSON.stringify(specifier)} leads outside the workspace; put what it names into it`);
}

function urlOf(id: string, file: string): string {
  return `${scheme}//${id}/${file.split("/").map(encodeURIComponent).join("/")}`;
}

/** The path that a URL of this graph stands for; null for any other URL. */
function fileOf(id: string, url: string | undefined): string | null {
  const start = `${scheme}//${id}/`;
  if (url === undefined || !url.startsWith(start)) return null;
  const file = decodeURIComponent(url.slice(start.length));
  const plain = file === "" || (path.posix.normalize(file) === file && !file.startsWith("..") && !/[\0?#]/.test(file));
  return plain ? file : refuse("EINVAL", `${JSON.stringify(file)} is no plain path; import a file by its name alone`);
}

/** Thrown through the loader, which has no other way to say no. */
class Refused extends Error {
  override readonly name = "Refused";
  readonly error: SysError;
  constructor(error: SysError) {
    super(error.message);
    this.error = error;
  }
}

function refuse(errno: Errno, message: string): never {
  throw new Refused(sysError(errno, message));
}

/** The loader's first line says what is wrong; its URLs are ours, and a person knows the paths in them. */
function reasonOf(error: unknown, entry: string): SysError {
  if (error instanceof Refused) return error.error;
  const text = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  return sysError("ENOEXEC", `${entry} does not load: ${text.replaceAll(/daimon-program:\/\/[^/]*\//g, "")}`);
}
