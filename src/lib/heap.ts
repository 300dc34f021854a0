/** Heap: a binary heap; the least item leaves first, in logarithmic time. */

export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** `before` is a strict order; of two equal items either may leave first. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    let at = this.#items.length;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = this.#items[up];
      if (parent === undefined || !this.#before(item, parent)) break;
      this.#items[at] = parent;
      at = up;
    }
    this.#items[at] = item;
  }

  pop(): T | undefined {
    const least = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) this.#sink(last);
    return least;
  }

  #sink(item: T): void {
    let at = 0;
    for (;;) {
      const below = this.#lesserChild(at);
      const child = this.#items[below];
      if (child === undefined || !this.#before(child, item)) break;
      this.#items[at] = child;
      at = below;
    }
    this.#items[at] = item;
  }

  #lesserChild(at: number): number {
    const [left, right] = [this.#items[2 * at + 1], this.#items[2 * at + 2]];
    return left !== undefined && right !== undefined && this.#before(right, left) ? 2 * at + 2 : 2 * at + 1;
  }
}
