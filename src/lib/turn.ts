/** Turn: work that must not overlap, done in the order of asking. */

export class Turn {
  #last: Promise<unknown> = Promise.resolve();

  /** A work that fails fails for who asked for it; the next one is done all the same. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const taken = this.#last.then(work);
    this.#last = taken.catch(() => {});
    return taken;
  }
}
