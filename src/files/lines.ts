/**
 * Lines: the shortest edit between two texts, by line.
 * Source: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1 (1986); here forward, with a bound on D.
 *   FIL-1.1  Applying the hunks of diffLines(a, b) to a gives b.
 *   FIL-1.2  Work is bounded: beyond `editsMax` edits the differing middle is one hunk, which is still correct.
 *   FIL-1.3  Joining the lines of a text gives the text, whatever its last line ends with.
 */

/** `from` lines starting at `fromAt` (0-based) become the `to` lines starting at `toAt`. */
export interface Hunk {
  readonly fromAt: number;
  readonly from: number;
  readonly toAt: number;
  readonly to: number;
}

/** Each line keeps its line feed; only the last may have none. The empty text has no lines. */
export function splitLines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}

const editsMax = 2_000;

export function diffLines(a: readonly string[], b: readonly string[], bound = editsMax): Hunk[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const [aMiddle, bMiddle] = numbered(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  if (aMiddle.length === 0 && bMiddle.length === 0) return [];
  const whole = [{ fromAt: head, from: aMiddle.length, toAt: head, to: bMiddle.length }];
  if (aMiddle.length === 0 || bMiddle.length === 0) return whole;
  const trace = search(aMiddle, bMiddle, Math.min(bound, aMiddle.length + bMiddle.length));
  return trace === null ? whole : backtrack(trace, aMiddle.length, bMiddle.length, head);
}

/** Numbers compare faster than lines. */
function numbered(a: readonly string[], b: readonly string[]): [Int32Array, Int32Array] {
  const ids = new Map<string, number>();
  const idOf = (line: string): number => {
    const known = ids.get(line);
    if (known !== undefined) return known;
    ids.set(line, ids.size);
    return ids.size - 1;
  };
  return [Int32Array.from(a, idOf), Int32Array.from(b, idOf)];
}

/** The furthest-reaching end on each diagonal, after 0, 1, 2, … edits, until the end is reached; null beyond the bound. */
function search(a: Int32Array, b: Int32Array, bound: number): Int32Array[] | null {
  const ends = new Int32Array(2 * bound + 3);
  const zero = bound + 1;
  const trace: Int32Array[] = [];
  for (let edits = 0; edits <= bound; edits += 1) {
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && at(ends, zero + k - 1) < at(ends, zero + k + 1));
      let x = down ? at(ends, zero + k + 1) : at(ends, zero + k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      ends[zero + k] = x;
      if (x >= a.length && x - k >= b.length) {
        trace.push(ends.slice(zero - edits - 1, zero + edits + 2));
        return trace;
      }
    }
    trace.push(ends.slice(zero - edits - 1, zero + edits + 2));
  }
  return null;
}

/** Walks back from the end; `trace[d]` holds diagonals -d-1 … d+1. */
function backtrack(trace: readonly Int32Array[], aLength: number, bLength: number, offset: number): Hunk[] {
  const hunks: Hunk[] = [];
  let x = aLength;
  let y = bLength;
  for (let edits = trace.length - 1; edits > 0; edits -= 1) {
    const before = trace[edits - 1] ?? new Int32Array(0);
    const value = (k: number): number => at(before, k + edits);
    const k = x - y;
    const down = k === -edits || (k !== edits && value(k - 1) < value(k + 1));
    const previousK = down ? k + 1 : k - 1;
    const previousX = value(previousK);
    const previousY = previousX - previousK;
    const startX = down ? previousX : previousX + 1;
    const last = hunks.at(-1);
    const edit = { fromAt: offset + previousX, from: down ? 0 : 1, toAt: offset + previousY, to: down ? 1 : 0 };
    // Edits with no equal line between them are one hunk.
    if (last !== undefined && last.fromAt === offset + startX && last.toAt === offset + startX - k) {
      hunks[hunks.length - 1] = { ...edit, from: edit.from + last.from, to: edit.to + last.to };
    } else hunks.push(edit);
    x = previousX;
    y = previousY;
  }
  return hunks.reverse();
}

function at(array: Int32Array, index: number): number {
  return array[index] ?? 0;
}
