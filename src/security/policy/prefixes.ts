/**
 * Prefixes: a radix tree that finds every stored prefix of a text in one walk.
 *   POL-8.1  each() visits exactly the values whose prefix begins the text, whatever order they were added in.
 */

interface Node<T> {
  label: string;
  readonly values: T[];
  /** By the first code unit of the child's label. */
  readonly children: Map<number, Node<T>>;
}

export class Prefixes<T> {
  readonly #root: Node<T> = { label: "", values: [], children: new Map() };

  add(prefix: string, value: T): void {
    let node = this.#root;
    let rest = prefix;
    while (rest !== "") {
      const child = node.children.get(rest.charCodeAt(0));
      if (child === undefined) {
        node.children.set(rest.charCodeAt(0), { label: rest, values: [value], children: new Map() });
        return;
      }
      const shared = sharedLength(child.label, rest);
      node = shared === child.label.length ? child : split(node, child, shared);
      rest = rest.slice(shared);
    }
    node.values.push(value);
  }

  each(text: string, visit: (values: readonly T[]) => void): void {
    let node = this.#root;
    let at = 0;
    for (;;) {
      if (node.values.length > 0) visit(node.values);
      const child = at < text.length ? node.children.get(text.charCodeAt(at)) : undefined;
      if (child === undefined || !text.startsWith(child.label, at)) return;
      at += child.label.length;
      node = child;
    }
  }
}

function sharedLength(a: string, b: string): number {
  let at = 0;
  while (at < a.length && at < b.length && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  return at;
}

/** Puts a node between parent and child at `length` units of the child's label. */
function split<T>(parent: Node<T>, child: Node<T>, length: number): Node<T> {
  const middle: Node<T> = { label: child.label.slice(0, length), values: [], children: new Map() };
  child.label = child.label.slice(length);
  middle.children.set(child.label.charCodeAt(0), child);
  parent.children.set(middle.label.charCodeAt(0), middle);
  return middle;
}
