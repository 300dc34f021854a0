/**
 * Affixes: a radix tree that finds every stored prefix (or every stored suffix) of a text in one walk.
 *   POL-8.1  each() visits exactly the values whose affix begins (or ends) the text, whatever order they were added in.
 */

interface Node<T> {
  /** Read from the outside in: a suffix is stored reversed. */
  label: string;
  readonly values: T[];
  /** By the first code unit of the child's label. */
  readonly children: Map<number, Node<T>>;
}

export class Affixes<T> {
  readonly #root: Node<T> = { label: "", values: [], children: new Map() };
  readonly #fromEnd: boolean;

  constructor(side: "prefix" | "suffix") {
    this.#fromEnd = side === "suffix";
  }

  add(affix: string, value: T): void {
    let node = this.#root;
    let rest = this.#fromEnd ? affix.split("").toReversed().join("") : affix;
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
    const [start, step] = this.#fromEnd ? [text.length - 1, -1] : [0, 1];
    let node = this.#root;
    let used = 0;
    for (;;) {
      if (node.values.length > 0) visit(node.values);
      if (used >= text.length) return;
      const child = node.children.get(text.charCodeAt(start + step * used));
      if (child === undefined) return;
      const { label } = child;
      if (used + label.length > text.length) return;
      for (let at = 1; at < label.length; at += 1) {
        if (label.charCodeAt(at) !== text.charCodeAt(start + step * (used + at))) return;
      }
      used += label.length;
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
