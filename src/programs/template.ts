/**
 * Template: fill a Markdown template with values: a small part of Mustache.
 * `{{a.b}}` puts in a value as plain text, `{{#a}}…{{/a}}` repeats for each item of a list or shows if there is something,
 * `{{^a}}…{{/a}}` shows if there is nothing, `{{.}}` is the item itself, `{{link}}` the citation of an item with a path.
 *   PRG-4.1  A value is put in as text: it can open no tag, link, image, HTML or new line.
 *   PRG-4.2  A template with a tag that is not closed, or closes another, is refused with its line.
 *   PRG-4.3  A line that holds only a section's tag leaves no empty line.
 */
import { fail, type SysError } from "../abi/errno.ts";
import { isObject, type Json } from "../lib/json.ts";
import { ok, type Result } from "../lib/result.ts";
import { citation, escapeMarkdown } from "../lib/text-quote.ts";
import { isEmpty, step } from "./values.ts";

type Node =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "value"; readonly path: string }
  | { readonly type: "section"; readonly path: string; readonly inverted: boolean; readonly children: readonly Node[] };

interface Open {
  readonly path: string;
  readonly inverted: boolean;
  readonly line: number;
  readonly children: Node[];
}

export function renderTemplate(template: string, values: ReadonlyMap<string, Json>): Result<string, SysError> {
  const nodes = parseTemplate(template);
  if (!nodes.ok) return nodes;
  return ok(
    `${render(nodes.value, [Object.fromEntries(values)])
      .replace(/\n{3,}/g, "\n\n")
      .trim()}\n`,
  );
}

const tag = /\{\{([#^/]?)\s*([\w.-]+)\s*\}\}/g;

export function parseTemplate(template: string): Result<readonly Node[], SysError> {
  const root: Open = { path: "", inverted: false, line: 1, children: [] };
  const stack: Open[] = [root];
  let at = 0;
  for (const match of template.matchAll(tag)) {
    const [whole, mark = "", path = ""] = match;
    const top = stack.at(-1) ?? root;
    const end = match.index + whole.length;
    /** A section's tag alone on its line takes the line with it. */
    const lineStart = template.lastIndexOf("\n", match.index - 1) + 1;
    const rest = /^[ \t]*(?:\n|$)/.exec(template.slice(end, end + 200))?.[0];
    const alone = mark !== "" && rest !== undefined && template.slice(lineStart, match.index).trim() === "";
    const text = template.slice(at, alone ? Math.max(at, lineStart) : match.index);
    if (text !== "") top.children.push({ type: "text", text });
    at = alone ? end + rest.length : end;
    const line = template.slice(0, match.index).split("\n").length;
    if (mark === "") top.children.push({ type: "value", path });
    else if (mark !== "/") stack.push({ path, inverted: mark === "^", line, children: [] });
    else {
      if (stack.length === 1 || top.path !== path) {
        return fail(
          "ENOEXEC",
          `template line ${line}: {{/${path}}} closes ${stack.length === 1 ? "nothing" : `{{#${top.path}}}`}; pair the tags`,
        );
      }
      stack.pop();
      const { inverted, children } = top;
      (stack.at(-1) ?? root).children.push({ type: "section", path, inverted, children });
    }
  }
  const open = stack.at(-1);
  if (open !== undefined && stack.length > 1)
    return fail("ENOEXEC", `template line ${open.line}: {{#${open.path}}} is never closed; add {{/${open.path}}}`);
  if (at < template.length) root.children.push({ type: "text", text: template.slice(at) });
  return ok(root.children);
}

function render(nodes: readonly Node[], contexts: readonly Json[]): string {
  return nodes.map((node) => renderNode(node, contexts)).join("");
}

function renderNode(node: Node, contexts: readonly Json[]): string {
  if (node.type === "text") return node.text;
  if (node.type === "value") return node.path === "link" ? linkOf(contexts) : shown(lookUp(node.path, contexts));
  const value = lookUp(node.path, contexts);
  const nothing = value === undefined || value === false || value === 0 || isEmpty(value);
  if (node.inverted) return nothing ? render(node.children, contexts) : "";
  if (nothing) return "";
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => render(node.children, [...contexts, item])).join("");
  return render(node.children, isObject(value) ? [...contexts, value] : contexts);
}

/** The innermost context that knows the path's first name. */
function lookUp(path: string, contexts: readonly Json[]): Json | undefined {
  if (path === ".") return contexts.at(-1);
  const [root = "", ...rest] = path.split(".");
  for (const context of contexts.toReversed()) {
    let value = step(isObject(context) ? context : undefined, root);
    if (value === undefined) continue;
    for (const key of rest) value = step(value, key);
    return value;
  }
  return undefined;
}

function shown(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  return escapeMarkdown(typeof value === "string" ? value : JSON.stringify(value));
}

function linkOf(contexts: readonly Json[]): string {
  const item = contexts.findLast((context) => isObject(context) && typeof context["path"] === "string");
  if (!isObject(item) || typeof item["path"] !== "string") return "";
  const { path, line, to } = item;
  return citation(path, typeof line === "number" ? line : null, typeof to === "number" ? to : null);
}
